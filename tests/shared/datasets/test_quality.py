"""Quality: what share of values is there, keeps the declared rules, comes as promptly as promised; told to those from whom no row is hidden."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.database import reading
from shared.datasets.coverage import moment
from shared.datasets.quality import measure
from shared.datasets.quality_told import Counted, Quality, together, told
from tests.shared.datasets.conftest import Watch
from tests.shared.datasets.watch import REPORTS

QUALITY = "/collections/watch.reports/quality"
EVERYTHING = {"scope": "watch:read", "clearance": {"grade": "important", "personal": "sensitive"}}
NOW = datetime(2026, 11, 5, tzinfo=UTC)


async def test_values_that_are_missing_or_break_a_rule_are_counted_field_by_field(watch: Watch) -> None:
    found = (await watch.get(QUALITY, claims=EVERYTHING)).json()
    assert (found["rows"], found["looked_at"], found["sampled"]) == (5, 5, False)
    fields = found["fields"]
    assert fields["kind"] == {"filled": 0.8, "invalid": 1}, "one is null, and 水 is none of the permitted values"
    assert (fields["level"], fields["plan"]) == ({"filled": 0.8, "invalid": 0}, {"filled": 0.4, "invalid": 0})
    assert fields["post_name"] == {"filled": 0.6, "invalid": 0}, "p9 is no post"
    assert fields["geometry"] == {"filled": 0.8, "invalid": 0}
    assert found["scores"]["completeness"] == 1.0
    filled = sum(field["filled"] * 5 for field in fields.values())
    assert found["scores"]["validity"] == pytest.approx(1 - 1 / filled, abs=1e-4)


async def test_scores_are_in_the_catalogue_once_they_are_known(watch: Watch) -> None:
    await watch.get(QUALITY)
    assert (await watch.get("/collections/watch.reports")).json()["quality"]["completeness"] == 1.0
    dataset = (await watch.get("/catalog")).json()["dcat:dataset"][0]
    assert {part["dqv:isMeasurementOf"]["@id"].rpartition(":")[2] for part in dataset["dqv:hasQualityMeasurement"]} == {"completeness", "validity"}


async def test_scores_tell_nothing_of_hidden_fields_and_nothing_at_all_to_whom_rows_are_hidden(watch: Watch) -> None:
    shown = (await watch.get(QUALITY, claims={"scope": "hub:query"})).json()
    assert shown["fields"].keys().isdisjoint({"observer", "keeper", "plan", "sketch"})
    narrow = {"scope": "hub:query", "areas": ["4303"]}
    refused = await watch.get(QUALITY, claims=narrow)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")
    for page in ("/collections", "/collections/watch.reports", "/catalog"):
        answer = await watch.get(page, claims=narrow)
        assert answer.status_code == 200
        assert "dqv:hasQuality" not in answer.text
        assert "computed_at" not in answer.text
    assert (await watch.get("/collections/watch.secrets/quality")).status_code == 404


async def test_what_changed_is_looked_at_again_and_what_did_not_is_not(own_watch: Watch) -> None:
    runtime = own_watch.app.state.runtime
    first = await runtime.qualities.get(runtime, REPORTS)
    same = await runtime.qualities.renew(runtime, REPORTS)
    assert same.computed_at > first.computed_at
    assert same.fields is first.fields
    own_watch.sql("UPDATE reports SET kind = 'flood' WHERE id = 'r5'")
    assert (await runtime.qualities.renew(runtime, REPORTS)).fields["kind"] == Counted(4, 0)


async def test_of_a_large_table_a_sample_of_pages_is_looked_at(own_watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.datasets.quality.MOST_PAGES", 40)
    own_watch.sql(
        "INSERT INTO reports (id, kind, level, seen_at, area, recorded_by)"
        " SELECT 'many' || n, CASE n % 4 WHEN 0 THEN 'odd' ELSE 'fire' END, CASE n % 2 WHEN 0 THEN n % 9 END, '2026-10-01', '4303', 't'"
        " FROM generate_series(1, 30000) n"
    )
    promised = replace(REPORTS, freshness=timedelta(hours=1))
    async with reading(own_watch.app.state.runtime.reader) as connection:
        found = await measure(connection, promised, ("*",), NOW)
    assert found.sampled
    assert found.looked_at < 10_000
    assert found.rows == pytest.approx(30_005, rel=0.35)
    assert found.fields["level"].filled / found.looked_at == pytest.approx(0.5, abs=0.03)
    assert found.fields["kind"].invalid / found.looked_at == pytest.approx(0.25, abs=0.03)
    assert found.newest == datetime(2026, 11, 4, 0, 0, 0, 1, tzinfo=UTC), "though no page of the sample may hold it"


async def test_a_place_outside_the_world_and_an_area_nobody_knows_are_invalid(own_watch: Watch) -> None:
    own_watch.sql("UPDATE reports SET lon = 1129 WHERE id = 'r1'")
    own_watch.sql(
        "INSERT INTO areas (code, level, name_zh, kind, recorded_by)"
        " VALUES ('430302', 'district', '雨湖区', 'administrative', 'test'), ('43', 'province', '湖南省', 'administrative', 'test')"
    )
    async with reading(own_watch.app.state.runtime.reader) as connection:
        found = await measure(connection, REPORTS, ("*",), NOW)
    assert found.fields["geometry"] == Counted(4, 1)
    assert found.fields["area"] == Counted(5, 3)


@pytest.mark.parametrize(
    ("irregular", "newest", "recent", "on_time", "score", "kept"),
    [
        (False, NOW - timedelta(minutes=30), 10, 1, 1.0, True),
        (False, NOW - timedelta(hours=4), 10, 10, 0.25, False),
        (False, None, 0, 0, None, False),
        (True, NOW - timedelta(days=20), 10, 9, 0.9, None),
        (True, None, 0, 0, None, None),
    ],
)
def test_a_promise_is_kept_by_the_newest_row_or_where_rows_come_irregularly_by_each(
    irregular: bool, newest: datetime | None, recent: int, on_time: int, score: float | None, kept: bool | None
) -> None:
    dataset = replace(REPORTS, freshness=timedelta(hours=1), irregular=irregular)
    found = told(Quality(computed_at=NOW, rows=10, looked_at=10, newest=newest, recent=recent, on_time=on_time), dataset, [])
    assert (found["scores"]["timeliness"], found["timeliness"].get("kept")) == (score, kept)


def test_the_scores_of_several_sources_are_those_of_all_their_rows() -> None:
    chance = random.Random(20261122)
    for _ in range(50):
        parts = {str(n): part(chance, sample=1) for n in range(chance.randrange(1, 5))}
        whole = together(parts)
        assert whole.rows == sum(each.rows for each in parts.values())
        for name in ("kind", "level"):
            assert whole.fields[name].filled == pytest.approx(sum(each.fields[name].filled for each in parts.values() if each.looked_at))
    sampled = together({"a": Quality(computed_at=NOW, rows=1000, looked_at=10, fields={"kind": Counted(5, 1)}), "b": part(chance, sample=1)})
    assert sampled.fields["kind"].filled >= 500
    alone = told(together({"a": Quality(computed_at=NOW, rows=1000, looked_at=10, fields={"kind": Counted(5, 1)})}), REPORTS, ["kind"])
    assert (alone["rows"], alone["looked_at"], alone["sampled"]) == (1000, 10, True), "what was read is told, not what it stands for"
    assert alone["fields"]["kind"] == {"filled": 0.5, "invalid": 1}


def part(chance: random.Random, *, sample: int) -> Quality:
    rows = chance.randrange(0, 100) * sample
    fields = {name: Counted(filled := chance.randrange(0, rows + 1), chance.randrange(0, filled + 1)) for name in ("kind", "level")}
    return Quality(computed_at=NOW, rows=rows, looked_at=rows, fields=fields)


def test_small_groups_have_no_scores_and_no_score_is_rounded_up_to_perfect() -> None:
    few = Quality(computed_at=NOW, rows=3, looked_at=3, fields={"kind": Counted(3, 0)})
    assert told(few, replace(REPORTS, smallest_group=5), ["kind"]) == {
        "dataset": "watch.reports",
        "computed_at": "2026-11-05T00:00:00.000Z",
        "suppressed": True,
    }
    nearly = Quality(computed_at=NOW, rows=10**6, looked_at=10**6, fields={"seen_at": Counted(10**6 - 1, 0)})
    assert told(nearly, REPORTS, ["seen_at"])["scores"]["completeness"] == 0.9999


async def test_the_period_that_rows_tell_of_is_in_the_catalogue_for_whoever_sees_every_row_and_the_time(watch: Watch) -> None:
    await watch.get(QUALITY, claims=EVERYTHING)
    first, last = watch.sql("SELECT min(seen_at) AS first, max(seen_at) AS last FROM reports")[0]
    ends = [moment(first), moment(last)]
    assert (await watch.get("/collections/watch.reports")).json()["extent"] == {"temporal": {"interval": [ends]}}
    dataset = (await watch.get("/catalog")).json()["dcat:dataset"][0]
    assert [dataset["dct:temporal"][name]["@value"] for name in ("dcat:startDate", "dcat:endDate")] == ends
    narrow = {"scope": "hub:query", "areas": ["4303"]}
    assert "dct:temporal" not in (await watch.get("/catalog", claims=narrow)).text
    assert "extent" not in (await watch.get("/collections/watch.reports", claims=narrow)).json()
    quality = Quality(computed_at=NOW, rows=10, looked_at=10, period=(first, last))
    assert told(quality, REPORTS, ["kind"])["period"] is None, "whoever does not see the time"


async def test_a_period_that_takes_too_long_to_find_is_left_out(own_watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.datasets.quality.PERIOD_S", 0.001)
    own_watch.sql("INSERT INTO reports (id, seen_at, area, recorded_by) SELECT 'many' || n, '2026-10-01', '4303', 't' FROM generate_series(1, 60000) n")
    async with reading(own_watch.app.state.runtime.reader) as connection:
        found = await measure(connection, REPORTS, ("*",), NOW)
    assert found.looked_at > 1000
    assert found.period is None


def test_the_period_of_several_sources_is_known_only_if_each_says_its_own() -> None:
    early, late = NOW - timedelta(days=9), NOW - timedelta(days=1)

    def having(rows: int, *period: datetime) -> Quality:
        return Quality(computed_at=NOW, rows=rows, looked_at=rows, period=(period[0], period[-1]) if period else None)

    assert together({"a": having(3, early), "b": having(2, late, NOW), "c": having(0)}).period == (early, NOW)
    assert together({"a": having(3, early), "b": having(2)}).period is None
