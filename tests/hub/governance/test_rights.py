"""Random rights ask random questions: no answer holds a row or a field beyond them, and the counts are those of what exists for them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.city import City
from tests.hub.federation.sectors import Federation
from tests.hub.governance.marked import PLACES, TEXTS, Rights, marked_federation, rights, secrets

ITEMS = "/collections/ward.reports/items"
AGGREGATE = "/collections/ward.reports/aggregate"
NUMBER = 60
"""Questions of the sample in `make test`."""
PERSONAL = {"hotline", "ailment"}
"""Fields that nobody groups by or measures, however high the clearance."""
PAGES = [
    "/collections",
    "/capabilities",
    "/catalog",
    "/sources",
    *(f"/collections/ward.reports{end}" for end in ("", "/schema", "/queryables", "/schema/feature", "/quality")),
]
Rows = list[dict[str, Any]]
Marked = tuple[Federation, Rows]


@pytest.fixture(scope="module")
async def marked(city: City) -> AsyncIterator[Marked]:
    async with marked_federation(city) as made:
        yield made


@dataclass
class Asked:
    """A question, and what is expected: how many rows, or that it is refused; None if only secrets are looked for."""

    path: str
    body: dict[str, Any] | None = None
    rows: int | None = None
    refused: bool = False

    @property
    def words(self) -> str:
        return f"{self.path} {self.body or ''}"


def question(chance: random.Random, held: Rights, all_rows: Rows) -> Asked:
    """One of many kinds of question, about visible and hidden things alike."""
    kind = chance.choice(
        ["page", "records", "records", "condition", "condition", "hits", "item", "aggregate", "aggregate", "short", "stream", "misspelt", "sql", "sql"]
    )
    made: Asked = KINDS[kind](chance, held, [row for row in all_rows if held.sees(row)], all_rows)
    return made


def condition(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> tuple[str, int | None]:
    """A filter and how many rows meet it; None if it names what does not exist for the asker."""
    field, row = chance.choice(["note", "amount", "area", *TEXTS]), chance.choice(all_rows)
    if field == "amount":
        return f"amount > {row['amount']}", sum(other["amount"] > row["amount"] for other in seen)
    if field == "area":
        return f"area LIKE '{row['area']}%'", sum(other["area"].startswith(row["area"]) for other in seen)
    meets = sum(other[field] >= row[field] for other in seen)
    return f"{field} >= '{row[field]}'", None if field in held.hidden else meets


def _page(chance: random.Random, *_: Any) -> Asked:
    return Asked(chance.choice(PAGES))


def _records(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    sort = chance.choice(["amount", "-seen_at", "note", *TEXTS])
    refused = sort.lstrip("-") in held.hidden
    form = chance.choice(["geojson", "csv", "arrow"])
    return Asked(f"{ITEMS}?limit={chance.choice([1, 3, 1000])}&sortby={sort}&f={form}", refused=refused)


def _condition(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    text, meets = condition(chance, held, seen, all_rows)
    return Asked(f"{ITEMS}?limit=1000&filter={quote(text)}", rows=meets, refused=meets is None)


def _hits(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    text, meets = condition(chance, held, seen, all_rows)
    return Asked(f"{ITEMS}?resultType=hits&filter={quote(text)}", rows=meets, refused=meets is None)


def _item(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    row = chance.choice(all_rows)
    return Asked(f"{ITEMS}/{row['id']}", refused=not held.sees(row))


def _aggregate(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    text, meets = condition(chance, held, seen, all_rows)
    by, of = chance.choice(["area", "area:district", *TEXTS]), chance.choice(["note", *TEXTS])
    measures = {"n": {"fn": "count"}, "top": {"fn": "max", "field": "amount"}, "d": {"fn": "distinct", "field": of}}
    body = {"measures": measures, "by": {"by": by}, "filter": text, "deadline_ms": 20_000}
    refused = meets is None or not PERSONAL.isdisjoint((by, of)) or by in held.hidden or of in held.hidden
    return Asked(AGGREGATE, body, rows=meets, refused=refused)


def _short(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    by = chance.choice(["area", *TEXTS])
    return Asked(f"{AGGREGATE}?measure=n:count&measure=last:max(seen_at)&by={by}", rows=len(seen), refused=by in held.hidden | PERSONAL)


def _stream(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    text, meets = condition(chance, held, seen, all_rows)
    return Asked(f"{ITEMS}?stream=true&f={chance.choice(['arrow', 'csv', 'geojson'])}&filter={quote(text)}", refused=meets is None)


def _misspelt(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    """Error messages hint at what is near, but not at what does not exist."""
    name = chance.choice(["hotlin", "ailmen", "sluicepla", "draughtboo", "amoun"])
    path = chance.choice([f"{ITEMS}?filter={name}%3D%271%27", f"{ITEMS}?sortby={name}", f"{ITEMS}?{name}=1", f"{AGGREGATE}?measure=n:count&by={name}"])
    return Asked(path, refused=True)


def _sql(chance: random.Random, held: Rights, seen: Rows, all_rows: Rows) -> Asked:
    field, row = chance.choice(["note", *TEXTS]), chance.choice(all_rows)
    statement = chance.choice(
        [
            "SELECT * FROM ward.reports",
            f"SELECT {field}, amount FROM ward.reports WHERE {field} >= '{row[field]}'",
            f"SELECT area, count(*) AS n, max({field}) AS top FROM ward.reports GROUP BY area",
            f"SELECT count(*) AS n FROM ward.reports WHERE note IN (SELECT note FROM ward.reports WHERE {field} IS NOT NULL)",
        ]
    )
    return Asked("/sql", {"sql": statement}, refused=field in held.hidden and field in statement)


KINDS: dict[str, Any] = {
    "page": _page,
    "records": _records,
    "condition": _condition,
    "hits": _hits,
    "item": _item,
    "aggregate": _aggregate,
    "short": _short,
    "stream": _stream,
    "misspelt": _misspelt,
    "sql": _sql,
}


async def try_rights(marked: Marked, number: int, seed: int) -> None:
    made, all_rows = marked
    chance = random.Random(seed)
    for _ in range(number):
        held = rights(chance)
        asked = question(chance, held, all_rows)
        if asked.path.startswith("/sql") and not any(getattr(route, "path", "") == "/sql" for route in made.app.routes):
            continue
        headers = made.headers(**held.claims)
        answer = await made.client.request("POST" if asked.body else "GET", asked.path, json=asked.body, headers=headers)
        assert answer.status_code < 500, (asked, held, answer.text[:500])
        check_secrets(asked, held, answer, all_rows)
        if asked.refused:
            assert answer.status_code in (400, 403, 404, 422), (asked, held, answer.text[:500])
        elif asked.rows is not None:
            assert answer.status_code == 200, (asked, held, answer.text[:500])
            assert counted(answer.json()) == asked.rows, (asked, held)
        for following in next_pages(answer):
            page = await made.client.get(following, headers=headers)
            assert page.status_code == 200, (asked, held, page.text[:300])
            check_secrets(asked, held, page, all_rows)


def check_secrets(asked: Asked, held: Rights, answer: httpx.Response, all_rows: Rows) -> None:
    """No byte of the answer, its head included, tells of what is hidden, save what the question itself said."""
    told = answer.content + repr(sorted(answer.headers.items())).encode()
    for secret, meaning in secrets(held, all_rows).items():
        assert secret not in told or secret in asked.words.encode(), (asked, held, meaning, answer.text[:800])
    for field in held.hidden:
        assert field.encode() not in told or field in asked.words, (asked, held, f"the name {field}", answer.text[:800])


def counted(answer: dict[str, Any]) -> int:
    """The rows that an answer rests on, however it says so."""
    if "numberMatched" in answer:
        return int(answer["numberMatched"])
    if "columns" in answer:
        names = [column["name"] for column in answer["columns"]]
        return sum(row[names.index("n")] for row in answer["rows"])
    return int(answer["numberReturned"])


def next_pages(answer: httpx.Response) -> list[str]:
    """The link to the next page, wherever it stands."""
    if answer.status_code == 200 and "json" in answer.headers["content-type"]:
        body = answer.json()
        return [link["href"] for link in body.get("links", ()) if link["rel"] == "next"] if isinstance(body, dict) else []
    following = answer.links.get("next")
    return [following["url"]] if following else []


async def test_no_answer_holds_a_row_or_a_field_beyond_the_askers_rights(marked: Marked) -> None:
    await try_rights(marked, NUMBER, 20261122)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(5))
async def test_no_answer_does_however_often_one_tries(marked: Marked, seed: int) -> None:
    await try_rights(marked, 200, seed)


async def test_a_leak_would_be_found(marked: Marked) -> None:
    """The check itself is tried on answers that leak: another's row, a hidden field's name, a number in an Arrow array."""
    made, all_rows = marked
    held = Rights(("430302",), "general", "none")
    full = made.headers(areas=["*"], clearance={"grade": "important", "personal": "sensitive"})
    for form in ("geojson", "csv", "arrow"):
        answer = await made.client.get(f"{ITEMS}?limit=1000&f={form}", headers=full)
        assert answer.status_code == 200
        with pytest.raises(AssertionError):
            check_secrets(Asked(ITEMS), held, answer, all_rows)
    hinted = httpx.Response(400, text="Did you mean 'hotline'?")
    with pytest.raises(AssertionError, match="the name hotline"):
        check_secrets(Asked(ITEMS), held, hinted, all_rows)
    assert all(row["seen_at"].tzinfo is UTC for row in all_rows)
    assert len({row["id"] for row in all_rows}) == 40
    assert set(made.app.state.runtime.own.registry.sources) == set(PLACES)
