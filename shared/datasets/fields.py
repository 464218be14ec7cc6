"""Fields in one line each, and those that every dataset with a place has."""

from __future__ import annotations

from shared.datasets.declaration import Field, FieldType
from shared.vocabulary import Text


def field(
    name: str,
    zh: str,
    en: str,
    kind: FieldType = "string",
    *,
    required: bool = True,
    unit: str | None = None,
    column: str | None = None,
    values: tuple[str, ...] = (),
    definition: str | None = None,
) -> Field:
    """A field with the labels of its dataset; see `Field` for the rest."""
    return Field(name=name, type=kind, title=Text(zh, en), required=required, unit=unit, column=column, values=values, definition=definition)


def place_fields(prefix: str = "") -> tuple[Field, Field, Field]:
    """Area, longitude and latitude; columns of a joined table where there is a prefix (`series.`)."""
    return (
        field("area", "区域代码", "Area code", column=f"{prefix}area", definition="GB/T 2260, GB/T 10114"),
        field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg", required=False),
        field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg", required=False),
    )
