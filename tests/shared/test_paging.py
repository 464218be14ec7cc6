"""Page tokens: whoever changes one, or uses it for something else, gets nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.caller import Caller, Clearance
from shared.paging import InvalidPageToken, paging_key, seal, unseal
from shared.vocabulary import DataGrade, Personal

KEY = paging_key("secret")
CALLER = Caller(subject="client:a", audience="430300/watch", scopes=frozenset({"watch:read"}), areas=("4303",))
QUERY = {"filter": "level > 1", "sortby": "-level"}
PLACE = {"after": ["i3", None, "s水"]}


def test_a_token_gives_back_the_place() -> None:
    assert unseal(KEY, seal(KEY, PLACE, query=QUERY, caller=CALLER), query=QUERY, caller=CALLER) == PLACE


def test_a_token_is_made_of_characters_that_addresses_take() -> None:
    assert set(seal(KEY, PLACE, query=QUERY, caller=CALLER)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "other",
    [
        {"caller": replace(CALLER, subject="client:b")},
        {"caller": replace(CALLER, areas=("4303", "4301"))},
        {"caller": replace(CALLER, areas=("*",))},
        {"caller": replace(CALLER, scopes=frozenset({"hub:query"}))},
        {"caller": replace(CALLER, clearance=Clearance(DataGrade.IMPORTANT, Personal.NONE))},
        {"caller": replace(CALLER, clearance=Clearance(DataGrade.GENERAL, Personal.PERSONAL))},
        {"caller": replace(CALLER, actor="430300/hub")},
        {"query": {**QUERY, "filter": "level > 0"}},
        {"query": {}},
        {"key": paging_key("another secret")},
    ],
)
def test_a_token_serves_only_its_query_and_its_caller(other: dict[str, Any]) -> None:
    token = seal(KEY, PLACE, query=QUERY, caller=CALLER)
    used: dict[str, Any] = {"key": KEY, "query": QUERY, "caller": CALLER} | other
    with pytest.raises(InvalidPageToken):
        unseal(used["key"], token, query=used["query"], caller=used["caller"])


def test_the_order_of_areas_and_parameters_does_not_matter() -> None:
    caller = replace(CALLER, areas=("4303", "4301"))
    token = seal(KEY, PLACE, query=QUERY, caller=caller)
    assert unseal(KEY, token, query=dict(reversed(QUERY.items())), caller=replace(caller, areas=("4301", "4303"))) == PLACE


def test_a_new_token_of_the_same_client_goes_on_where_the_old_one_ended() -> None:
    token = seal(KEY, PLACE, query=QUERY, caller=CALLER)
    assert unseal(KEY, token, query=QUERY, caller=replace(CALLER, token_id="another", expires=99)) == PLACE


@given(position=st.integers(0, 200), replacement=st.sampled_from("AZaz09-_=é/+ \x00"))
@settings(deadline=None)
def test_a_changed_token_is_refused(position: int, replacement: str) -> None:
    token = seal(KEY, PLACE, query=QUERY, caller=CALLER)
    changed = token[: position % len(token)] + replacement + token[position % len(token) + 1 :]
    if changed.rstrip("=") != token:
        with pytest.raises(InvalidPageToken):
            unseal(KEY, changed, query=QUERY, caller=CALLER)


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(InvalidPageToken):
        unseal(KEY, text, query=QUERY, caller=CALLER)
