"""What the law wants known about data, and which fields of a dataset a caller may therefore see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.caller import Caller
from shared.datasets.declaration import Dataset, Field, Point, Shape
from shared.vocabulary import DataGrade, Personal, Sharing


@dataclass(frozen=True, slots=True)
class Labels:
    """What the law wants known about data before they are shown."""

    grade: DataGrade
    personal: Personal
    sharing: Sharing

    def shown_to(self, dataset: Dataset, caller: Caller) -> bool:
        """Whether data with these labels exist for the caller. What is not shared exists only for its own service's readers, never through a hub."""
        service = dataset.id.partition(".")[0]
        if dataset.rights is not None:
            return caller.actor is None and dataset.rights.reads(caller) and caller.clearance.covers(self.grade, self.personal)
        reads = caller.has(f"{service}:read") and caller.actor is None if self.sharing is Sharing.NONE else caller.has(f"{service}:read", "hub:query")
        return reads and caller.clearance.covers(self.grade, self.personal)


def labels_of(dataset: Dataset, field: Field) -> Labels:
    return Labels(dataset.grade_of(field), dataset.personal_of(field), field.sharing or dataset.sharing)


def geometry_labels(dataset: Dataset) -> Labels:
    """The highest labels of the fields over the geometry's columns; the dataset's own if there is no such field."""
    match dataset.geometry:
        case Point(lon=lon, lat=lat):
            columns = {lon, lat}
        case Shape(geojson=geojson):
            columns = {geojson}
        case None:
            columns = set()
    over = [labels_of(dataset, field) for field in dataset.fields if (field.column or field.name) in columns]
    over = over or [Labels(dataset.grade, dataset.personal, dataset.sharing)]
    order = list(Sharing)
    return Labels(
        max((labels.grade for labels in over), key=lambda grade: grade.rank),
        max((labels.personal for labels in over), key=lambda personal: personal.rank),
        max((labels.sharing for labels in over), key=order.index),
    )


def visible_fields(dataset: Dataset, caller: Caller) -> dict[str, Field]:
    """The fields within the caller's scopes and clearance, by name; none at all if the dataset does not exist for the caller."""
    return {field.name: field for field in dataset.fields if labels_of(dataset, field).shown_to(dataset, caller)}


def rows_shown_to(dataset: Dataset, caller: Caller) -> bool:
    """Whether single rows are shown at all: personal data with declared cells to the readers of their own service, never through a hub."""
    return dataset.cells is None or (caller.actor is None and caller.has(f"{dataset.id.partition('.')[0]}:read"))


def visible_datasets(datasets: Sequence[Dataset], caller: Caller) -> list[Dataset]:
    """The datasets of which the caller may see anything."""
    return [dataset for dataset in datasets if visible_fields(dataset, caller)]
