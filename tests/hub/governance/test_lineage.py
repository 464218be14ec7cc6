"""What is derived names what it is made from, and bears at least its labels."""

from __future__ import annotations

from ops.services import declared, present
from shared.datasets.declaration import Dataset
from shared.datasets.labels import labels_of
from shared.vocabulary import Sharing


def test_what_is_derived_bears_at_least_the_highest_label_of_its_inputs() -> None:
    datasets = {dataset.id: dataset for name in present() for dataset in declared(name).datasets}
    derived = [(dataset, datasets[source]) for dataset in datasets.values() for source in dataset.derived_from]
    assert ("env.daily", "env.observations") in {(made.id, source.id) for made, source in derived}
    for made, source in derived:
        assert made.grade.rank >= highest(source, "grade"), (made.id, source.id)
        assert made.personal.rank >= highest(source, "personal"), (made.id, source.id)
        assert list(Sharing).index(made.sharing) >= list(Sharing).index(source.sharing), (made.id, source.id)


def test_every_dataset_says_who_owns_it_under_which_law_in_both_languages() -> None:
    for name in present():
        for dataset in declared(name).datasets:
            assert dataset.legal_basis, dataset.id
            assert dataset.licence, dataset.id
            assert all((text.zh and text.en) for text in (dataset.title, dataset.description, dataset.owner)), dataset.id
            assert dataset.id.startswith(f"{name}."), dataset.id


def highest(dataset: Dataset, label: str) -> int:
    """The highest rank of a label among the fields that may be shared."""
    return max((int(getattr(labels_of(dataset, field), label).rank) for field in dataset.fields), default=0)
