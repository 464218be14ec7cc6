"""From an alert to its XML: the same bytes for the same alert, valid by the schema of CAP 1.2."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lxml import etree

from shared.cap.document import CAP12, Alert, Area, Info, Parameter, Resource
from shared.cap.parsing import BadCap
from shared.cap.rules import problems_of
from shared.cap.writing import circle_text, number_text, reference_text, ring_text, time_text, words_text

Value = str | datetime | float | int | None


def build(alert: Alert) -> bytes:
    """The document in UTF-8. Raises `BadCap` for an alert that breaks a rule of the standard, so none leaves that others would refuse."""
    faults = problems_of(alert)
    if faults:
        raise BadCap("; ".join(f"{fault.where}: {fault.text.en}" for fault in faults), where=faults[0].where)
    try:
        root = etree.Element(f"{{{CAP12}}}alert", nsmap={None: CAP12})
        _head(root, alert)
        for info in alert.infos:
            _info(_add(root, "info"), info)
        content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    except ValueError as error:
        raise BadCap(f"a text or time cannot be written in XML: {error}", where="alert") from error
    return content


def _head(root: Any, alert: Alert) -> None:
    _values(root, {"identifier": alert.identifier, "sender": alert.sender, "sent": alert.sent, "status": alert.status, "msgType": alert.kind})
    _values(root, {"source": alert.source, "scope": alert.scope, "restriction": alert.restriction, "addresses": words_text(alert.addresses) or None})
    for code in alert.codes:
        _add(root, "code", code)
    references = " ".join(map(reference_text, alert.references))
    _values(root, {"note": alert.note, "references": references or None, "incidents": words_text(alert.incidents) or None})


def _info(at: Any, info: Info) -> None:
    _add(at, "language", info.language)
    for category in info.categories:
        _add(at, "category", category)
    _add(at, "event", info.event)
    for response in info.response_types:
        _add(at, "responseType", response)
    _values(at, {"urgency": info.urgency, "severity": info.severity, "certainty": info.certainty, "audience": info.audience})
    _named(at, "eventCode", info.event_codes)
    _values(at, {"effective": info.effective, "onset": info.onset, "expires": info.expires, "senderName": info.sender_name})
    _values(at, {"headline": info.headline, "description": info.description, "instruction": info.instruction, "web": info.web, "contact": info.contact})
    _named(at, "parameter", info.parameters)
    for resource in info.resources:
        _resource(_add(at, "resource"), resource)
    for area in info.areas:
        _area(_add(at, "area"), area)


def _resource(at: Any, resource: Resource) -> None:
    _values(at, {"resourceDesc": resource.description, "mimeType": resource.mime_type, "size": resource.size})
    _values(at, {"uri": resource.uri, "derefUri": resource.deref_uri, "digest": resource.digest})


def _area(at: Any, area: Area) -> None:
    _add(at, "areaDesc", area.description)
    for ring in area.polygons:
        _add(at, "polygon", ring_text(ring))
    for circle in area.circles:
        _add(at, "circle", circle_text(circle))
    _named(at, "geocode", area.geocodes)
    _values(at, {"altitude": area.altitude, "ceiling": area.ceiling})


def _named(at: Any, name: str, pairs: tuple[Parameter, ...]) -> None:
    for pair in pairs:
        _values(_add(at, name), {"valueName": pair.name, "value": pair.value})


def _values(at: Any, values: dict[str, Value]) -> None:
    for name, value in values.items():
        if isinstance(value, datetime):
            _add(at, name, time_text(value))
        elif value is not None:
            _add(at, name, number_text(value) if isinstance(value, float) else str(value))


def _add(at: Any, name: str, text: str | None = None) -> Any:
    made = etree.SubElement(at, f"{{{CAP12}}}{name}")
    made.text = text
    return made
