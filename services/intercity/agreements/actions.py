"""Agreements from proposal to end: checked against the own catalogue, signed by an officer here, countersigned by one there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from joserfc.jwk import OKPKey
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.intercity.agreements.client import GEOMETRY, Described
from services.intercity.agreements.domain import MOST_YEARS, fields_named
from services.intercity.agreements.schemas import Document, Grant, GrantIn, ProposalIn, SharedDataset
from services.intercity.messages.wire import attach, detach, key_named, moment, sign, verify
from services.intercity.models import agreements, deliveries
from services.intercity.state import Gateway
from shared.datasets.filter_text import read_text
from shared.errors import Conflict, InvalidBody, NotFound
from shared.events.intercity import AgreementChanged
from shared.outbox import record, when_committed
from shared.source_failures import SourceRefused

TYP = "liandong-agreement+jws"
CATALOGUE_S = 5.0
DELIVERY = timedelta(days=7)
"""How long a proposal, a signature or an end is sent again until the peer has it."""


def canonical(document: Document) -> str:
    """The document as it is signed: canonical JSON (RFC 8785)."""
    return rfc8785.dumps(document.plain()).decode()


def digest(canonical_text: str) -> str:
    """The agreement's id: SHA-256 of the canonical document, hex."""
    return hashlib.sha256(canonical_text.encode()).hexdigest()


def document_of(proposal: ProposalIn, city: str) -> Document:
    """What is proposed, as a document between the two cities."""
    given = [(city, proposal.peer, proposal.give), (proposal.peer, city, proposal.take)]
    grants = [Grant(giver=giver, taker=taker, **_plain(grant)) for giver, taker, grant in given if grant is not None]
    if not grants:
        raise InvalidBody("An agreement in which nobody gives anything is none: say what to give or to take.", pointer="/give")
    first, second = sorted((city, proposal.peer))
    return Document(
        number=str(ULID()),
        parties=(first, second),
        grants=tuple(grants),
        purposes=tuple(proposal.purposes),
        legal_basis=proposal.legal_basis,
        begins=_to_the_millisecond(proposal.begins),
        ends=_to_the_millisecond(proposal.ends),
        supersedes=proposal.supersedes,
    )


def _plain(grant: GrantIn) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in grant.__dict__.items()}


def _to_the_millisecond(time: datetime) -> datetime:
    return datetime.fromisoformat(moment(time)).astimezone(UTC)


async def check_given(gateway: Gateway, document: Document) -> None:
    """Refuse a document that gives what we do not have or may not give. Names the dataset, field or filter that is wrong."""
    grant = document.grant(gateway.city)
    for place, shared in enumerate(grant.datasets if grant else ()):
        try:
            described = await gateway.catalogue.get(shared.id, CATALOGUE_S)
        except SourceRefused as error:
            raise InvalidBody(f"{shared.id} is not shared in this city.", pointer=f"/give/datasets/{place}/id") from error
        _check_dataset(shared, described, f"/give/datasets/{place}")


def _check_dataset(shared: SharedDataset, described: Described, pointer: str) -> None:
    if not described.sources:
        raise InvalidBody(f"{shared.id} has no source in this city; what came from elsewhere is not ours to give.", pointer=f"{pointer}/id")
    if described.schema.get("x-sharing") == "none" or described.schema.get("x-grade") == "core":
        raise InvalidBody(f"{shared.id} may not be shared (Data Security Law, article 21; Decree 809).", pointer=f"{pointer}/id")
    if described.key is None:
        raise InvalidBody(f"The rows of {shared.id} have no key of one field, by which a peer could page through them.", pointer=f"{pointer}/id")
    _check_fields(shared, described, pointer)
    if described.key not in shared.fields:
        raise InvalidBody(f"The key {described.key!r} of {shared.id} must be among the fields: rows are paged and named by it.", pointer=f"{pointer}/fields")
    if shared.filter is not None:
        unknown = fields_named(read_text(shared.filter, pointer=f"{pointer}/filter")) - {*described.fields, GEOMETRY}
        if unknown:
            raise InvalidBody(f"{shared.id} has no field {min(unknown)!r}, which the filter names.", pointer=f"{pointer}/filter")


def _check_fields(shared: SharedDataset, described: Described, pointer: str) -> None:
    for number, name in enumerate(shared.fields):
        if name == GEOMETRY and described.geometry:
            continue
        part = described.fields.get(name)
        if part is None:
            raise InvalidBody(
                f"{shared.id} has no field {name!r} that may be shared; it has {', '.join(described.fields)}.", pointer=f"{pointer}/fields/{number}"
            )
        if part.get("x-sharing") == "none" or part.get("x-grade") == "core" or part.get("x-personal") != "none":
            raise InvalidBody(f"{name!r} of {shared.id} does not leave the city: core, personal, or not shared at all.", pointer=f"{pointer}/fields/{number}")


def check_terms(document: Document, now: datetime) -> None:
    """Refuse a period that is over, or that nobody living will see the end of."""
    if document.ends <= now or document.ends - document.begins > MOST_YEARS:
        raise InvalidBody("An agreement ends in the future, ten years after it begins at the latest.", pointer="/ends")
    for grant in document.grants:
        for shared in grant.datasets:
            if shared.filter is not None:
                read_text(shared.filter, pointer="/filter")


def signature(gateway: Gateway, canonical_text: str) -> str:
    """Our detached signature over a document."""
    return detach(sign(gateway.keys, canonical_text.encode(), TYP))


def check_signature(canonical_text: str, detached: str, keys: Mapping[str, OKPKey]) -> None:
    """`SignatureInvalid` unless one of the confirmed keys made it over this document."""
    try:
        signed = attach(detached, canonical_text.encode())
    except ValueError:
        signed = ""
    key = keys.get(key_named(signed))
    verify(signed if key is not None else "", key or next(iter(keys.values())))


async def keep(session: AsyncSession, gateway: Gateway, document: Document, text: str, **columns: Any) -> str:
    """Write a document down, unless it is known already; its id."""
    peer = next(city for city in document.parties if city != gateway.city)
    given, taken = document.grant(gateway.city), document.grant(peer)
    row = {
        "id": digest(text),
        "peer": peer,
        "document": text,
        "purposes": ", ".join(document.purposes),
        "gives": _named(given),
        "takes": _named(taken),
        "legal_basis": document.legal_basis,
        "begins_at": document.begins,
        "ends_at": document.ends,
        "supersedes": document.supersedes,
        **columns,
    }
    await session.execute(insert(agreements).values(row).on_conflict_do_nothing())
    return str(row["id"])


def _named(grant: Grant | None) -> str:
    if grant is None:
        return "-"
    return ", ".join([*(shared.id for shared in grant.datasets), *(["warnings"] if grant.warnings else [])]) or "-"


async def put_in_force(session: AsyncSession, gateway: Gateway, agreement: str, signatures: Mapping[str, str], by: str) -> None:
    """Both have signed: it holds from its beginning on, and what it supersedes is over."""
    row = await locked(session, agreement)
    if row.state == "in_force":
        return
    if row.state not in ("proposed", "received"):
        raise Conflict(f"The agreement is {row.state}; nothing more can be signed.")
    await session.execute(update(agreements).where(agreements.c.id == agreement).values(state="in_force", recorded_by=by, **signatures))
    record(session, AgreementChanged(agreement=agreement, peer=row.peer, state="in_force"))
    if row.supersedes:
        earlier = (await session.execute(select(agreements).where(agreements.c.id == row.supersedes).with_for_update())).one_or_none()
        if earlier is not None and earlier.peer == row.peer and earlier.state == "in_force":
            await _end(session, earlier, "ended", f"superseded by {agreement}", by)
    when_committed(session, gateway.agreements.forget)


async def end(session: AsyncSession, gateway: Gateway, agreement: str, ended_by: str, by: str) -> Any:
    """It is over, or was never wanted; says how it stood. Ending it twice changes nothing."""
    row = await locked(session, agreement)
    if row.state in ("proposed", "received", "in_force"):
        await _end(session, row, "ended" if row.state == "in_force" else "declined", ended_by, by)
        when_committed(session, gateway.agreements.forget)
    return row


async def _end(session: AsyncSession, row: Any, state: str, ended_by: str, by: str) -> None:
    values = {"state": state, "ended_at": datetime.now(UTC), "ended_by": ended_by, "recorded_by": by}
    await session.execute(update(agreements).where(agreements.c.id == row.id).values(values))
    if state == "ended":
        record(session, AgreementChanged(agreement=row.id, peer=row.peer, state="ended"))


async def locked(session: AsyncSession, agreement: str) -> Any:
    """The row of an agreement, held until the transaction ends; `NotFound` if there is none."""
    row = (await session.execute(select(agreements).where(agreements.c.id == agreement).with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"There is no agreement {agreement[:64]!r}.")
    return row


async def deliver(session: AsyncSession, wake: Callable[[], None], peer: str, operation: str, subject: str, about: Mapping[str, Any], until: datetime) -> None:
    """Have a message sent until the peer has answered it, if the session's transaction commits; once for each subject."""
    now = datetime.now(UTC)
    row = {
        "id": str(ULID()),
        "peer": peer,
        "operation": operation,
        "subject": subject,
        "about": dict(about),
        "state": "waiting",
        "attempts": 0,
        "next_at": now,
        "expires_at": min(until, now + DELIVERY - timedelta(seconds=1)),
        "made_at": now,
    }
    await session.execute(insert(deliveries).values(row).on_conflict_do_nothing())
    when_committed(session, wake)
