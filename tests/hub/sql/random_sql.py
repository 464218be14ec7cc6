"""Random SELECTs over calls and readings: everything that is pushed to the sources, mixed with what is not."""

from __future__ import annotations

import random

KINDS = ("structure_fire", "vehicle_fire", "rescue", "flood")
AREAS = ("430302", "430304", "430321", "430399")


def predicate(chance: random.Random, t: str = "", depth: int = 2) -> str:
    """A condition on calls; `t` is the alias with its dot."""
    if depth and chance.random() < 0.45:
        left, right = predicate(chance, t, depth - 1), predicate(chance, t, depth - 1)
        return chance.choice((f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})"))
    return chance.choice((*_of_words(chance, t), *_of_numbers(chance, t), *_of_times(chance, t)))


def _of_words(chance: random.Random, t: str) -> tuple[str, ...]:
    kind, area = chance.choice(KINDS), chance.choice(AREAS)
    return (
        f"{t}kind = '{kind}'",
        f"{t}kind <> '{kind}'",
        f"'{kind}' < {t}kind",
        f"{t}kind IN ('{kind}', 'rescue')",
        f"{t}kind NOT IN ('{kind}', 'flood')",
        f"{t}kind LIKE '%_fi_e'",
        f"{t}kind LIKE 'struct%'",
        f"starts_with({t}kind, 'vehicle_')",
        f"left({t}area, 4) = '4303'",
        f"left({t}area, 6) = '{area}'",
        f"{t}area >= '{area}'",
        f"length({t}kind) > 8",
        f"lower({t}kind) = 'rescue'",
    )


def _of_numbers(chance: random.Random, t: str) -> tuple[str, ...]:
    number = chance.randrange(0, 1200)
    return (
        f"{t}response_s > {number}",
        f"{t}response_s <= {number / 7:.3f}",
        f"{t}response_s BETWEEN {number / 2} AND {number}",
        f"{t}response_s IS NULL",
        f"{t}response_s IS NOT NULL",
        f"{t}units = {number % 9}",
        f"{t}units IN (1, {number % 9}, 7)",
        f"{t}units < 3.5",
        f"{t}units < {t}response_s",
        f"{t}units % 2 = 0",
        f"{t}response_s * 2 > {number}",
        f"coalesce({t}response_s, 0) < {number}",
        f"CASE WHEN {t}units > 4 THEN {t}kind = 'rescue' ELSE {t}response_s IS NULL END",
    )


def _of_times(chance: random.Random, t: str) -> tuple[str, ...]:
    day = chance.randrange(1, 4)
    return (
        f"{t}received_at >= '2026-11-0{day}'",
        f"{t}received_at < TIMESTAMPTZ '2026-11-0{day} 14:00:00+08'",
        f"{t}received_at > DATE '2026-11-0{day}' + INTERVAL 5 HOUR",
        f"{t}received_at BETWEEN TIMESTAMP '2026-11-0{day} 03:00:00' AND TIMESTAMPTZ '2026-11-03 00:00:00Z' - INTERVAL '{day}' HOURS",
        f"hour({t}received_at) < 12",
        f"{t}received_at::DATE = DATE '2026-11-0{day}'",
    )


KEYS = (
    "kind",
    "area",
    "left(area, 4)",
    "units",
    "date_trunc('day', received_at)",
    "date_trunc('hour', received_at)",
    "date_trunc('week', received_at)",
    "units % 3",
    "upper(kind)",
)
MEASURES = (
    "count(*)",
    "count(response_s)",
    "count(DISTINCT kind)",
    "count(DISTINCT units)",
    "sum(units)",
    "sum(response_s)",
    "avg(units)",
    "avg(response_s)",
    "min(received_at)",
    "max(kind)",
    "min(response_s)",
    "max(units)",
    "stddev(response_s)",
    "quantile_cont(response_s, 0.9)",
    "count(*) FILTER (WHERE units > 3)",
    "sum(units) + count(*)",
    "median(response_s)",
    "max(id)",
)


def _rows(chance: random.Random) -> str:
    columns = chance.sample(("kind", "area", "response_s", "units", "received_at", "upper(kind)", "units + 1", "_source"), chance.randrange(1, 5))
    distinct = chance.choice(("", "", "DISTINCT "))
    return f"SELECT {distinct}{', '.join(columns)} FROM fire.calls WHERE {predicate(chance)}"


def _groups(chance: random.Random) -> str:
    keys, measures = chance.sample(KEYS, chance.randrange(0, 3)), chance.sample(MEASURES, chance.randrange(1, 4))
    where = f" WHERE {predicate(chance)}" if chance.random() < 0.8 else ""
    having = f" HAVING count(*) > {chance.randrange(0, 40)}" if chance.random() < 0.4 else ""
    group = f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
    return f"SELECT {', '.join([*keys, *measures])} FROM fire.calls{where}{group}{having}"


def _join(chance: random.Random) -> str:
    kind = chance.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
    on = chance.choice(("", f" AND {predicate(chance, 'c.', 1)}", " AND r.value > 150", " AND r.id IS NULL"))
    where = chance.choice(("", f" WHERE {predicate(chance, 'c.', 1)}", " WHERE r.value IS NULL OR r.value < 60", " WHERE r.value > 100 AND c.units = 3"))
    truncated = chance.choice((" AND date_trunc('hour', c.received_at) = r.time", ""))
    return (
        f"SELECT c.kind, count(*), sum(c.units), max(r.value) FROM fire.calls c {kind} air.readings r ON r.area = c.area{truncated}{on}{where} GROUP BY c.kind"
    )


def _inner(chance: random.Random) -> str:
    plain, outer = predicate(chance, depth=1), predicate(chance, "c.", 1)
    inner = f"SELECT * FROM fire.calls WHERE {predicate(chance, depth=1)}"
    return chance.choice(
        (
            f"SELECT s.kind, s.n FROM (SELECT kind, count(*) AS n FROM fire.calls GROUP BY kind) s WHERE s.n > {chance.randrange(200, 600)}",
            f"SELECT count(*), sum(s.units) FROM ({inner}) s WHERE {predicate(chance, 's.', 1)}",
            f"WITH x AS ({inner}) SELECT a.kind, count(*) FROM x a JOIN x b ON a.id = b.id WHERE {predicate(chance, 'a.', 1)} GROUP BY 1",
            f"SELECT kind, count(*) FROM fire.calls c WHERE EXISTS (SELECT 1 FROM air.readings r WHERE r.area = c.area AND value > 295) AND {outer} GROUP BY 1",
            f"SELECT id FROM fire.calls WHERE area IN (SELECT area FROM air.readings WHERE value > {chance.randrange(100, 400)}) AND {plain}",
            f"SELECT id FROM fire.calls WHERE area NOT IN (SELECT area FROM air.readings WHERE value > {chance.randrange(250, 400)}) AND {plain}",
            f"SELECT c.area, (SELECT max(value) FROM air.readings r WHERE r.area = c.area) AS m, count(*) FROM fire.calls c WHERE {outer} GROUP BY c.area",
            f"SELECT DISTINCT s.k FROM (SELECT kind AS k, units FROM fire.calls WHERE {predicate(chance, depth=1)}) AS s WHERE s.k <> 'rescue' OR s.units > 4",
        )
    )


def _sets(chance: random.Random) -> str:
    word = chance.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT"))
    return f"SELECT kind, units FROM fire.calls WHERE {predicate(chance)} {word} SELECT kind, units FROM fire.calls WHERE {predicate(chance)}"


def _ordered(chance: random.Random) -> str:
    order = chance.choice(("response_s DESC NULLS LAST, id", "kind, units DESC, id", "id DESC"))
    cut = f"LIMIT {chance.randrange(1, 50)} OFFSET {chance.randrange(0, 9)}"
    return f"SELECT id, kind, response_s FROM fire.calls WHERE {predicate(chance)} ORDER BY {order} {cut}"


def _windows(chance: random.Random) -> str:
    return (
        "SELECT id, row_number() OVER (PARTITION BY kind ORDER BY response_s NULLS LAST, id) AS r, "
        f"sum(units) OVER (PARTITION BY area) AS s FROM fire.calls WHERE {predicate(chance)} QUALIFY r <= {chance.randrange(1, 9)}"
    )


SHAPES = (_rows, _groups, _groups, _groups, _join, _inner, _inner, _sets, _ordered, _windows)


def statement(chance: random.Random) -> str:
    return chance.choice(SHAPES)(chance)
