"""Personal data: whoever asks, however often and in whatever words, learns no more of a person than the published noise leaves."""

from __future__ import annotations

import itertools
import random
import stat
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import BigInteger, Column, DateTime, Table, Text

from shared.config import Settings
from shared.database import new_metadata
from shared.datasets.aggregate.across import side_by_side
from shared.datasets.aggregate.cell_noise import AT_MOST, DESCRIPTION, key_of, perturbed, table, variance
from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.aggregate.finish import finish
from shared.datasets.aggregate.merge import merge_states
from shared.datasets.aggregate.states import States, read_states, write_states
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import Cells, Dataset, Field
from shared.datasets.history import history_of, history_triggers_ddl, recorded_columns
from shared.errors import Unavailable
from shared.service import Service, create_app
from shared.testing import running
from shared.vocabulary import Personal
from shared.vocabulary import Text as Words
from tests.city import City

metadata = new_metadata()
visits = Table(
    "visits",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("person", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False),
    *recorded_columns(),
)
history_of(visits)


def _words(text: str) -> Words:
    return Words(text, text)


TABLES: tuple[tuple[str, ...], ...] = ((), ("area:district",), ("area:town", "time:week"), ("area:district", "time:day", "kind"))
VISITS = Dataset(
    id="clinic.visits",
    title=_words("Visits"),
    description=_words("Visits"),
    owner=_words("Clinic"),
    table=visits,
    fields=(
        Field(name="id", type="integer", title=_words("Id")),
        Field(name="area", type="string", title=_words("Area")),
        Field(name="at", type="datetime", title=_words("At")),
        Field(name="kind", type="string", title=_words("Kind")),
    ),
    time="at",
    personal=Personal.PERSONAL,
    smallest_group=3,
    cells=Cells(tables=TABLES, person="person"),
)
CLINIC = Service(name="clinic", title=_words("Clinic"), routers=[], metadata=metadata, datasets=[VISITS])
TOWNS = ("430302001", "430302002", "430304001", "430304002")
FIRST = datetime(2026, 11, 1, 16, tzinfo=UTC)
"""A Monday's midnight in Shanghai."""
COUNT: dict[str, Any] = {"measures": {"n": {"fn": "count"}}}


def people(count: int, seed: int = 3) -> list[tuple[int, str, str, datetime, str]]:
    chance = random.Random(seed)
    return [
        (number, f"p{number % (count * 9 // 10)}", chance.choice(TOWNS), FIRST + timedelta(hours=chance.randrange(14 * 24)), chance.choice(("a", "b")))
        for number in range(count)
    ]


ROWS = people(900)


@pytest.fixture(scope="module")
async def settings(city: City) -> Settings:
    made = city.settings(CLINIC, ddl=history_triggers_ddl("visits"))
    assert made.owner_url is not None
    connection = await asyncpg.connect(made.owner_url.get_secret_value())
    await connection.copy_records_to_table("visits", records=[(*row, "t") for row in ROWS], columns=["id", "person", "area", "at", "kind", "recorded_by"])
    await connection.close()
    return made


@pytest.fixture(scope="module")
async def client(city: City, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(CLINIC, settings)) as made:
        yield made


def rights(city: City, scope: str = "hub:query", **claims: Any) -> dict[str, str]:
    return city.headers("clinic", scope=scope, **{"clearance": {"grade": "general", "personal": "personal"}, **claims})


async def ask(client: httpx.AsyncClient, headers: dict[str, str], by: tuple[str, ...], **more: Any) -> dict[tuple[Any, ...], int]:
    question = COUNT | {"by": {f"d{place}": of for place, of in enumerate(by)}} | more
    answer = await client.post("/collections/clinic.visits/aggregate", json=question, headers=headers)
    assert answer.status_code == 200, answer.text
    return {tuple(row[:-1]): row[-1] for row in answer.json()["rows"]}


def place(of: str, row: tuple[Any, ...]) -> Any:
    _, _, town, at, kind = row
    local = at + timedelta(hours=8)
    midnight = local.replace(hour=0)
    day = {"time:day": midnight, "time:week": midnight - timedelta(days=local.weekday())}
    if of in day:
        return day[of].replace(tzinfo=None).isoformat() + "+08:00"
    return {"area:town": town, "area:district": town[:6], "kind": kind}[of]


def exact(by: tuple[str, ...], rows: list[tuple[Any, ...]] = ROWS) -> dict[tuple[Any, ...], int]:
    persons = defaultdict(set)
    for row in rows:
        persons[tuple(place(of, row) for of in by)].add(row[1])
    return {cell: len(found) for cell, found in persons.items()}


async def test_cells_are_off_by_the_published_noise_and_the_same_for_everybody(city: City, client: httpx.AsyncClient) -> None:
    errors: list[int] = []
    for by in TABLES:
        found = await ask(client, rights(city), by)
        true = exact(by)
        assert all(count >= 3 and abs(count - true[cell]) <= AT_MOST for cell, count in found.items())
        errors += [found[cell] - count for cell, count in true.items() if count > 3 + AT_MOST]
        again = [await ask(client, rights(city, sub=f"client:{number}", purpose="statistics"), by) for number in range(3)]
        assert again == [found] * 3
        part = {cell: count for cell, count in found.items() if cell[:1] == ("430302",)}
        if by == ("area:district",):
            assert await ask(client, rights(city, areas=["430302"]), by) == part
    assert 0.5 * variance() < np.var(errors) < 1.6 * variance() and abs(np.mean(errors)) < 0.9
    days = {"from": "2026-11-03T00:00:00+08:00", "until": "2026-11-05T00:00:00+08:00"}
    whole = await ask(client, rights(city), TABLES[3])
    assert await ask(client, rights(city), TABLES[3], **days) == {cell: n for cell, n in whole.items() if days["from"] <= cell[1] < days["until"]}
    answer = await client.post("/collections/clinic.visits/aggregate", json=COUNT, headers=rights(city))
    assert answer.json()["columns"][0]["perturbed"] == DESCRIPTION
    assert "rows" not in answer.json()["coverage"]["sources"][0]
    described = await client.get("/collections/clinic.visits", headers=rights(city))
    assert described.json()["cells"] == [list(by) for by in TABLES]


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ({"by": {"k": "kind"}}, "/by"),
        ({"by": {"t": "area:town"}}, "/by"),
        ({"by": {"d": "area:district", "again": "area:district"}}, "/by"),
        ({"by": {"a": "area"}}, "/by"),
        ({"filter": "kind = 'a'"}, "/filter"),
        ({"filter": "1 = 1"}, "/filter"),
        ({"bbox": [112, 27, 113, 28]}, "/bbox"),
        ({"datetime": "2026-11-03T00:00:00+08:00/.."}, "/datetime"),
        ({"known_at": "2026-11-22T00:00:00+08:00"}, "/known_at"),
        ({"from": "2026-11-03T00:00:00+08:00"}, "/from"),
        ({"by": {"d": "area:district", "t": "time:day", "k": "kind"}, "from": "2026-11-03T00:00:01+08:00"}, "/from"),
        ({"by": {"a": "area:town", "t": "time:week"}, "until": "2026-11-03T00:00:00+08:00"}, "/until"),
        ({"by": {"a": "area:town", "t": "time:week"}, "tz": "UTC"}, "/tz"),
        ({"measures": {"n": {"fn": "max", "field": "at"}}}, "/measures/n"),
        ({"measures": {"n": {"fn": "count", "field": "kind"}}}, "/measures/n"),
        ({"measures": {"n": {"fn": "distinct", "field": "kind"}}}, "/measures/n"),
    ],
)
async def test_nothing_but_whole_cells_is_answered(city: City, client: httpx.AsyncClient, question: dict[str, Any], pointer: str) -> None:
    answer = await client.post("/collections/clinic.visits/aggregate", json=COUNT | question, headers=rights(city))
    assert (answer.status_code, answer.json()["type"], answer.json()["pointer"]) == (400, "/problems/fixed-cells-only", pointer), answer.text


async def test_rights_cut_no_cell_and_show_no_row(city: City, client: httpx.AsyncClient) -> None:
    cut = rights(city, areas=["430302001", "430304"])
    for by in ((), ("area:district",)):
        answer = await client.post("/collections/clinic.visits/aggregate", json=COUNT | {"by": {f"d{i}": of for i, of in enumerate(by)}}, headers=cut)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/fixed-cells-only")
    assert {cell[0] for cell in await ask(client, cut, TABLES[2])} == {"430302001", "430304001", "430304002"}
    uncleared = city.headers("clinic", scope="hub:query")
    assert (await client.post("/collections/clinic.visits/aggregate", json=COUNT, headers=uncleared)).status_code == 404
    for path in ("items", "items/1", "items?f=csv", "items?resultType=hits"):
        assert (await client.get(f"/collections/clinic.visits/{path}", headers=rights(city))).status_code == 403
        assert (await client.get(f"/collections/clinic.visits/{path}", headers=rights(city, "clinic:read", act={"sub": "430300/hub"}))).status_code == 403
    assert (await client.get("/collections/clinic.visits/items", headers=rights(city, "clinic:read"))).status_code == 200


async def test_what_is_not_in_a_cell_cannot_be_told_from_what_is_by_having_or_limit(city: City, client: httpx.AsyncClient) -> None:
    found = await ask(client, rights(city), TABLES[3])
    chosen = await ask(client, rights(city), TABLES[3], having="n >= 12", sortby=["-n"], limit=5)
    assert list(chosen.values()) == sorted((n for n in found.values() if n >= 12), reverse=True)[:5]
    assert chosen.items() <= found.items()


KEY = bytes(range(32))


def shown(cells: dict[tuple[Any, ...], frozenset[str]], key: bytes = KEY) -> dict[tuple[Any, ...], int]:
    """The perturbed tables as a service shows them, of cells with their persons; a fingerprint of the persons as text stands for the hashes."""
    return {cell: perturbed(key, "d", "~".join(sorted(persons)), len(persons)) for cell, persons in cells.items()}


def cells_of(rows: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], frozenset[str]]:
    found: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for row in rows:
        for by in TABLES:
            found[by, tuple(place(of, row) for of in by)].add(row[1])
    return {cell: frozenset(persons) for cell, persons in found.items()}


def singles(count: int, seed: int) -> list[tuple[Any, ...]]:
    """Rows of as many persons: all tables can be added up, which helps the attacker."""
    return [(row[0], f"q{row[0]}", *row[2:]) for row in people(count, seed)]


def test_differencing_all_tables_before_and_after_does_not_show_who_came() -> None:
    """The attacker knows everything of the person and sees every table with and without them: the mean of all changes, as the best guess."""
    guesses: list[bool] = []
    for seed in range(60):
        rows = singles(300, seed)
        chance = random.Random(seed)
        comes = chance.random() < 0.5
        key = chance.randbytes(32)
        target, other = rows[0], (10_000, "someone", *rows[1][2:])
        before, after = shown(cells_of(rows[1:]), key), shown(cells_of([*rows[1:], target if comes else other]), key)
        mine = [(by, tuple(place(of, target) for of in by)) for by in TABLES]
        others = [(by, tuple(place(of, other) for of in by)) for by in TABLES]
        telling = [cell for cell in mine if cell not in others]
        if not telling:
            continue
        rise = sum(after.get(cell, 0) != before.get(cell, 0) for cell in telling)
        guesses.append((np.mean([after.get(cell, 0) - before.get(cell, 0) for cell in telling]) > 0.5) == comes)
        assert rise <= len(telling)
    assert np.mean(guesses) < 0.87  # 0.77 of many; one half would be a coin


def test_solving_all_tables_together_leaves_cells_uncertain() -> None:
    """The attacker solves the equations of all tables by least squares and rounds: how often is a finest cell found, and how far off is it?"""
    found, off = Counter[bool](), []
    for seed in range(4):
        rows = singles(900, seed)
        answered = shown(cells_of(rows), random.Random(seed).randbytes(32))
        line_of = {cell: number for number, cell in enumerate(answered)}
        finest = [(row[2], place("time:day", row), row[4]) for row in rows]
        place_of = {cell: number for number, cell in enumerate(sorted(set(finest)))}
        equations = np.zeros((len(line_of), len(place_of)))
        for row, cell in zip(rows, finest, strict=True):
            equations[[line_of[by, tuple(place(of, row) for of in by)] for by in TABLES], place_of[cell]] = 1
        solved = np.linalg.lstsq(equations, np.array(list(answered.values())), rcond=None)[0]
        true = Counter(finest)
        errors = np.array([solved[number] - true[cell] for cell, number in place_of.items()])
        off.append(float(np.sqrt(np.mean(errors**2))))
        found.update(bool(abs(error) < 0.5) for error in errors)
    assert np.mean(off) > 1.8
    assert found[True] / found.total() < 0.22


def test_what_a_hub_says_is_the_sum_of_what_its_sources_say() -> None:
    layout = Layout((Dimension("place", "area:district", "string"),), (Measure("n", "count", perturbed=True),), "Asia/Shanghai")
    counts = ({"a": 7, "b": 2}, {"a": 1, "c": 9})
    sources = []
    for number, found in enumerate(counts):
        answer = SourceAnswer(source=f"430300/s{number}", dataset="clinic.visits", status="ok", served_from="cells")
        table = pa.table([list(found), list(found.values()), list(found.values())], schema=layout.schema())
        sources.append(read_states(write_states(States(layout, table, (answer,), smallest_group=3))))
    finished = finish(merge_states(sources))
    assert finished.table.to_pylist() == [{"place": "a", "n": 8}, {"place": "c", "n": 9}]
    assert (finished.suppressed, finished.columns[1]["perturbed"]) == (1, DESCRIPTION)
    beside = side_by_side({"one": finished, "two": finish(merge_states(sources[1:]))})
    assert beside.table.select(["two.n", "two.status"]).to_pylist() == [{"two.n": None, "two.status": "suppressed"}, {"two.n": 9, "two.status": "ok"}]


def test_a_cell_keeps_its_noise_and_neighbours_have_their_own() -> None:
    persons = [f"p{number}" for number in range(40)]
    noise = [perturbed(KEY, "d", "~".join(persons[:-1] if number is None else persons[:number] + persons[number + 1 :]), 39) - 39 for number in range(40)]
    assert len(set(noise)) > 4
    assert len({perturbed(KEY, "d", "x", 39) for _ in range(50)}) == 1
    assert len({perturbed(key.to_bytes(32, "big"), "d", "x", 39) for key in range(50)}) > 4
    for count in range(1, 12):
        values = [perturbed(KEY, "d", str(number), count) - count for number in range(4000)]
        most = min(count, AT_MOST)
        shares = [values.count(change) / 4000 for change in range(-most, most + 1)]
        assert shares == pytest.approx(table(count), abs=0.03)
        assert sum(shares) == pytest.approx(1)
    assert perturbed(KEY, "d", "x", 0) == 0


def test_the_key_is_made_once_and_refused_if_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cells.key"
    made = key_of(path)
    assert len(made) == 32 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["cells.key"]
    open_to_all = tmp_path / "open.key"
    open_to_all.write_text("00" * 32, encoding="ascii")
    open_to_all.chmod(0o644)
    with pytest.raises(Unavailable):
        key_of(open_to_all)


@pytest.mark.parametrize("tables", [tuple((f"f{number}",) for number in range(9)), (("time:hour",),), (("area:community", "time:day"),)])
def test_tables_are_few_and_coarse(tables: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(ValueError, match="at most"):
        Cells(tables=tables)


def test_every_pair_of_tables_is_protected_alike() -> None:
    """Two ways to the same group, directly and as a sum of smaller cells, differ by noise: nothing of it cancels."""
    rows = singles(900, 1)
    answered = shown(cells_of(rows))
    totals: dict[tuple[str, ...], int] = {by: sum(value for (of, _), value in answered.items() if of == by) for by in TABLES}
    assert len(set(totals.values())) == len(TABLES)
    for one, other in itertools.combinations(TABLES, 2):
        assert abs(totals[one] - totals[other]) <= AT_MOST * (len([1 for by, _ in answered if by == one]) + len([1 for by, _ in answered if by == other]))
