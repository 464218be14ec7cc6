"""The gateway between cities: peers, agreements, signed messages, and proof of what was asked and answered."""

from __future__ import annotations

from services.intercity.agreements import api as agreements
from services.intercity.datasets import AGREEMENTS, EXCHANGES, WARNINGS
from services.intercity.exchange import api as exchange
from services.intercity.messages import api as messages
from services.intercity.messages.tasks import deliver_messages, forget_messages
from services.intercity.models import metadata
from services.intercity.peers import api as peers
from services.intercity.proofs import api as proofs
from services.intercity.proofs.tasks import keep_log, watch_peers_logs
from services.intercity.state import hold
from services.intercity.warnings import api as warnings
from services.intercity.warnings.handlers import send_to_recipients
from shared.events.hub import WarningIssued
from shared.events.intercity import AgreementChanged, MessageRefused, WarningAcknowledged, WarningReceived
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="intercity",
    title=Text("城际网关", "Gateway between cities"),
    routers=[peers.router, agreements.router, messages.router, exchange.router, proofs.router, warnings.router],
    datasets=[AGREEMENTS, EXCHANGES, WARNINGS],
    metadata=metadata,
    publishes=[AgreementChanged, WarningReceived, WarningAcknowledged, MessageRefused],
    on={WarningIssued: send_to_recipients},
    asks=("hub",),
    announces=lambda runtime: exchange.announced(runtime.own),
    holds=hold,
    tasks=[keep_log, deliver_messages, forget_messages, watch_peers_logs],
)
app = create_app(service)
