"""Publishing a service's own events: recorded in the transaction of the change, drained to its stream."""

from shared.outbox.drainer import run_drainer
from shared.outbox.record import record, record_all, when_committed
from shared.outbox.tables import outbox, outbox_groups, outbox_subjects

__all__ = ["outbox", "outbox_groups", "outbox_subjects", "record", "record_all", "run_drainer", "when_committed"]
