"""Who is asked for whom, and what counts as a change of a schema."""

from __future__ import annotations

import pytest

from services.hub.catalog.domain import Drift, Source, asked_for, drift_between, lies_under, schema_digest
from shared.caller import Caller


@pytest.mark.parametrize(
    ("city", "hub", "under"),
    [
        ("430300", "430300", True),
        ("430302", "430300", True),
        ("430300", "430000", True),
        ("430300", "000000", True),
        ("430000", "430300", False),
        ("430100", "430300", False),
        ("431100", "431000", False),
        ("431022", "431000", True),
        ("lyon", "lyon", True),
        ("lyon2", "lyon", False),
        ("430300", "4303", False),
    ],
)
def test_a_city_lies_under_the_hubs_above_it(city: str, hub: str, under: bool) -> None:
    assert lies_under(city, hub) is under


def test_a_superior_is_answered_from_what_lies_below_and_never_from_peers() -> None:
    kinds = {"430300/fire": "sector", "430302/hub": "hub", "430000/hub": "hub", "430100/hub": "city", "430300/intercity": "sector", "430200/hub": "hub"}
    sources = [Source(name=name, kind=kind, url="http://x") for name, kind in kinds.items()]  # type: ignore[arg-type]  # kinds as they are
    mine = Caller("user:a", "430300/hub", frozenset())
    above = Caller("430000/hub:user:a", "430300/hub", frozenset(), actor="430000/hub", superior="430000/hub")
    deeper = Caller("430300/hub:user:a", "430000/hub", frozenset(), actor="430302/hub", earlier=("430300/hub",), superior="430302/hub")
    assert all(asked_for(mine, source, "430300") for source in sources)
    assert [source.name for source in sources if asked_for(above, source, "430300")] == ["430300/fire", "430302/hub"]
    assert [source.name for source in sources if asked_for(deeper, source, "430000")] == ["430300/fire", "430000/hub", "430200/hub"]


def test_a_drift_names_what_is_new_gone_of_another_type_or_of_another_meaning() -> None:
    before = {"properties": {name: {"type": "string", "title": name} for name in "abcd"}, "required": ["a"]}
    after = {
        "properties": {"b": {"type": "integer"}, "c": {"type": "string", "x-ogc-unit": "m"}, "d": {"type": "string", "title": "Other words"}, "e": {}},
        "required": ["d"],
    }
    drift = drift_between(before, after)
    assert drift == Drift(added=("e",), removed=("a",), retyped=("b",), altered=("c", "d"))
    assert drift.seen_with(["c", "e"]) == Drift(added=("e",), removed=(), retyped=(), altered=("c",))
    assert schema_digest(before) != schema_digest(after)
