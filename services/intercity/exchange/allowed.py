"""What of a dataset a peer may ask, from the agreement and from what the dataset is like now."""

from __future__ import annotations

from services.intercity.agreements.client import Described
from services.intercity.agreements.reading import Agreement
from services.intercity.agreements.schemas import SharedDataset
from services.intercity.exchange.domain import GEOMETRY, Allowed
from services.intercity.messages.domain import OutsideAgreement


def allowed_of(agreement: Agreement, giver: str, shared: SharedDataset, described: Described) -> Allowed:
    """What is agreed of a dataset, with what it is like now; a field that it no longer has is agreed in vain."""
    grant = agreement.grant(giver)
    fields = frozenset(shared.fields) & {*described.fields, *([GEOMETRY] if described.geometry else [])}
    if described.key is None or described.key not in fields or grant is None:
        raise OutsideAgreement(f"{shared.id} no longer has the key by which its rows were agreed.", pointer="/dataset")
    coded = {name for name in fields - {GEOMETRY} if described.fields[name].get("enum") or described.fields[name].get("type") == "boolean"}
    return Allowed(
        dataset=shared.id,
        fields=fields,
        filter=agreement.filters.get((giver, shared.id)),
        operations=frozenset(shared.operations),
        smallest_group=max(shared.smallest_group, described.smallest_group),
        rows=grant.rows_per_answer,
        key=described.key,
        time=described.time,
        area=described.area,
        coded=frozenset(coded | ({described.area} if described.area in fields else set())),
        sources=described.sources,
    )
