"""A pattern that no single laboratory shows: what lies upstream of failed samples and not of the others, by one statement."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Integer, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.caller import Caller

MAX_DEPTH = 20
"""Transformations that are followed upstream."""
_MINE = "(:everywhere OR EXISTS (SELECT FROM unnest(:areas) AS prefix WHERE left({area}, length(prefix)) = prefix))"
_PATTERNS = text(f"""
    WITH RECURSIVE tested AS MATERIALIZED (
        SELECT s.id, s.lot, s.premises, bool_or(t.verdict = 'exceeds') AS failed,
            array_agg(DISTINCT t.laboratory) FILTER (WHERE t.verdict = 'exceeds') AS laboratories
        FROM tests t JOIN samples s ON s.id = t.sample
        WHERE t.analyte = :analyte AND NOT t.superseded AND t.verdict <> 'not_assessed' AND s.lot IS NOT NULL
            AND s.taken_at >= :since AND s.taken_at <= :until AND {_MINE.format(area="s.area")}
        GROUP BY s.id
    ), upstream (lot, ancestor, depth) AS (
        SELECT DISTINCT lot, lot, 0 FROM tested
        UNION
        SELECT u.lot, i.lot, u.depth + 1
        FROM upstream u
        JOIN movements o ON o.lot = u.ancestor AND o.kind = 'output'
        JOIN movements i ON i.event = o.event AND i.kind = 'input'
        WHERE u.depth < :depth
    ), shared AS (
        SELECT DISTINCT u.lot, CASE WHEN :by_lot THEN u.ancestor ELSE a.premises END AS upstream
        FROM upstream u JOIN lots a ON a.id = u.ancestor
    ), rated AS (
        SELECT h.upstream, count(*) AS samples, count(*) FILTER (WHERE t.failed) AS failed,
            count(DISTINCT t.premises) FILTER (WHERE t.failed) AS premises, array_agg(t.id) FILTER (WHERE t.failed) AS ids
        FROM shared h JOIN tested t ON t.lot = h.lot GROUP BY h.upstream
    ), whole AS (SELECT count(*) AS samples, count(*) FILTER (WHERE failed) AS failed FROM tested),
    found AS (
        SELECT r.upstream, coalesce(l.name, p.name) AS name, p.area, r.samples, r.failed, r.premises,
            (SELECT count(DISTINCT b.id) FROM tested t, unnest(t.laboratories) AS b (id) WHERE t.id = ANY(r.ids)) AS laboratories,
            r.failed::float8 / r.samples / (w.failed::float8 / w.samples) AS lift
        FROM rated r CROSS JOIN whole w
        LEFT JOIN lots l ON :by_lot AND l.id = r.upstream
        JOIN premises p ON p.id = CASE WHEN :by_lot THEN l.premises ELSE r.upstream END
        WHERE r.failed > 0 AND {_MINE.format(area="p.area")}
    )
    SELECT w.samples AS all_samples, w.failed AS all_failed, f.*
    FROM whole w LEFT JOIN found f ON f.laboratories >= :laboratories
    ORDER BY f.lift DESC NULLS LAST, f.failed DESC, f.upstream LIMIT :limit
""").bindparams(
    bindparam("areas", type_=ARRAY(Text)),
    bindparam("everywhere", type_=Boolean),
    bindparam("by_lot", type_=Boolean),
    bindparam("depth", type_=Integer),
    bindparam("since", type_=DateTime(timezone=True)),
    bindparam("until", type_=DateTime(timezone=True)),
)
_SHOWN = ("upstream", "name", "area", "samples", "failed", "laboratories", "premises", "lift")


async def patterns_of(
    reader: AsyncConnection, caller: Caller, analyte: str, since: datetime, until: datetime, *, by: str, laboratories: int, limit: int
) -> dict[str, Any]:
    """Lots or premises upstream of failed samples of at least so many laboratories, ranked by lift: their rate of failure over that of all.

    Only samples of recorded lots that lie in the caller's areas are counted, and only such upstream is named.
    """
    given = {"analyte": analyte, "since": since, "until": until, "depth": MAX_DEPTH, "by_lot": by == "lot", "laboratories": laboratories, "limit": limit}
    rows = (await reader.execute(_PATTERNS, given | {"everywhere": caller.everywhere, "areas": list(caller.areas)})).mappings().all()
    patterns = [{name: row[name] for name in _SHOWN} for row in rows if row["upstream"] is not None]
    counted = {"samples": rows[0]["all_samples"], "failed": rows[0]["all_failed"]}
    return {"analyte": analyte, "since": since, "until": until, "by": by, **counted, "patterns": patterns}
