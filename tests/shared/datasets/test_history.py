"""As it was known: answers of a past moment stay what they were, whatever is written, corrected, deleted or still under way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import select

from shared.datasets.history import as_known, settled
from tests.shared.datasets.conftest import Watch
from tests.shared.datasets.watch import reports

ITEMS = "/collections/watch.reports/items"
ADD = "INSERT INTO reports (id, kind, level, seen_at, area, recorded_by) VALUES ($1, 'flood', $2, now(), '430302', 'test')"
Known = dict[str, int | None]


@asynccontextmanager
async def writing(watch: Watch) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(watch.settings.database_url.get_secret_value())
    try:
        yield connection
    finally:
        await connection.close()


async def known(watch: Watch, asked: datetime | None = None) -> tuple[datetime, Known]:
    """What was known at a moment, now if none is given: the moment that was answered for, and levels by id."""
    async with watch.app.state.runtime.reader.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        moment = await settled(connection, asked or datetime.now(UTC) + timedelta(minutes=1))
        rows = as_known(reports, moment)
        return moment, dict((await connection.execute(select(rows.c.id, rows.c.level))).all())


async def now(watch: Watch) -> Known:
    async with watch.app.state.runtime.reader.connect() as connection:
        return dict((await connection.execute(select(reports.c.id, reports.c.level))).all())


async def test_a_correction_and_a_deletion_do_not_change_yesterdays_answer(own_watch: Watch) -> None:
    moment, before = await known(own_watch)
    async with writing(own_watch) as writer:
        await writer.execute("UPDATE reports SET level = 9 WHERE id = 'r1'")
        await writer.execute("DELETE FROM reports WHERE id = 'r2'")
        await writer.execute(ADD, "r6", 1)
        await writer.execute("UPDATE posts SET name = 'Renamed'")
    page = (await own_watch.get(ITEMS, known_at=moment.isoformat())).json()
    assert {feature["id"]: feature["properties"]["level"] for feature in page["features"]} == before
    assert page["features"][0]["properties"]["post_name"] == "North gate"
    assert datetime.fromisoformat(page["known_at"]) == moment
    assert (await own_watch.get(f"{ITEMS}/r2", known_at=moment.isoformat())).json()["id"] == "r2"
    assert (await own_watch.get(f"{ITEMS}/r2")).status_code == 404
    assert await known(own_watch, moment) == (moment, before)
    assert (await known(own_watch))[1] == await now(own_watch) != before


async def test_before_the_first_row_nothing_was_known(watch: Watch) -> None:
    assert await watch.ids(known_at="2026-01-01T00:00:00Z") == []


async def test_a_writer_that_is_slow_to_commit_does_not_slip_under_an_answer(own_watch: Watch) -> None:
    async with writing(own_watch) as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(ADD, "r6", 1)
        await writer.execute("UPDATE reports SET level = 9 WHERE id = 'r1'")
        moment, answer = await known(own_watch)
        assert "r6" not in answer
        recorded = own_watch.sql("SELECT clock_timestamp() AS moment")[0]["moment"]
        await asyncio.sleep(0.01)
        await transaction.commit()
    assert await known(own_watch, moment) == (moment, answer)
    between = recorded + timedelta(milliseconds=5)
    assert (await known(own_watch, between)) == (between, answer), "after it was written, before it was committed"
    assert (await known(own_watch))[1] == {**answer, "r6": 1, "r1": 9}


async def test_while_a_commit_is_under_way_the_answer_is_for_the_moment_before_it(own_watch: Watch) -> None:
    async with writing(own_watch) as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(ADD, "r6", 1)
        before_commit = own_watch.sql("SELECT clock_timestamp() AS moment")[0]["moment"]
        await writer.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what COMMIT does first: the row bears its moment of commit, and nobody sees it yet
        asked = own_watch.sql("SELECT clock_timestamp() AS moment")[0]["moment"]
        moment, answer = await known(own_watch, asked)
        assert before_commit < moment < asked
        assert "r6" not in answer
        await transaction.commit()
    assert await known(own_watch, moment) == (moment, answer)
    assert "r6" in (await known(own_watch, asked))[1]


async def test_all_that_a_transaction_writes_appears_at_once(own_watch: Watch) -> None:
    async with writing(own_watch) as writer, writer.transaction():
        await writer.execute(ADD, "r6", 1)
        between = own_watch.sql("SELECT clock_timestamp() AS moment")[0]["moment"]
        await writer.execute(ADD, "r7", 1)
        await writer.execute("UPDATE posts SET name = 'Renamed'")
    assert not {"r6", "r7"} & (await known(own_watch, between))[1].keys()
    moments = own_watch.sql("SELECT DISTINCT recorded_at FROM reports WHERE id IN ('r6', 'r7') UNION SELECT recorded_at FROM posts")
    assert len(moments) == 1
    noted = own_watch.sql("SELECT table_name FROM changes WHERE recorded_at = $1", moments[0]["recorded_at"])
    assert {row["table_name"] for row in noted} == {"reports", "posts"}


async def test_what_a_transaction_overwrites_of_its_own_was_never_known(own_watch: Watch) -> None:
    async with writing(own_watch) as writer, writer.transaction():
        await writer.execute(ADD, "r6", 1)
        await writer.execute("UPDATE reports SET level = level + 1 WHERE id IN ('r1', 'r6')")
        await writer.execute("UPDATE reports SET level = level + 1 WHERE id IN ('r1', 'r6')")
        await writer.execute("DELETE FROM reports WHERE id = 'r6'")
    assert [(row["id"], row["level"]) for row in own_watch.sql("SELECT id, level FROM reports_history")] == [("r1", 3)]


async def test_a_savepoint_rolled_back_leaves_nothing(own_watch: Watch) -> None:
    async with writing(own_watch) as writer, writer.transaction():
        savepoint = writer.transaction()
        await savepoint.start()
        await writer.execute("UPDATE reports SET level = 0")
        await savepoint.rollback()
        await writer.execute(ADD, "r6", 1)
    assert (await known(own_watch))[1] == await now(own_watch)
    assert own_watch.sql("SELECT count(*) AS kept FROM reports_history")[0]["kept"] == 0


@pytest.mark.parametrize("seed", range(3))
async def test_answers_stay_what_they_were_while_writers_cross(own_watch: Watch, seed: int) -> None:
    draw = random.Random(seed)
    answers: dict[datetime, Known] = {}

    async def write(number: int) -> None:
        async with writing(own_watch) as writer:
            for turn in range(12):
                async with writer.transaction():
                    await writer.execute(ADD, f"w{number}-{turn}", draw.randrange(9))
                    await asyncio.sleep(draw.random() / 100)
                    await writer.execute("UPDATE reports SET level = $2 WHERE id LIKE $1", f"w{number}-%{draw.randrange(12)}", draw.randrange(9))
                    if draw.random() < 0.3:
                        await writer.execute("DELETE FROM reports WHERE id = $1", f"w{number}-{draw.randrange(12)}")
                    await asyncio.sleep(draw.random() / 100)

    async def ask() -> None:
        for _ in range(40):
            moment, answer = await known(own_watch)
            answers[moment] = answer
            await asyncio.sleep(0.004)

    await asyncio.gather(*(write(number) for number in range(3)), ask())
    assert len(set(map(str, answers.values()))) > 5
    for moment, answer in answers.items():
        assert await known(own_watch, moment) == (moment, answer)
    assert (await known(own_watch))[1] == await now(own_watch)


async def test_the_version_counts_every_change_even_those_that_commit_late(own_watch: Watch) -> None:
    def version() -> tuple[int, int]:
        folded = "SELECT coalesce(sum(changes), 0) FROM change_counts WHERE table_name = 'reports'"
        recent = "SELECT count(*) FROM changes WHERE table_name = 'reports' AND id > (SELECT coalesce(max(through), 0) FROM change_counts)"
        row = own_watch.sql(f"SELECT ({folded}) + ({recent}) AS version, (SELECT count(*) FROM changes WHERE table_name = 'reports') AS counted")[0]
        return int(row["version"]), row["counted"]

    async with writing(own_watch) as late, writing(own_watch) as writer:
        for number in range(10):
            await writer.execute(ADD, f"e{number}", 1)
        transaction = late.transaction()
        await transaction.start()
        await late.execute(ADD, "late", 1)
        for number in range(10):
            await writer.execute(ADD, f"f{number}", 1)
        own_watch.sql("SELECT fold_changes()", role="owner")
        assert version() == (21, 21)
        assert own_watch.sql("SELECT changes FROM change_counts WHERE table_name = 'reports'")[0]["changes"] == 11
        await transaction.commit()
        assert version() == (22, 22)
        own_watch.sql("SELECT fold_changes()", role="owner")
        own_watch.sql("SELECT fold_changes()", role="owner")
        assert version() == (22, 22)


async def test_folding_happens_by_itself(own_watch: Watch) -> None:
    async with writing(own_watch) as writer:
        await writer.execute("DO $$ BEGIN FOR n IN 1..1100 LOOP UPDATE reports SET level = n; COMMIT; END LOOP; END $$")
    assert own_watch.sql("SELECT changes FROM change_counts WHERE table_name = 'reports'")[0]["changes"] > 900


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM reports_history",
        "UPDATE reports_history SET level = 0",
        "INSERT INTO changes (table_name, recorded_at) VALUES ('reports', now())",
        "UPDATE changes SET committed_at = now()",
        "DELETE FROM change_counts",
        "TRUNCATE reports",
        "ALTER TABLE reports DISABLE TRIGGER ALL",
    ],
)
async def test_the_app_cannot_rewrite_the_past(watch: Watch, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        watch.sql(statement)


async def test_pages_of_a_past_moment_stay_at_that_moment(own_watch: Watch) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    page = (await own_watch.get(ITEMS, known_at=later.isoformat(), limit="2")).json()
    assert datetime.fromisoformat(page["known_at"]) < later
    own_watch.sql("DELETE FROM reports WHERE id IN ('r3', 'r5')")
    rest = (await own_watch.get(page["links"][-1]["href"])).json()
    assert [feature["id"] for feature in rest["features"]] == ["r3", "r4"]
    assert rest["known_at"] == page["known_at"]
