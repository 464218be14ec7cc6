"""What crosses HTTP when SQL is asked."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.hub.federation.naming import Named
from services.hub.sql.statement import MOST_CHARACTERS
from shared.datasets.aggregate.question import Moment

MOST_ROWS = 10_000_000
DEFAULT_ROWS = 10_000
MOST_PARAMS = 100
Value = str | int | float | bool | None


class SqlQuestion(BaseModel):
    """One SELECT over the datasets of the city."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "sql": "SELECT area, count(*) AS incidents FROM hub.incidents WHERE opened_at > now() - INTERVAL 7 DAY GROUP BY area ORDER BY 2 DESC",
                    "limit": 100,
                }
            ]
        },
    )

    sql: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS, description="SELECT, SHOW TABLES, DESCRIBE or EXPLAIN, in DuckDB's dialect")]
    params: Annotated[
        Annotated[list[Value], Field(max_length=MOST_PARAMS)] | Annotated[dict[str, Value], Field(max_length=MOST_PARAMS)] | None,
        Field(description="Values for ? or $1 as a list, for $name as an object; they become literals, never text"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="Most rows of the answer; `truncated` tells whether there were more")] = DEFAULT_ROWS
    explain: Annotated[bool, Field(description="What each source would be asked, instead of an answer")] = False
    strict: Annotated[bool, Field(description="An error unless every source answered")] = False
    deadline_ms: Annotated[int | None, Field(ge=1, le=600_000, description="Milliseconds the answer may take")] = None
    max_age: Annotated[int | None, Field(ge=0, le=86_400, description="Seconds: groups that a source answered so recently may stand in for it")] = None
    known_at: Annotated[Moment | None, Field(description="Answer as it would have been answered then")] = None
    sources: Annotated[Named | None, Field(description="Ask these sources alone; peer cities are asked only if named")] = None


class SqlExplained(BaseModel):
    """How a statement would be answered."""

    scans: Annotated[list[dict[str, Any]], Field(description="What the sources of each dataset are asked")]
    rest: Annotated[str, Field(description="What DuckDB computes from their answers")]
    light: Annotated[bool, Field(description="Whether it counts as a light statement: groups made by the sources, or few rows")]
    isolation: Annotated[list[str], Field(description="From what the computing process is cut off; empty until the first one has started")]
