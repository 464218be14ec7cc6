"""Rules of the gateway on plain values: what a question may become, fingerprints, rates, trust."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intercity.agreements.domain import fields_named, suppress
from services.intercity.exchange.domain import Allowed, Records, aggregate_question, group_size, place_of, records_params
from services.intercity.messages.domain import LONGEST, Bucket, MessageExpired, OutsideAgreement, check_freshness
from services.intercity.peers.domain import confirms, fingerprint, spoken
from services.intercity.warnings.domain import Trust, common_prefix, mistrusted

FIELDS = frozenset({"id", "kind", "received_at", "area"})
OTHERS = ("phone", "response_s", "geometry", "units", "lon")
AGREED_FILTER = {"op": "<>", "args": [{"property": "kind"}, "medical"]}
ALLOWED = Allowed(
    dataset="fire.calls",
    fields=FIELDS,
    filter=AGREED_FILTER,
    operations=frozenset({"records", "aggregate"}),
    smallest_group=0,
    rows=500,
    key="id",
    time="received_at",
    area="area",
    coded=frozenset({"kind", "area"}),
    sources=("430100/fire",),
)
names = st.sampled_from([*sorted(FIELDS), *OTHERS])
values = st.one_of(st.text(max_size=5), st.integers(-9, 9), st.booleans(), st.fixed_dictionaries({"property": names}))
leaves = st.builds(
    lambda op, name, value: {"op": op, "args": [{"property": name}, value]}, st.sampled_from(["=", "<", "in", "like", "s_intersects"]), names, values
)
filters = st.recursive(
    leaves,
    lambda part: st.builds(lambda op, parts: {"op": op, "args": parts}, st.sampled_from(["and", "or", "not"]), st.lists(part, min_size=1, max_size=3)),
    max_leaves=6,
)
places = st.lists(st.one_of(st.none(), st.sampled_from(["sx", "i7", "f1.5", "t2026-11-01T00:00:00+00:00", "btrue", "??"])), max_size=4)
records = st.builds(
    Records,
    properties=st.one_of(st.none(), st.lists(names, max_size=4)),
    filter=st.one_of(st.none(), filters),
    bbox=st.one_of(st.none(), st.just("1,1,2,2")),
    datetime=st.one_of(st.none(), st.just("2026-11-01/..")),
    sortby=st.lists(st.tuples(names, st.booleans()), max_size=3, unique_by=lambda pair: pair[0]),
    limit=st.integers(1, 10_000),
    after=st.one_of(st.none(), places),
    id=st.one_of(st.none(), st.text(max_size=5)),
)
measures = st.fixed_dictionaries({"fn": st.sampled_from(["count", "sum", "avg", "min", "max", "stddev", "quantile", "distinct"]), "field": names})
dimensions = st.one_of(names, st.sampled_from(["area:district", "time:day"]))
questions = st.fixed_dictionaries(
    {
        "measures": st.dictionaries(st.sampled_from("ab"), measures, min_size=1, max_size=2),
        "by": st.dictionaries(st.sampled_from("xy"), dimensions, max_size=2),
    },
    optional={"filter": filters, "bbox": st.just([1, 1, 2, 2]), "from": st.just("2026-11-01T00:00:00Z")},
)


@settings(max_examples=300, deadline=None)
@given(records)
def test_whatever_a_peer_asks_no_other_field_or_row_is_in_the_question(asked: Records) -> None:
    with contextlib.suppress(OutsideAgreement):
        params = dict(records_params(ALLOWED, asked))
        assert len(params) == len(records_params(ALLOWED, asked)), "no parameter is given twice"
        assert set(params["properties"].split(",")) <= FIELDS
        assert {name.lstrip("-") for name in params["sortby"].split(",")} <= FIELDS
        assert params["skipGeometry"] == "true"
        assert params["sources"] == "430100/fire"
        assert int(params["limit"]) <= 500
        assert "bbox" not in params
        whole = json.loads(params["filter"])
        assert fields_named(whole) <= FIELDS
        assert whole == AGREED_FILTER or (whole["op"] == "and" and whole["args"][0] == AGREED_FILTER)


@settings(max_examples=300, deadline=None)
@given(questions)
def test_whatever_a_peer_counts_no_other_field_or_row_is_in_the_question(asked: dict[str, Any]) -> None:
    with contextlib.suppress(OutsideAgreement):
        question = aggregate_question(ALLOWED, asked)
        fields = {spec.get("field") for spec in question["measures"].values()} - {None}
        assert fields | {of for of in question["by"].values() if ":" not in of} <= FIELDS
        assert {spec["fn"] for spec in question["measures"].values()} <= {"count", "sum", "min", "max"}
        whole = question["filter"]
        assert fields_named(whole) <= FIELDS
        assert whole == AGREED_FILTER or (whole["op"] == "and" and whole["args"][0] == AGREED_FILTER)
        assert question["limit"] == 501
        assert question["sources"] == ["430100/fire"]


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": {"op": "=", "args": [{"property": "id"}, "x"]}},
        {"filter": {"op": "not", "args": [{"op": "=", "args": [{"property": "kind"}, "rescue"]}]}},
        {"filter": {"op": "or", "args": [{"op": "=", "args": [{"property": "kind"}, "rescue"]}]}},
        {"from": "2026-11-01T00:30:00Z"},
        {"datetime": "2026-11-01T00:00:00Z/.."},
        {"known_at": "2026-11-01T00:00:01Z"},
    ],
)
def test_where_small_groups_are_left_out_two_answers_do_not_differ_by_one_row(asked: dict[str, Any]) -> None:
    small = Allowed(**{**{name: getattr(ALLOWED, name) for name in Allowed.__slots__}, "smallest_group": 5})
    question = {"measures": {"n": {"fn": "count"}}, **asked}
    with pytest.raises(OutsideAgreement):
        aggregate_question(small, question)
    aggregate_question(
        small, {"measures": {"n": {"fn": "count"}}, "from": "2026-11-01T00:00:00Z", "filter": {"op": "in", "args": [{"property": "kind"}, ["a"]]}}
    )


def test_one_small_group_takes_the_next_smallest_with_it() -> None:
    assert suppress([9, 2, 7, 30], 5) == [False, True, True, False]
    assert suppress([9, 2, 3], 5) == [False, True, True]
    assert suppress([9, 8], 5) == [False, False]
    assert suppress([2], 5) == [True]
    assert suppress([1, 1, 7, 30], 5) == [True, True, True, False], "two that are small together"
    assert suppress([1, 1], 5) == [True, True]


def test_a_group_is_as_small_as_the_fewest_values_that_are_told_of_it() -> None:
    small = Allowed(**{**{name: getattr(ALLOWED, name) for name in Allowed.__slots__}, "smallest_group": 5})
    question = aggregate_question(small, {"measures": {"first": {"fn": "min", "field": "received_at"}, "n": {"fn": "count"}}})
    assert question["measures"]["m0_values"] == {"fn": "count", "field": "received_at"}
    assert group_size({"rows": 30, "m0_values": 1}, 2) == 1
    assert group_size({"rows": 30, "m0_values": 0}, 2) == 30, "no values, nothing told"


def test_a_fingerprint_is_the_thumbprint_of_the_key() -> None:
    """The key and thumbprint of RFC 8037, appendix A.3."""
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert fingerprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert confirms("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", key)
    assert confirms(spoken(fingerprint(key)).upper().replace(" ", "-"), key)
    assert not confirms(spoken(fingerprint(key))[:-1] + "0", key)
    assert spoken(fingerprint(key)).count(" ") == 15


def test_messages_are_valid_for_a_while_and_a_week_at_most() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    check_freshness(now, now + LONGEST, now)
    check_freshness(now + timedelta(seconds=30), now + timedelta(minutes=2), now)
    for created, expires in ((0, -1), (120, 180), (0, 8 * 86400), (5, 4)):
        with pytest.raises(MessageExpired):
            check_freshness(now + timedelta(seconds=created), now + timedelta(seconds=expires), now)


def test_a_rate_fills_evenly() -> None:
    bucket = Bucket(60)
    assert [bucket.take(0.0) for _ in range(60)] == [0.0] * 60
    assert bucket.take(0.0) == pytest.approx(1.0)
    assert bucket.take(1.0) == 0.0
    assert bucket.take(1.0) > 0


def test_an_issuer_is_trusted_for_its_events_and_areas_only() -> None:
    trust = Trust("hub@north", ["chlorine release", "*"], ["4301"])
    assert mistrusted(trust, [("anything",)], ["430102"]) is None
    assert mistrusted(None, [("anything",)], ["430102"]) is not None
    assert "area" in (mistrusted(trust, [("anything",)], ["430302"]) or "")
    assert mistrusted(trust, [("anything",)], []) is not None
    assert "storm" in (mistrusted(Trust("s", ["flood"], ["*"]), [("storm",)], []) or "")
    assert common_prefix(["430102", "430104001"]) == "4301"
    assert common_prefix([]) is None


def test_values_become_places_that_others_compare() -> None:
    assert [place_of("integer", 5), place_of("number", 5), place_of("string", "x"), place_of("date-time", "2026-11-01T00:00:00Z")] == [
        "i5",
        "f5.0",
        "sx",
        "t2026-11-01T00:00:00Z",
    ]
    assert place_of("boolean", True) == "btrue"
    assert place_of("string", None) is None
