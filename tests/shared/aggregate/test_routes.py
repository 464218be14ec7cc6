"""Who gets what, in which form, and what is said about a question that cannot be answered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import httpx
import pyarrow as pa
import pytest

from shared.config import Settings
from shared.datasets.aggregate import states as wire
from shared.datasets.aggregate.finish import finish, select_rows
from shared.datasets.aggregate.merge import merge_states
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.render import rows_of
from shared.datasets.aggregate.states import read_states
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.shared.aggregate.toy import DDL, TOY, fill, random_calls

ROWS = random_calls(400, seed=5)
PATH = "/collections/toy.calls/aggregate"
COUNT: dict[str, Any] = {"measures": {"n": {"fn": "count"}}}
PERSONAL = {"grade": "general", "personal": "personal"}


@pytest.fixture(scope="module")
async def settings(city: City) -> Settings:
    made = city.settings(TOY, ddl=DDL)
    await fill(made, ROWS)
    return made


@pytest.fixture(scope="module")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(TOY, settings)) as made:
        yield made


@pytest.fixture
def reader(city: City) -> dict[str, str]:
    return city.headers("toy", scope="toy:read")


@pytest.fixture
def hub(city: City) -> dict[str, str]:
    return city.headers("toy", scope="hub:query", actor="430300/hub") | {"Accept": wire.MEDIA_TYPE}


async def test_without_a_token_nothing_is_answered(client: httpx.AsyncClient) -> None:
    for answer in (await client.post(PATH, json=COUNT), await client.get(f"{PATH}?measure=n:count")):
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")


async def test_a_dataset_outside_the_scopes_is_the_same_as_none(client: httpx.AsyncClient, city: City) -> None:
    stranger = city.headers("toy", scope="fire:read")
    here, nowhere = [await client.post(f"/collections/{name}/aggregate", json=COUNT, headers=stranger) for name in ("toy.calls", "toy.other")]
    assert (here.status_code, nowhere.status_code) == (404, 404)
    assert here.json()["detail"].replace("toy.calls", "") == nowhere.json()["detail"].replace("toy.other", "")


@pytest.mark.parametrize(
    "question",
    [
        {"measures": {"n": {"fn": "distinct", "field": "NAME"}}},
        {"measures": {"n": {"fn": "min", "field": "NAME"}}},
        {"measures": {"n": {"fn": "sum", "field": "NAME"}}},
        COUNT | {"by": {"who": "NAME"}},
        COUNT | {"filter": "NAME = 'P1'"},
        COUNT | {"having": "NAME = 'P1'"},
        COUNT | {"sortby": ["NAME"]},
    ],
)
async def test_a_hidden_field_is_the_same_as_none(client: httpx.AsyncClient, reader: dict[str, str], question: dict[str, Any]) -> None:
    texts = []
    for name in ("caller_name", "caller_nane"):
        answer = await client.post(PATH, json=json.loads(json.dumps(question).replace("NAME", name)), headers=reader)
        assert answer.status_code == 400
        body = answer.json()
        texts.append((answer.status_code, {key: value.replace(name, "") for key, value in body.items() if isinstance(value, str) and key != "request_id"}))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ({"by": {"who": "caller_name"}}, "/by/who"),
        ({"measures": {"first": {"fn": "min", "field": "caller_name"}}}, "/measures/first/field"),
        ({"measures": {"n": {"fn": "distinct", "field": "caller_name"}}}, "/measures/n/field"),
    ],
)
async def test_single_persons_are_no_groups_even_for_those_cleared(client: httpx.AsyncClient, city: City, question: dict[str, Any], pointer: str) -> None:
    cleared = city.headers("toy", scope="toy:read", clearance=PERSONAL)
    answer = (await client.post(PATH, json=COUNT | question, headers=cleared)).json()
    assert (answer["type"], answer["pointer"]) == ("/problems/fixed-cells-only", pointer)
    whole = (await client.post(PATH, json=COUNT | {"by": {"kind": "kind"}, "sortby": ["-n"], "limit": 3}, headers=cleared)).json()
    assert len(whole["rows"]) == 3
    assert "limited" not in whole["coverage"]


async def test_rows_outside_the_areas_of_the_token_never_matter(client: httpx.AsyncClient, city: City) -> None:
    district = city.headers("toy", scope="toy:read", areas=["430302"])
    body = (await client.post(PATH, json=COUNT | {"by": {"area": "area"}}, headers=district)).json()
    inside = ROWS["area"].str.startswith("430302")
    assert {row[0]: row[1] for row in body["rows"]} == ROWS[inside].groupby("area").size().to_dict()
    assert body["coverage"]["limited"] is True
    assert body["coverage"]["scope"]["areas"] == ["430302"]
    nowhere = city.headers("toy", scope="toy:read", areas=[])
    assert (await client.post(PATH, json=COUNT, headers=nowhere)).json()["rows"] == [[0]]


async def test_states_go_to_the_hub_of_the_same_city_only(client: httpx.AsyncClient, city: City, hub: dict[str, str]) -> None:
    assert (await client.post(PATH, json=COUNT, headers=hub)).status_code == 200
    for actor in (None, "430100/hub", "430300/fire"):
        other = city.headers("toy", scope="hub:query toy:read", actor=actor) | {"Accept": wire.MEDIA_TYPE}
        for answer in (await client.post(PATH, json=COUNT, headers=other), await client.get(f"{PATH}?measure=n:count&f=states", headers=other)):
            assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")


async def test_finished_states_are_the_direct_answer(client: httpx.AsyncClient, city: City, hub: dict[str, str]) -> None:
    question = {
        "measures": {
            "n": {"fn": "count"},
            "filled": {"fn": "count", "field": "response_s"},
            "mean": {"fn": "avg", "field": "response_s"},
            "least": {"fn": "min", "field": "cost"},
            "most": {"fn": "max", "field": "cost"},
            "spread": {"fn": "stddev", "field": "cost"},
            "median": {"fn": "quantile", "field": "response_s", "q": 0.5},
            "p90": {"fn": "quantile", "field": "response_s", "q": 0.9},
            "q": {"fn": "quantile", "field": "cost", "q": 0.25},
            "kinds": {"fn": "distinct", "field": "kind"},
        },
        "by": {"district": "area:district", "day": "time:day", "urgent": "urgent"},
        "having": "n >= 2",
        "sortby": ["-n"],
        "limit": 20,
        "tz": "Asia/Shanghai",
    }
    asked = Question.model_validate(question)
    states = read_states((await client.post(PATH, json=question, headers=hub)).content, question=asked)
    assert (states.answers[0].source, states.answers[0].rows) == ("430300/toy", len(ROWS))
    direct = (await client.post(PATH, json=question, headers=city.headers("toy", scope="toy:read"))).json()
    finished = select_rows(finish(merge_states([states])), having=asked.having, sortby=asked.sortby, limit=asked.limit)
    assert [list(row) for row in rows_of(finished)] == direct["rows"] and len(direct["rows"]) == 20
    assert list(finished.columns) == direct["columns"]


async def test_the_form_follows_f_or_accept(client: httpx.AsyncClient, reader: dict[str, str]) -> None:
    by = f"{PATH}?measure=n:count&by=kind&by=urgent"
    rows = (await client.get(by, headers=reader)).json()["rows"]
    text = await client.get(by, headers=reader | {"Accept": "text/html;q=0.1, text/csv;q=0.9, application/json;q=0.2"})
    assert text.headers["content-type"].startswith("text/csv")
    table = list(csv.reader(io.StringIO(text.text)))
    assert table[0] == ["kind", "urgent", "n"]
    assert table[1:] == [["" if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in row] for row in rows]
    link = text.headers["link"]
    assert link.endswith('>; rel="coverage"')
    coverage = json.loads(unquote(link.partition(">")[0].removeprefix("<data:application/json,")))
    assert (coverage["complete"], coverage["sources"][0]["rows"]) == (True, len(ROWS))
    arrow = await client.get(f"{by}&f=arrow", headers=reader)
    with pa.ipc.open_stream(arrow.content) as stream:
        assert stream.read_all()["n"].to_pylist() == [row[2] for row in rows]
    for refused in ({"params": {"f": "xml"}}, {"headers": {"Accept": "application/xml"}}):
        answer = await client.get(PATH, params={"measure": "n:count"} | refused.get("params", {}), headers=reader | refused.get("headers", {}))
        assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-acceptable")


@pytest.mark.parametrize(
    ("question", "kind", "pointer"),
    [
        ({"measures": {"p90": {"fn": "quantile", "field": "kind", "q": 0.9}}}, "invalid-measure", "/measures/p90/field"),
        ({"measures": {"p90": {"fn": "quantile", "field": "cost"}}}, "invalid-measure", "/measures/p90/q"),
        ({"measures": {"s": {"fn": "sum", "field": "kind"}}}, "invalid-measure", "/measures/s/field"),
        ({"measures": {"s": {"fn": "avg", "field": "received_at"}}}, "invalid-measure", "/measures/s/field"),
        ({"measures": {"s": {"fn": "max", "field": "urgent"}}}, "invalid-measure", "/measures/s/field"),
        ({"measures": {"s": {"fn": "sum"}}}, "invalid-measure", "/measures/s/field"),
        ({"measures": {"s": {"fn": "sum", "field": "cost", "q": 0.5}}}, "invalid-measure", "/measures/s/q"),
        ({"measures": {"s": {"fn": "sum", "field": "costs"}}}, "unknown-field", "/measures/s/field"),
        (COUNT | {"by": {"k": "kindd"}}, "unknown-field", "/by/k"),
        (COUNT | {"by": {"k": "area:street"}}, "invalid-dimension", "/by/k"),
        (COUNT | {"by": {"k": "time:decade"}}, "invalid-dimension", "/by/k"),
        (COUNT | {"by": {"k": "colour:red"}}, "invalid-dimension", "/by/k"),
        (COUNT | {"filter": "kindd = 'fire'"}, "unknown-field", "/filter"),
        (COUNT | {"having": "m > 1"}, "unknown-column", "/having"),
        (COUNT | {"sortby": ["m"]}, "unknown-column", "/sortby/0"),
        (COUNT | {"bbox": [10, 20, 5, -20]}, "invalid-request", "/bbox"),
        (COUNT | {"datetime": "yesterday"}, "invalid-request", "/datetime"),
    ],
)
async def test_what_is_wrong_is_pointed_at(client: httpx.AsyncClient, reader: dict[str, str], question: dict[str, Any], kind: str, pointer: str) -> None:
    body = (await client.post(PATH, json=question, headers=reader)).json()
    assert (body["status"], body["type"], body["pointer"]) == (400, f"/problems/{kind}", pointer)


async def test_a_misspelt_field_is_recognised(client: httpx.AsyncClient, reader: dict[str, str]) -> None:
    body = (await client.post(PATH, json=COUNT | {"by": {"k": "kindd"}}, headers=reader)).json()
    assert body["detail"] == "toy.calls has no field 'kindd'. Did you mean 'kind'?"


async def test_a_body_of_the_wrong_form_is_pointed_at(client: httpx.AsyncClient, reader: dict[str, str]) -> None:
    for body, pointer in (
        ({"measures": {"p": {"fn": "quantile", "field": "cost", "q": 2}}}, "/measures/p/q"),
        (COUNT | {"tz": "Asia/Atlantis"}, "/tz"),
        (COUNT | {"limit": 0}, "/limit"),
    ):
        answer = (await client.post(PATH, json=body, headers=reader)).json()
        assert (answer["status"], answer["type"], answer["pointer"]) == (422, "/problems/invalid-body", pointer)


async def test_dates_cannot_be_cut_into_hours(client: httpx.AsyncClient, reader: dict[str, str]) -> None:
    body = (await client.post("/collections/toy.visits/aggregate", json=COUNT | {"by": {"h": "time:hour"}}, headers=reader)).json()
    assert (body["type"], body["pointer"]) == ("/problems/invalid-dimension", "/by/h")
    area = (await client.post("/collections/toy.visits/aggregate", json=COUNT | {"by": {"a": "area:city"}}, headers=reader)).json()
    assert (area["type"], area["pointer"]) == ("/problems/invalid-dimension", "/by/a")


async def test_too_many_groups_are_refused(client: httpx.AsyncClient, reader: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compile", "gather"):
        monkeypatch.setattr(f"shared.datasets.aggregate.{module}.MAX_ROWS", 100)
    body = (await client.post(PATH, json=COUNT | {"by": {"id": "id"}}, headers=reader)).json()
    assert (body["status"], body["type"], body["bound"]) == (400, "/problems/too-many-cells", 100)
    assert (await client.post(PATH, json=COUNT | {"by": {"id": "id"}, "filter": "id < 100"}, headers=reader)).status_code == 200


async def test_too_many_cells_of_a_sketch_are_refused(client: httpx.AsyncClient, reader: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.datasets.aggregate.gather.MAX_CELLS", 50)
    for measure in ({"fn": "quantile", "field": "response_s", "q": 0.5}, {"fn": "distinct", "field": "id"}):
        body = (await client.post(PATH, json={"measures": {"x": measure}}, headers=reader)).json()
        assert (body["status"], body["type"], body["bound"]) == (400, "/problems/too-many-cells", 50)


async def test_infinities_in_the_data_are_refused_rather_than_shown_as_null(
    client: httpx.AsyncClient, reader: dict[str, str], city: City, settings: Settings
) -> None:
    city.sql(settings, "INSERT INTO calls (id, area, response_s, recorded_by) VALUES (100001, '43', 'inf', 'x'), (100002, '43', 'nan', 'x')", role="app")
    try:
        for number in (100001, 100002):
            for measure in ({"fn": "sum"}, {"fn": "avg"}, {"fn": "stddev"}, {"fn": "max"}, {"fn": "quantile", "q": 0.5}):
                question = {"measures": {"x": measure | {"field": "response_s"}}, "filter": f"id = {number} OR id < 10"}
                body = (await client.post(PATH, json=question, headers=reader)).json()
                assert (body["status"], body["type"]) == (422, "/problems/not-finite"), question
        grouped = (await client.post(PATH, json=COUNT | {"by": {"r": "response_s"}}, headers=reader)).json()
        assert (grouped["type"], grouped["pointer"]) == ("/problems/not-finite", "/by/r")
    finally:
        city.sql(settings, "DELETE FROM calls WHERE id > 100000", role="app")


async def test_a_deadline_ends_the_query(client: httpx.AsyncClient, reader: dict[str, str], city: City, settings: Settings) -> None:
    city.sql(settings, "INSERT INTO calls (id, area, response_s, recorded_by) SELECT g + 1000000, '43', g, 'x' FROM generate_series(1, 30000) g", role="app")
    try:
        question = {"measures": {"p": {"fn": "quantile", "field": "response_s", "q": 0.5}}, "by": {"r": "grade"}}
        late = await client.post(PATH, json=question | {"deadline_ms": 1}, headers=reader)
        assert (late.status_code, late.json()["type"]) == (503, "/problems/query-too-slow")
        assert (await client.post(PATH, json=question, headers=reader)).status_code == 200
    finally:
        city.sql(settings, "DELETE FROM calls WHERE id > 1000000", role="app")
