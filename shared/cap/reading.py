"""Reads the elements of a CAP alert, one method for each part of the standard's figure 1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any, get_args

from lxml import etree

from shared.cap import document as cap
from shared.cap.document import NAMESPACES, Alert, Area, Circle, Info, Parameter, Point, Reference, Resource
from shared.cap.errors import BadCap
from shared.cap.levels import COLOURS, SEVERITIES
from shared.cap.writing import is_cap_time, words_of

_COLOUR_SEVERITY = {colour: SEVERITIES[level] for colour, level in COLOURS.items()}
MOST_POINTS = 20_000


class Reader:
    """One document: knows its namespace, and collects what is forgiven."""

    def __init__(self, namespace: str, content: bytes) -> None:
        self._namespace, self._content = namespace, content
        self._version = NAMESPACES[namespace]
        self._deviations: list[str] = []

    def alert(self, root: Any) -> Alert:
        kind = self._one_of(root, "msgType", cap.MsgType, "alert")
        infos = tuple(self._info(part, f"info[{number}]") for number, part in enumerate(self._all(root, "info")))
        return Alert(
            identifier=self._needed(root, "identifier", "alert"),
            sender=self._needed(root, "sender", "alert"),
            sent=self._time(root, "sent", "alert", needed=True),
            status=self._one_of(root, "status", cap.Status, "alert"),
            kind=kind,
            scope=self._one_of(root, "scope", cap.Scope, "alert", absent=None if self._version == "1.2" else "Public"),
            source=self._text(root, "source"),
            restriction=self._text(root, "restriction"),
            addresses=words_of(self._text(root, "addresses") or ""),
            codes=self._texts(root, "code"),
            note=self._text(root, "note"),
            references=tuple(self._references(self._text(root, "references") or "")),
            incidents=words_of(self._text(root, "incidents") or ""),
            infos=infos,
            version=self._version,
            deviations=tuple(self._deviations),
            original=self._content,
        )

    def _info(self, at: Any, where: str) -> Info:
        return Info(
            language=self._text(at, "language") or "en-US",
            categories=self._all_of(at, "category", cap.Category, where),
            event=self._needed(at, "event", where),
            response_types=self._all_of(at, "responseType", cap.ResponseType, where),
            urgency=self._one_of(at, "urgency", cap.Urgency, where),
            severity=self._one_of(at, "severity", cap.Severity, where, also=_COLOUR_SEVERITY),
            certainty=self._one_of(at, "certainty", cap.Certainty, where, also={"very likely": "Likely"}),
            audience=self._text(at, "audience"),
            event_codes=self._pairs(at, "eventCode", where),
            effective=self._time(at, "effective", where),
            onset=self._time(at, "onset", where),
            expires=self._time(at, "expires", where),
            sender_name=self._text(at, "senderName"),
            headline=self._text(at, "headline"),
            description=self._text(at, "description"),
            instruction=self._text(at, "instruction"),
            web=self._text(at, "web"),
            contact=self._text(at, "contact"),
            parameters=self._pairs(at, "parameter", where),
            resources=tuple(self._resource(part, where) for part in self._all(at, "resource")),
            areas=tuple(self._area(part, f"{where}.area[{number}]") for number, part in enumerate(self._all(at, "area"))),
        )

    def _resource(self, at: Any, where: str) -> Resource:
        size = self._text(at, "size")
        if size is not None and not (size.isascii() and size.isdigit() and len(size) <= 15):
            self._forgive(f"{where}.resource.size", size)
            size = None
        return Resource(
            description=self._text(at, "resourceDesc") or "",
            mime_type=self._text(at, "mimeType") or "application/octet-stream",
            size=int(size) if size is not None else None,
            uri=self._text(at, "uri"),
            deref_uri=self._text(at, "derefUri"),
            digest=self._text(at, "digest"),
        )

    def _area(self, at: Any, where: str) -> Area:
        return Area(
            description=self._text(at, "areaDesc") or "",
            polygons=tuple(self._ring(text, f"{where}.polygon") for text in self._texts(at, "polygon")),
            circles=tuple(self._circle(text, f"{where}.circle") for text in self._texts(at, "circle")),
            geocodes=self._pairs(at, "geocode", where),
            altitude=self._number(at, "altitude", where),
            ceiling=self._number(at, "ceiling", where),
        )

    def _all(self, at: Any, name: str) -> list[Any]:
        found: list[Any] = at.findall(f"{{{self._namespace}}}{name}")
        return found

    def _texts(self, at: Any, name: str) -> tuple[str, ...]:
        return tuple(text for part in self._all(at, name) if (text := _text_of(part)))

    def _text(self, at: Any, name: str) -> str | None:
        texts = self._texts(at, name)
        return texts[0] if texts else None

    def _needed(self, at: Any, name: str, where: str) -> str:
        text = self._text(at, name)
        if text is None:
            raise BadCap("is missing or empty", where=f"{where}.{name}")
        return text

    def _one_of(self, at: Any, name: str, kind: Any, where: str, *, absent: str | None = None, also: dict[str, Any] | None = None) -> Any:
        text = self._text(at, name) or absent
        if text is None:
            raise BadCap("is missing or empty", where=f"{where}.{name}")
        return self._word(text, kind, f"{where}.{name}", also or {})

    def _all_of(self, at: Any, name: str, kind: Any, where: str) -> tuple[Any, ...]:
        return tuple(self._word(text, kind, f"{where}.{name}", {}) for text in self._texts(at, name))

    def _word(self, text: str, kind: Any, where: str, also: dict[str, Any]) -> Any:
        words: tuple[str, ...] = get_args(kind)
        if text in words:
            return text
        meant = {word.lower(): word for word in words} | also
        if text.lower() not in meant:
            raise BadCap(f"is {text[:100]!r}; the standard knows {', '.join(words)}", where=where)
        self._forgive(where, text)
        return meant[text.lower()]

    def _time(self, at: Any, name: str, where: str, *, needed: bool = False) -> Any:
        text = self._needed(at, name, where) if needed else self._text(at, name)
        return None if text is None else self._moment(text, f"{where}.{name}")

    def _moment(self, text: str, where: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise BadCap(f"is {text[:100]!r}, which is no time", where=where) from error
        if moment.tzinfo is None:
            raise BadCap(f"is {text[:100]!r}, a time without its offset", where=where)
        if not 1900 < moment.year < 9000:
            raise BadCap(f"is {text[:100]!r}, a time that cannot be meant", where=where)
        if not is_cap_time(text):
            self._forgive(where, text)
        return moment

    def _pairs(self, at: Any, name: str, where: str) -> tuple[Parameter, ...]:
        return tuple(pair for part in self._all(at, name) if (pair := self._pair(part, f"{where}.{name}")))

    def _pair(self, part: Any, where: str) -> Parameter | None:
        """`valueName` and `value`; in CAP 1.0 the text `name=value`."""
        name, value = self._text(part, "valueName"), self._text(part, "value")
        if name is None and value is None and (text := _text_of(part)):
            name, _, value = text.partition("=")
        if name is None:
            self._forgive(where, etree.tostring(part, encoding="unicode")[:100])
            return None
        return Parameter(name, value or "")

    def _references(self, text: str) -> Iterator[Reference]:
        for word in text.split():
            parts = word.split(",")
            if len(parts) != 3:
                self._forgive("alert.references", word)
                continue
            yield Reference(parts[0], parts[1], self._moment(parts[2], "alert.references"))

    def _number(self, at: Any, name: str, where: str) -> float | None:
        text = self._text(at, name)
        return None if text is None else _float(text, f"{where}.{name}")

    def _ring(self, text: str, where: str) -> tuple[Point, ...]:
        words = text.split()
        if len(words) > MOST_POINTS:
            raise BadCap(f"has {len(words)} points; at most {MOST_POINTS} are read", where=where)
        return tuple(_point(word, where) for word in words)

    def _circle(self, text: str, where: str) -> Circle:
        centre, _, radius = text.strip().partition(" ")
        return Circle(_point(centre, where), _float(radius.strip(), where))

    def _forgive(self, where: str, text: str) -> None:
        if len(self._deviations) < 100:
            self._deviations.append(f"{where}: {text[:100]}")


def _text_of(part: Any) -> str:
    return "".join(part.itertext()).strip() if len(part) == 0 else ""


def _point(word: str, where: str) -> Point:
    latitude, _, longitude = word.partition(",")
    return _float(longitude, where), _float(latitude, where)


def _float(text: str, where: str) -> float:
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadCap(f"holds {text[:40]!r} where a number should be", where=where)
    return value
