"""Reading the events of other services: streams, consumers, dead letters."""

from shared.bus.consumer import Patience, run_consumers
from shared.bus.deadletters import replay
from shared.bus.deadletters import router as dead_letter_router
from shared.bus.handlers import Handler
from shared.bus.journal import Journal
from shared.bus.measures import states
from shared.bus.tables import dead_letters, delivery_attempts, processed
from shared.streams import acl_rules, epoch_name, stream_name

__all__ = [
    "Handler",
    "Journal",
    "Patience",
    "acl_rules",
    "dead_letter_router",
    "dead_letters",
    "delivery_attempts",
    "epoch_name",
    "processed",
    "replay",
    "run_consumers",
    "states",
    "stream_name",
]
