"""The gateway's tables: peers and their keys, agreements, messages in and out, the log of exchanges, warnings of peers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()
Moment = DateTime(timezone=True)
Key = Text(collation="C")

peers = Table(
    "peers",
    metadata,
    Column("city", Key, primary_key=True),
    Column("url", Text, nullable=False),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    *recorded_columns(),
    CheckConstraint("state IN ('active', 'suspended', 'removed')", name="state"),
)
"""Cities that may send us messages while they are `active`."""

peer_keys = Table(
    "peer_keys",
    metadata,
    Column("fingerprint", Key, primary_key=True),
    Column("city", Key, ForeignKey(peers.c.city), nullable=False),
    Column("key", JSONB, nullable=False),
    Column("withdrawn", Text),
    *recorded_columns(),
)
"""Public keys whose fingerprint an officer (`recorded_by`) has confirmed; `withdrawn` says why one is no longer good."""
Index("ix_peer_keys_city", peer_keys.c.city)

agreements = Table(
    "agreements",
    metadata,
    Column("id", Key, primary_key=True),
    Column("peer", Key, ForeignKey(peers.c.city), nullable=False),
    Column("proposer", Key, nullable=False),
    Column("state", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("our_signature", Text),
    Column("their_signature", Text),
    Column("purposes", Text, nullable=False),
    Column("gives", Text, nullable=False),
    Column("takes", Text, nullable=False),
    Column("legal_basis", Text, nullable=False),
    Column("begins_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("supersedes", Key),
    Column("ended_at", Moment),
    Column("ended_by", Text),
    *recorded_columns(),
    CheckConstraint("state IN ('proposed', 'received', 'in_force', 'declined', 'ended')", name="state"),
)
"""`id` is the SHA-256 of `document` in hex; `document` is canonical JSON (RFC 8785), exactly as both cities sign it."""
Index("ix_agreements_peer", agreements.c.peer)

messages = Table(
    "messages",
    metadata,
    Column("peer", Key, primary_key=True),
    Column("id", Key, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("signed", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)
"""Messages answered: an id is answered once, the same bytes with the same answer, until the message has expired."""
Index("ix_messages_expires_at", messages.c.expires_at)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("peer", Key, nullable=False),
    Column("operation", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("about", JSONB, nullable=False),
    Column("wire", LargeBinary),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("problem", Text),
    Column("made_at", Moment, nullable=False),
    Column("answered_at", Moment),
    CheckConstraint("state IN ('waiting', 'answered', 'refused', 'expired')", name="state"),
)
"""Messages of ours that must arrive, about a `subject` (agreement or warning): sent again, byte for byte, until the peer has answered or they have expired."""
Index("ux_deliveries_peer", deliveries.c.peer, deliveries.c.operation, deliveries.c.subject, unique=True)
Index("ix_deliveries_next_at", deliveries.c.next_at, postgresql_where=deliveries.c.state == "waiting")


def _logged_by(known_at: datetime) -> FromClause:
    return select(log_entries).where(log_entries.c.at <= known_at).subquery("log_entries")


log_entries = Table(
    "log_entries",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("at", Moment, nullable=False),
    Column("direction", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("peer", Key, nullable=False),
    Column("message", Text),
    Column("agreement", Text),
    Column("purpose", Text),
    Column("operation", Text),
    Column("digest", Text, nullable=False),
    Column("problem", Text),
    info={"as_known": _logged_by},
)
"""One row for each message in and out: references and digests. Append-only; `entry` is what is hashed."""
Index("ix_log_entries_message", log_entries.c.message)

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("level", SmallInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
"""Hashes of the complete subtrees over `log_entries` (RFC 9162); level 0 are the leaves. Append-only."""

peer_checkpoints = Table(
    "peer_checkpoints",
    metadata,
    Column("peer", Key, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("signed", Text, nullable=False),
    Column("at", Moment, nullable=False),
)
"""Checkpoints of peers' logs that were found consistent with all earlier ones."""

issuers = Table(
    "issuers",
    metadata,
    Column("peer", Key, ForeignKey(peers.c.city), primary_key=True),
    Column("sender", Key, primary_key=True),
    Column("events", ARRAY(Text), nullable=False),
    Column("areas", ARRAY(Text), nullable=False),
    *recorded_columns(),
)
"""Whose warnings are believed: for a peer's key, a CAP sender, its kinds of event (`*` for all) and areas (code prefixes)."""

warnings = Table(
    "warnings",
    metadata,
    Column("id", Key, primary_key=True),
    Column("origin", Key, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sent_at", Moment, nullable=False),
    Column("status", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("event", Text),
    Column("level", SmallInteger),
    Column("headline_zh", Text),
    Column("headline_en", Text),
    Column("area", Key),
    Column("expires_at", Moment),
    Column("agreement", Key, nullable=False),
    Column("message", Text, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("document", LargeBinary, nullable=False),
    *recorded_columns(),
)
"""Warnings of peers, verified; `id` is `<origin>:<CAP identifier>`, `document` is the CAP message as it came."""
Index("ix_warnings_received_at", warnings.c.received_at)

for table in (peers, agreements, warnings):
    history_of(table)
