"""One source's page of records, read and checked before it is merged with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
import pyarrow as pa

from services.hub.catalog.domain import Source
from services.hub.federation.domain import SourceUnsound
from services.hub.federation.levels import Position, answers_of, check_position
from services.hub.federation.union import Disorder, Portion, check_order
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import FieldType, Point
from shared.datasets.extent import told_moment
from shared.datasets.formats import table
from shared.datasets.keyset import values_of
from shared.datasets.records import Page
from shared.datasets.view import View

_READ: dict[FieldType, Callable[[Any], Any]] = {"datetime": datetime.fromisoformat, "date": date.fromisoformat}

LONGEST_AGREEMENT = 100


@dataclass(frozen=True, slots=True)
class Features:
    """Rows of one source as GeoJSON features, and, where it is wanted, as a table of typed columns."""

    rows: list[dict[str, Any]]
    portion: Portion
    table: pa.Table
    matched: int | None = None
    known_at: str | None = None
    as_of: datetime | None = None
    elapsed_ms: int | None = None
    start: Position = None
    """Where the page begins in each source of the hub that sent it."""
    below: tuple[SourceAnswer, ...] = ()
    """What that hub says of its sources."""
    agreement: str | None = None
    """Under which a peer gave them."""

    @property
    def leaves(self) -> set[str]:
        """Whose rows these are."""
        return {answer.source for answer in self.below if answer.status in ("ok", "stale")} or {self.portion.source}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a source's rows beyond the rows themselves."""

    descending: Sequence[bool]
    """For each asked sort field, whether it goes down."""
    seen: View | None = None
    """Given if the rows are wanted as a table too: its types must be those that the dataset declares."""
    names: Sequence[str] = ()


def read_page(asked: Source, content: bytes, wish: Wish, elapsed_ms: int, dataset: str) -> Features:
    """A FeatureCollection with the place of each row; `SourceUnsound` if it is anything else."""
    source = asked.name
    try:
        document = orjson.loads(content)
        below = answers_of(asked, document["coverage"]["sources"], dataset) if asked.kind == "hub" else ()
        start = document["journey"] if asked.kind == "hub" else None
        check_position(start)
        features, places = document["features"], document["places"]
        if not all(_is_feature(row) for row in features) or len(features) != len(places):
            raise Disorder("features without properties, or without their places")
        portion = Portion(source, places, exhausted=not any(link["rel"] == "next" for link in document["links"]))
        check_order(portion, wish.descending)
        if asked.kind == "sector":
            _check_places(features, places, len(wish.descending))
        _check_depth(features, wish)
        return Features(
            rows=features,
            portion=portion,
            table=_table(features, wish),
            matched=_whole(document.get("numberMatched")),
            known_at=_text(document.get("known_at")),
            as_of=_moment(document.get("timeStamp")),
            elapsed_ms=elapsed_ms,
            start=start,
            below=below,
            agreement=_agreement(asked, document),
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, ArithmeticError, pa.ArrowException) as error:
        raise SourceUnsound(f"{source} sent a page that is not what it should be: {str(error)[:200]}") from error


def read_row(asked: Source, content: bytes, wish: Wish, elapsed_ms: int) -> Features:
    """A single feature; `SourceUnsound` if it is anything else."""
    try:
        document = orjson.loads(content)
        if not _is_feature(document):
            raise Disorder("something other than a feature")
        row = {name: document[name] for name in ("type", "id", "geometry", "properties")}
        agreement = _agreement(asked, document)
        _check_depth([row], wish)
        return Features(rows=[row], portion=Portion(asked.name, [], exhausted=True), table=_table([row], wish), elapsed_ms=elapsed_ms, agreement=agreement)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceUnsound(f"{asked.name} sent a row that is not what it should be: {str(error)[:200]}") from error


def no_row(source: str) -> Features:
    """The source has no row of this id."""
    return Features(rows=[], portion=Portion(source, [], exhausted=True), table=pa.table({}))


def _is_feature(row: Any) -> bool:
    return row["type"] == "Feature" and isinstance(row["properties"], dict) and "geometry" in row and "id" in row


def _check_depth(features: Sequence[Mapping[str, Any]], wish: Wish) -> None:
    """Raise `TypeError` for values nested deeper than can be written: more can be read, and the whole answer would fail with one source's rows."""
    if wish.seen is None:
        orjson.dumps({"features": features})


def _check_places(features: Sequence[Mapping[str, Any]], places: Sequence[Sequence[str | None]], levels: int) -> None:
    """Raise `Disorder` where a row stands at another's place: its id is made of the key, with which every place ends."""
    for feature, place in zip(features, places, strict=True):
        key = values_of(place)[levels:]
        if all(isinstance(part, str | int) for part in key) and "~".join(map(str, key)) != str(feature["id"]):
            raise Disorder(f"row {str(feature['id'])[:60]!r} stands at the place of another")


def _table(features: Sequence[Mapping[str, Any]], wish: Wish) -> pa.Table:
    if wish.seen is None:
        return pa.table({})
    seen, names = wish.seen, wish.names
    read = [(name, _READ.get(seen.fields[name].type)) for name in names]
    rows = [
        tuple(value if reader is None or value is None else reader(value) for value, reader in ((row["properties"].get(name), reader) for name, reader in read))
        for row in features
    ]
    places = [_geometry(row["geometry"], seen) for row in features]
    return table(Page(names, [str(row["id"]) for row in features], rows, places, None, None), seen)


def _geometry(geometry: Any, seen: View) -> Any:
    if geometry is None:
        return None
    if isinstance(seen.dataset.geometry, Point):
        longitude, latitude = geometry["coordinates"]
        return float(longitude), float(latitude)
    return orjson.dumps(geometry).decode()


def _agreement(asked: Source, document: Mapping[str, Any]) -> str | None:
    return str(document.get("agreement") or "")[:LONGEST_AGREEMENT] or None if asked.kind == "city" else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 40 else None


def _moment(value: Any) -> datetime | None:
    return told_moment(datetime.fromisoformat(value)) if isinstance(value, str) else None
