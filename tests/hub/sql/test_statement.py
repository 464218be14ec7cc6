"""What is taken as a statement, what is refused, and where the problem points."""

from __future__ import annotations

from typing import Any

import pytest

from services.hub.sql.problems import SqlNotAllowed, SqlParameter, SqlProblem, SqlSyntax, SqlTooComplex, SqlUnknownColumn, SqlUnknownTable
from services.hub.sql.statement import read
from tests.hub.sql.test_planning import planned

ESCAPES = (
    "COPY fire.calls TO '/tmp/x.csv'",
    "COPY (SELECT 1) TO 'https://example.org/x'",
    "ATTACH 'x.db'",
    "ATTACH 'host=127.0.0.1' AS pg (TYPE postgres)",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "CREATE TABLE x AS SELECT 1",
    "CREATE MACRO f(x) AS TABLE SELECT * FROM read_csv(x)",
    "CREATE SECRET s (TYPE s3)",
    "INSERT INTO fire.calls SELECT * FROM fire.calls",
    "UPDATE fire.calls SET kind = 'x'",
    "DELETE FROM fire.calls",
    "DROP TABLE fire.calls",
    "ALTER TABLE fire.calls ADD COLUMN x INT",
    "TRUNCATE fire.calls",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "CALL pragma_version()",
    "USE memory",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN",
    "DETACH memory",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "SUMMARIZE fire.calls",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT * FROM 'food.csv'",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_parquet('http://127.0.0.1/x')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('fire.calls')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM scan_0",
    "SELECT * FROM range(1000000000)",
    "SELECT * FROM fire.calls, LATERAL (SELECT 1)",
    "SELECT unnest(range(1000000000))",
    "SELECT repeat('x', 1000000000)",
    "SELECT getenv('HOME')",
    "SELECT current_setting('secret_directory')",
    "SELECT getvariable('x')",
    "SELECT nextval('s')",
    "SELECT read_text('/etc/passwd')",
    "SELECT list_transform([1], x -> x)",
    "SELECT COLUMNS('.*') FROM fire.calls",
    "SELECT * REPLACE (1 AS id) FROM fire.calls",
    "SELECT 1 INTO x",
    "SELECT 1::JSON",
    "SELECT {'a': 1}",
    "SELECT [1]",
    "SELECT random()",
    "SELECT uuid()",
    "SELECT fire.calls FROM fire.calls",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT * FROM x",
    "SELECT * FROM fire.calls USING SAMPLE 10%",
    "SELECT * FROM fire.calls AT (VERSION => 1)",
    "PIVOT fire.calls ON kind USING count(*)",
    "SELECT id FROM fire.calls ORDER BY ALL LIMIT (SELECT 3)",
    "VALUES (1)",
    "",
    "-- nothing",
    "SELECT 'open",
    "SELECT \x00",
    "SELECT '\ud800'",
    "(" * 3000,
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT " + "NOT " * 3000 + "TRUE",
    "SELECT " + "-" * 1500 + "1",
    "SELECT 1" + "+1" * 7000,
    "SELECT " + ", ".join(f"(SELECT {n})" for n in range(100)),
    "WITH a AS (SELECT *, * FROM fire.calls)" + "".join(f", a{n} AS (SELECT *, * FROM a{n - 1 if n else ''})" for n in range(20)) + " SELECT * FROM a19",
    "SELECT units + units AS a0" + "".join(f", a{n} + a{n} AS a{n + 1}" for n in range(40)) + " FROM fire.calls",
    "SELECT count(*) FROM " + ", ".join(f"fire.calls c{n}" for n in range(20)),
    "SELECT CAST(1 AS STRUCT(a INT))",
    "SELECT 1 /* */ */ FROM x",
    "/**/" * 4000 + "x",
    "SELECT CAST('1' AS INTERVAL DAY)",
    "SELECT lpad('x', 1000000000, 'y')",
    "SELECT rpad(id, units, 'y') FROM fire.calls",
    "SELECT x.* EXCLUDE (b) FROM (SELECT 1 AS b) x",
    "SELECT id FROM fire.calls LIMIT 1 OFFSET 99999999999999999999",
    "WITH Scan_0 AS (SELECT 1 AS x) SELECT x FROM Scan_0, fire.calls",
    "SELECT * FROM " + "(SELECT * FROM " * 55 + "(SELECT " + ", ".join(f"units + {n} AS u{n}" for n in range(200)) + " FROM fire.calls)" + ")" * 55,
)


@pytest.mark.parametrize("sql", ESCAPES, ids=lambda sql: repr(sql[:40]))
def test_nothing_but_a_bounded_select_over_datasets_is_taken(sql: str) -> None:
    with pytest.raises(SqlProblem):
        planned(sql)


@pytest.mark.parametrize(
    ("sql", "kind", "line", "column", "said"),
    [
        ("SELECT kindd FROM fire.calls", SqlUnknownColumn, 1, 8, "'kind'"),
        ("SELECT kind\nFROM fire.cals", SqlUnknownTable, 2, 6, "fire.calls"),
        ("SELECT kind\nFROM fire.calls\n  WHER kind = 'x' AND", SqlSyntax, 3, 8, "kind"),
        ("SELECT\n  cout(*) FROM fire.calls", SqlNotAllowed, 2, 3, "'count'"),
        ("SELECT ?, kind, uints FROM fire.calls WHERE kind = ?", SqlUnknownColumn, 1, 17, "'units'"),
        ("SELECT c.id FROM fire.calls c JOIN air.readings r ON area = 'x'", SqlSyntax, 1, 54, "several tables"),
        ("SELECT x.phone FROM (SELECT * FROM fire.calls) x", SqlUnknownColumn, 1, 10, "DESCRIBE"),
    ],
)
def test_a_problem_points_at_its_place_and_names_what_is_close(sql: str, kind: type[SqlProblem], line: int, column: int, said: str) -> None:
    with pytest.raises(kind) as caught:
        planned(sql, params=["a", "b"] if "?" in sql else ())
    body = caught.value.body()
    assert (body["line"], body["column"]) == (line, column), body
    assert said in body["detail"]
    assert set(body["remedy"]) == {"zh", "en"}


@pytest.mark.parametrize(
    ("sql", "params"),
    [("SELECT ?", []), ("SELECT $a", {"b": 1}), ("SELECT 1", [1]), ("SELECT ?", [2**64]), ("SELECT ?", ["x" * 9000]), ("SELECT ?", ["\ud800"])],
)
def test_parameters_that_do_not_fit_are_refused(sql: str, params: Any) -> None:
    with pytest.raises(SqlParameter):
        planned(sql, params=params)


def test_parameters_stand_where_they_like() -> None:
    filters = [
        planned(sql, params=[1, 2]).scans[0].filter
        for sql in ("SELECT id FROM fire.calls WHERE units IN (?,?)", "SELECT id FROM fire.calls WHERE units IN ($1,$2)")
    ]
    assert filters == [{"op": "in", "args": [{"property": "units"}, [1, 2]]}] * 2
    assert "CAST('2026-11-01' AS DATE)" in planned("SELECT ?::DATE", params=["2026-11-01"]).sql


@pytest.mark.parametrize(
    ("sql", "light"),
    [
        ("SELECT kind, count(*) FROM fire.calls GROUP BY kind", True),
        ("SELECT id FROM fire.calls LIMIT 10", True),
        ("SELECT count(*) FROM (VALUES (1), (2)) a(x), (VALUES (1), (2)) b(y)", False),
        ("WITH g AS (SELECT kind, count(*) AS n FROM fire.calls GROUP BY kind) SELECT count(*) FROM g a, g b", False),
        ("WITH g AS (SELECT kind, count(*) AS n FROM fire.calls GROUP BY kind) SELECT (SELECT count(*) FROM g b WHERE b.n < a.n) FROM g a", False),
    ],
)
def test_what_is_joined_is_never_light(sql: str, light: bool) -> None:
    assert planned(sql, limit=1000).light is light


def test_parameters_are_literals_whatever_they_hold() -> None:
    made = planned("SELECT count(*) FROM fire.calls WHERE kind = $k OR kind = $other", params={"k": "x' OR 1=1 --", "other": '"; DROP TABLE x'})
    assert made.scans[0].filter == {
        "op": "or",
        "args": [
            {"op": "=", "args": [{"property": "kind"}, "x' OR 1=1 --"]},
            {"op": "=", "args": [{"property": "kind"}, '"; DROP TABLE x']},
        ],
    }


def test_a_text_of_any_length_and_depth_is_answered() -> None:
    for sql in ("SELECT " + "f(" * 5000, "SELECT " * 2000, "SELECT " + "CASE WHEN " * 1500, "[" * 16_000, "SELECT 1 " + "UNION SELECT 1 " * 900):
        with pytest.raises((SqlSyntax, SqlTooComplex, SqlNotAllowed)):
            planned(sql)
    assert read("EXPLAIN SELECT 1").explain
