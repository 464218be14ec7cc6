"""The columns of an aggregate: its dimensions and measures, and the states that each measure is merged from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from shared.datasets.aggregate.cell_noise import DESCRIPTION
from shared.datasets.aggregate.sketches import DISTINCT_ERROR, QUANTILE_ERROR
from shared.datasets.declaration import FieldType

Function = Literal["count", "sum", "avg", "min", "max", "stddev", "quantile", "distinct"]
BUCKETS = pa.map_(pa.int32(), pa.int64())
"""Log-bucket key to the number of values in it, keys ascending."""
REGISTERS = pa.list_(pa.int32())
"""HyperLogLog registers as `register * 64 + rank`, ascending, empty ones left out."""
GROUP_ROWS = "group.rows"
"""The state that every answer carries: how many rows the group has."""

_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
_RESULTS: dict[str, FieldType] = {"count": "integer", "distinct": "integer", "avg": "number", "stddev": "number", "quantile": "number"}


def arrow_type(kind: FieldType) -> pa.DataType:
    """How values of a field's type travel in Arrow."""
    return _ARROW[kind]


@dataclass(frozen=True, slots=True)
class Dimension:
    """A column to group by."""

    name: str
    of: str
    """A field, `area:<level>` or `time:<unit>`."""
    type: FieldType
    unit: str | None = None

    def column(self) -> dict[str, Any]:
        """The column's description in a finished answer."""
        unit = {"unit": self.unit} if self.unit else {}
        return {"name": self.name, "type": self.type, "role": "dimension", "of": self.of} | unit


@dataclass(frozen=True, slots=True)
class Measure:
    """A column that is computed for each group."""

    name: str
    fn: Function
    field: str | None = None
    """The field that is measured; None counts rows."""
    q: float | None = None
    source: FieldType = "integer"
    """Type of that field."""
    unit: str | None = None
    perturbed: bool = False
    """Whether the count was moved by its owner, so that no person can be made out (`cell_noise`)."""

    @property
    def type(self) -> FieldType:
        """Type of the finished values."""
        return _RESULTS.get(self.fn, self.source)

    @property
    def relative_error(self) -> float | None:
        """How far the value may be off: a bound for quantiles, one standard error for distinct counts; None if it is exact."""
        return {"quantile": QUANTILE_ERROR, "distinct": DISTINCT_ERROR}.get(self.fn)

    def column(self) -> dict[str, Any]:
        """The column's description in a finished answer."""
        described = {"name": self.name, "type": self.type, "role": "measure", "fn": self.fn}
        optional = {"unit": self.unit, "relative_error": self.relative_error, "perturbed": DESCRIPTION if self.perturbed else None}
        return described | {name: value for name, value in optional.items() if value is not None}

    def states(self) -> dict[str, pa.DataType]:
        """The states by which the measure is merged, by column name (`p90.buckets`)."""
        kinds: dict[str, pa.DataType]
        match self.fn:
            case "count":
                kinds = {"count": pa.int64()}
            case "sum" | "avg":
                kinds = {"count": pa.int64(), "sum": arrow_type(self.source)}
            case "min" | "max":
                kinds = {self.fn: arrow_type(self.source)}
            case "stddev":
                kinds = {"count": pa.int64(), "mean": pa.float64(), "m2": pa.float64()}
            case "quantile":
                kinds = {"count": pa.int64(), "buckets": BUCKETS}
            case "distinct":
                kinds = {"registers": REGISTERS}
        return {f"{self.name}.{kind}": arrow for kind, arrow in kinds.items()}


@dataclass(frozen=True, slots=True)
class Layout:
    """What an answer consists of, agreed before anything is computed."""

    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    tz: str
    """IANA zone in which `time:` dimensions were cut."""

    def computed_as(self) -> dict[str, str]:
        """For each state that is a single value the first that is the same: mean and sum of a field share their count, a count of rows is `GROUP_ROWS`."""
        first: dict[tuple[str, str | None], str] = {("count", None): GROUP_ROWS}
        names = [(name, measure) for measure in self.measures for name, kind in measure.states().items() if not pa.types.is_nested(kind)]
        return {name: first.setdefault((name.rpartition(".")[2], measure.field), name) for name, measure in names}

    def schema(self) -> pa.Schema:
        """The Arrow schema of the states, without metadata."""
        fields = [pa.field(dimension.name, arrow_type(dimension.type)) for dimension in self.dimensions]
        fields.append(pa.field(GROUP_ROWS, pa.int64()))
        fields += [pa.field(name, kind) for measure in self.measures for name, kind in measure.states().items()]
        return pa.schema(fields)
