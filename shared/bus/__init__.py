"""Reading the events of other services: streams, consumers, dead letters."""

from shared.bus.access import acl_rules, epoch_name, stream_name
from shared.bus.consumer import Patience, run_consumers
from shared.bus.deadletters import replay
from shared.bus.deadletters import router as dead_letter_router
from shared.bus.measures import states
from shared.bus.tables import dead_letters, delivery_attempts, processed

__all__ = [
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
