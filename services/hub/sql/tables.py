"""The tables that exist for an asker: the hub's catalogue as SQL sees it."""

from __future__ import annotations

from collections.abc import Sequence

from services.hub.sql.domain import Catalogue, Column, Table
from services.hub.state import Hub
from shared.caller import Caller
from shared.datasets.declaration import Dataset, Field, Point
from shared.datasets.labels import geometry_labels, visible_fields
from shared.service import Runtime
from shared.vocabulary import Personal


def catalogue_of(runtime: Runtime, caller: Caller, named: frozenset[str] | None) -> Catalogue:
    """Every dataset of which the asker may see anything; those that only peer cities offer, if such are named."""
    hub: Hub = runtime.own
    offered = {dataset: [offer.declared for _, offer in offers] for dataset, offers in hub.registry.offers(cities=named is not None).items()}
    for own in runtime.service.datasets:
        offered.setdefault(own.id, []).insert(0, own)
    found: dict[str, Table] = {}
    for dataset, declared in sorted(offered.items()):
        shown = next((known for known in declared if visible_fields(known, caller)), None)
        if shown is not None and caller.has(f"{dataset.partition('.')[0]}:read", "hub:query"):
            found[dataset.lower()] = _table(shown, caller, declared)
    return found


def _table(shown: Dataset, caller: Caller, declared: Sequence[Dataset]) -> Table:
    fields = visible_fields(shown, caller)
    columns = {name.lower(): _column(field, declared) for name, field in fields.items()}
    for column in _derived(shown, caller):
        columns.setdefault(column.name, column)
    return Table(
        dataset=shown.id,
        columns=columns,
        title=shown.title.as_dict(),
        time=shown.time if shown.time in fields else None,
        keys=frozenset(name for name, field in fields.items() if (field.column or name) in shown.keys),
        groups=all(known.personal is Personal.NONE and not known.smallest_group and known.cells is None for known in declared),
    )


def _column(field: Field, declared: Sequence[Dataset]) -> Column:
    named = [(known, own) for known in declared if (own := known.field(field.name))]
    personal = any(known.personal_of(own) is not Personal.NONE for known, own in named)
    return Column(field.name, field.type, field.unit, field.title.as_dict(), personal=personal)


def _derived(shown: Dataset, caller: Caller) -> list[Column]:
    """Where a row lies and what it is called, where no field says so."""
    columns = [Column("id", "string", None, {"zh": "编号", "en": "Identifier"}, derived=True)]
    if shown.geometry is None or not geometry_labels(shown).shown_to(shown, caller):
        return columns
    if isinstance(shown.geometry, Point):
        return [
            *columns,
            Column("lon", "number", "deg", {"zh": "经度", "en": "Longitude, WGS 84"}, derived=True),
            Column("lat", "number", "deg", {"zh": "纬度", "en": "Latitude, WGS 84"}, derived=True),
        ]
    return [*columns, Column("geometry", "string", None, {"zh": "几何（GeoJSON）", "en": "Geometry, GeoJSON"}, derived=True)]
