"""Events as values: what travels as data, what as attributes, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

import services
from shared.events.catalogue import EVENTS, data_schema
from shared.events.fire import CallReceived
from shared.events.model import CloudEvent
from shared.vocabulary import IncidentGrade, ResponseLevel, WarningLevel
from tests.shared.events_under_test import Noted

SERVICES = sorted(path.parent.name for path in Path(services.__path__[0]).glob("*/app.py"))


def envelope(**changed: Any) -> CloudEvent:
    facts: dict[str, Any] = {
        "id": "01JD",
        "source": "/430300/probe",
        "type": Noted.type,
        "subject": "things/x",
        "time": datetime.now(UTC),
        "sequence": "1",
        "data": {"thing": "x", "number": 1},
    }
    return CloudEvent.model_validate(facts | changed)


def test_area_and_scales_are_attributes_and_not_data() -> None:
    event = Noted(thing="x", number=1, area="4303", incidentgrade=IncidentGrade.I, warninglevel=WarningLevel.BLUE, responselevel=ResponseLevel.III)
    assert event.data() == {"thing": "x", "number": 1}
    assert event.scales() == {"incidentgrade": "I", "warninglevel": "IV", "responselevel": "III"}
    assert event.subject == "things/x"
    assert Noted.from_envelope(envelope(area="4303", **event.scales())) == event


def test_an_event_without_scales_names_none() -> None:
    assert Noted(thing="x", number=1).scales() == {}
    assert Noted.from_envelope(envelope()) == Noted(thing="x", number=1)


@pytest.mark.parametrize(
    "data", [{"thing": "x"}, {"thing": "x", "number": "many"}, {"thing": "x", "number": 1, "more": 2}, {"thing": "x", "number": 1, "subject": "y"}]
)
def test_data_of_another_form_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Noted.from_envelope(envelope(data=data))


@pytest.mark.parametrize(
    "changed",
    [
        {"warninglevel": "V"},
        {"warninglevel": 1},
        {"sequence": "-1"},
        {"sequence": ""},
        {"area": "43 03"},
        {"subject": "a\nb"},
        {"id": "x" * 501},
        {"data": "x"},
        {"time": "2026-11-22T08:00:00"},
    ],
)
def test_an_envelope_of_another_form_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        envelope(**changed)


def test_extensions_of_others_survive() -> None:
    assert envelope(partitionkey="7").wire()["partitionkey"] == "7"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_publishes_is_in_the_catalogue_under_its_own_name(name: str) -> None:
    for event in import_module(f"services.{name}.app").service.publishes:
        assert EVENTS[event.type] is event
        assert event.type.split(".")[0] == name


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_schema_of_an_event_describes_its_data_alone(event: Any) -> None:
    schema = data_schema(event, "http://hub")
    assert jsonschema_rs.meta.is_valid(schema)
    assert schema["$id"] == f"http://hub/events/{event.type}"
    assert schema["properties"].keys() == event.model_fields.keys() - {"area", "incidentgrade", "warninglevel", "responselevel", "regarding"}


def test_data_are_valid_by_their_schema() -> None:
    call = CallReceived(call="1", kind="alarm", priority="2", received_at=datetime.now(UTC), lon=None, lat=None, area="430302")
    jsonschema_rs.Draft202012Validator(data_schema(CallReceived, "http://hub")).validate(call.data())
