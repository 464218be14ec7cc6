"""The Python client on a real hub: what it asks, what it shows, how it fails; the one that waits and the one that does not."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from liandong import AsyncClient, Client, IncompleteAnswer, InvalidQuestion, NotSignedIn, NotThere, SourcesFailed
from liandong.answers import Answer
from liandong.coverage import Coverage
from ops.services import ROOT
from tests.city import City
from tests.client.asking import Asking
from tests.hub.events.receiving import append, entry
from tests.hub.federation.sectors import Federation, calls, federation, readings

FIRE, PORT, AIR = calls("f", 300), calls("p", 200), readings(100)
BOTH = ["430300/brigade", "430300/harbour"]
PATIENT: Any = {"deadline_ms": 20_000}


@pytest.fixture(scope="module")
def streams(city: City) -> Any:
    """Where the hub reads what sectors append; other tests have another database."""
    return city.redis_admin()


@pytest.fixture(scope="module")
async def hub(streams: Any, city: City) -> AsyncIterator[Federation]:
    """Two sources of fire.calls that answer, one that was never there, and one of air.readings."""
    async with federation(city, {"brigade": FIRE, "harbour": PORT, "air": AIR}, {"430300/fire": "http://127.0.0.1:9"}) as made:
        yield made


@pytest.fixture(scope="module")
async def credentials(hub: Federation) -> dict[str, str]:
    rights = {"scopes": ["hub:query", "hub:events"], "areas": ["*"], "clearance": {"grade": "important", "personal": "none"}, "purposes": ["analysis"]}
    made = await hub.client.post("/clients", json={"id": "notebook", **rights}, headers=hub.headers(scope="hub:admin"))
    assert made.status_code == 201, made.text
    found: dict[str, str] = made.json()
    return found


@pytest.fixture(scope="module", params=[Client, AsyncClient])
async def asking(request: pytest.FixtureRequest, hub: Federation, credentials: dict[str, str]) -> AsyncIterator[Asking]:
    made = Asking(request.param(str(hub.client.base_url), **credentials))
    yield made
    await made.close()


async def test_it_signs_in_and_lists_what_there_is(asking: Asking) -> None:
    found = {each.id: each.title for each in await asking.call("collections")}
    assert {"fire.calls", "air.readings"} <= found.keys()
    assert (await asking.call("schema", "air.readings"))["properties"]["value"]["x-ogc-unit"] == "ug/m3"


async def test_an_answer_is_rows_tables_and_coverage(asking: Asking) -> None:
    answer = await asking.call("aggregate", "air.readings", {"n": "count", "mean": "avg(value)"}, by=["area:district"], **PATIENT)
    assert sum(row["n"] for row in answer) == len(AIR) == answer.coverage.sources[0].rows
    assert isinstance(answer.to_pandas(), pd.DataFrame) and isinstance(answer.to_polars(), pl.DataFrame)
    assert answer.to_pandas()["mean"].tolist() == answer.to_polars()["mean"].to_list() == [row["mean"] for row in answer.rows]
    assert next(column for column in answer.columns if column["name"] == "mean")["unit"] == "ug/m3"
    assert "complete: 1 of 1 sources" in repr(answer) and "430302" in answer._repr_html_()


async def test_a_missing_source_is_warned_of_and_named(asking: Asking) -> None:
    with pytest.warns(IncompleteAnswer, match=r"2 of 3 sources.*430300/fire \(fire.calls\)") as told:
        answer = await asking.call("aggregate", "fire.calls", ["count"], **PATIENT)
    assert told[0].filename.endswith(("asking.py", "thread.py")), "the line that asked"
    assert not answer.coverage.complete and "INCOMPLETE" in repr(answer)
    assert [source.source for source in answer.coverage.missing] == ["430300/fire"]
    assert answer.rows == [{"count": len(FIRE) + len(PORT)}]
    with pytest.raises(SourcesFailed) as failed:
        await asking.call("aggregate", "fire.calls", ["count"], strict=True, **PATIENT)
    assert failed.value.coverage is not None and failed.value.coverage.missing[0].source == "430300/fire"


async def test_records_come_whole_page_by_page_or_while_they_arrive(asking: Asking) -> None:
    wanted = sorted(row["id"] for row in FIRE + PORT if row["units"] > 2)
    answer = await asking.call("records", "fire.calls", sources=BOTH, sortby=["received_at"], filter="units > 2", **PATIENT)
    assert sorted(answer.to_pandas()["id"]) == wanted
    assert answer.to_pandas()["received_at"].is_monotonic_increasing
    assert sum(source.rows for source in answer.coverage.sources) == len(wanted)
    some = await asking.call("records", "fire.calls", limit=130, sources=BOTH, properties=["kind"], geometry=False, **PATIENT)
    assert (len(some), some.table.column_names) == (130, ["id", "kind"])
    pages = await asking.first(9, "pages", "fire.calls", page=120, sources=BOTH, filter={"op": ">", "args": [{"property": "units"}, 2]})
    assert sorted(row["id"] for page in pages for row in page) == wanted and len(pages) > 2
    batches = asking.client.batches("fire.calls", sources=BOTH, filter="units > 2", **PATIENT)
    assert sorted(name for batch in await asking.all(batches) for name in batch["id"].to_pylist()) == wanted
    assert batches.coverage is not None and batches.coverage.complete


async def test_sql_joins_datasets_and_says_where_it_is_wrong(asking: Asking) -> None:
    answer = await asking.call("sql", "SELECT kind, count(*) AS n FROM fire.calls WHERE units > ? GROUP BY kind", params=[2], sources=BOTH, **PATIENT)
    assert sum(row["n"] for row in answer) == sum(row["units"] > 2 for row in FIRE + PORT)
    assert (await asking.call("sql", "SELECT id FROM air.readings", limit=3, **PATIENT)).truncated
    assert (await asking.call("explain", "SELECT id FROM air.readings"))["scans"]
    with pytest.raises(InvalidQuestion, match="line 2, column 3") as wrong:
        await asking.call("sql", "SELECT id\n, nothing FROM air.readings")
    assert (wrong.value.line, wrong.value.column) == (2, 3)


async def test_datasets_are_answered_side_by_side(asking: Asking) -> None:
    parts = {
        "fires": {"dataset": "fire.calls", "measures": {"calls": "count"}, "filter": "kind <> 'rescue'"},
        "air": {"dataset": "air.readings", "measures": {"worst": {"fn": "max", "field": "value"}}},
    }
    answer = await asking.call(
        "across", parts, by={"district": "area:district"}, sources=[*BOTH, "430300/air"], start=datetime(2026, 11, 1, tzinfo=UTC), **PATIENT
    )
    assert answer.table.column_names == ["district", "fires.calls", "air.worst", "fires.status", "air.status"]
    assert answer.to_pandas()["fires.calls"].sum() == sum(row["kind"] != "rescue" for row in FIRE + PORT)


async def test_what_is_wrong_says_where_and_what_to_do(asking: Asking) -> None:
    with pytest.raises(InvalidQuestion, match="kindd") as wrong:
        await asking.call("aggregate", "air.readings", {"n": "distinct(kindd)"})
    assert (wrong.value.status, wrong.value.pointer) == (400, "/measures/n/field")
    assert wrong.value.remedy and wrong.value.remedy in str(wrong.value) and wrong.value.request_id
    with pytest.raises(NotThere):
        await asking.call("records", "air.nothing")
    with pytest.raises(ValueError, match="no measure"):
        await asking.call("aggregate", "air.readings", ["avg value"])
    with pytest.raises(ValueError, match="without a zone"):
        await asking.call("aggregate", "air.readings", start=datetime(2026, 11, 1))  # noqa: DTZ001  # the point


async def test_a_revoked_token_is_renewed_and_a_wrong_secret_is_told(asking: Asking, hub: Federation, credentials: dict[str, str]) -> None:
    answer = await hub.client.post("/oauth/revoke", data={"token": asking.client._session._signed, **_form(credentials)})
    assert answer.status_code == 200, answer.text
    assert await asking.call("collections")
    other = Asking(type(asking.client)(str(hub.client.base_url), client_id="notebook", client_secret="wrong" * 10))
    with pytest.raises(NotSignedIn):
        await other.call("collections")
    await other.close()


async def test_events_go_on_behind_the_last_one_seen(asking: Asking, streams: Any) -> None:
    append(streams, entry(7), entry(8), entry(9))
    first = await asking.first(2, "events", after=0, type="food.*")
    assert [event.data["number"] for event in first][:2] == [7, 8]
    assert (first[0].type, first[0].area, first[0].time.tzinfo) == ("food.thing.noted.v1", "430302", UTC)
    following = await asking.first(1, "events", after=first[-1].position, type=["food.*", "fire.*"])
    assert following[0].data["number"] == 9


def test_both_clients_have_the_same_methods() -> None:
    waiting, other = ({name: getattr(kind, name) for name in vars(kind) if not name.startswith("_")} for kind in (Client, AsyncClient))
    assert waiting.keys() == other.keys()
    for name, method in waiting.items():
        assert inspect.signature(method).parameters.keys() == inspect.signature(other[name]).parameters.keys(), name
        assert method.__doc__ == other[name].__doc__, name


def test_it_loads_nothing_of_the_city_and_no_table_library_before_it_is_asked() -> None:
    said = "import sys, liandong; print([name for name in ('shared', 'services', 'ops', 'pandas', 'polars', 'pydantic', 'sqlalchemy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def _form(credentials: dict[str, str]) -> dict[str, str]:
    return {"client_id": credentials["client_id"], "client_secret": credentials["client_secret"]}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_not_there_is_named_with_what_to_do(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(pa.table({"n": [1]}), Coverage.of({"complete": True}))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, library, None)
        with pytest.raises(ModuleNotFoundError, match=f"make install-dev.*pip install {library}"):
            getattr(answer, f"to_{library}")()
    assert answer.rows == [{"n": 1}]
