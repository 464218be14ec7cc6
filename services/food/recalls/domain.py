"""Recalls: how soon they must start, and what published notices say in which language."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

GRADES = ("I", "II", "III")
START_WITHIN = {"I": timedelta(hours=24), "II": timedelta(hours=48), "III": timedelta(hours=72)}
"""After the hazard is known (食品召回管理办法, CFDA order 12 of 2015, article 13; from memory, to be verified)."""
LIVE_FOR = timedelta(days=30)
"""A recall recorded later than this after it was opened is history, not news: no event tells of it."""
_SPANISH = re.compile(
    r"\b(retira|retiran|retirada|reporte de|alerta de salud|salud pública|debido a|productos? de|emite|por posible|sin el beneficio|anuncia|firma de)\b",
    re.IGNORECASE,
)
_ALERT = re.compile(r"public health alert|alerta de salud|警示|预警", re.IGNORECASE)
_OUTBREAK = re.compile(r"\boutbreak\b|暴发", re.IGNORECASE)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_NOT_IN_NUMBERS = re.compile(r"[^A-Za-z0-9._~@+-]+")
_TAG = re.compile(r"<[^<>]{0,2000}>")


def out_of_order(progress: Mapping[str, Any]) -> str | None:
    """Which of `informed_at` and `removed_at` lies after `finished_at`, if one does."""
    end = progress["finished_at"]
    return next((name for name in ("informed_at", "removed_at") if end and progress[name] and progress[name] > end), None)


def start_by(grade: str, known_since: datetime) -> datetime:
    """When a recall of this grade must have started."""
    return known_since + START_WITHIN[grade]


def is_news(opened_at: datetime, now: datetime) -> bool:
    """Whether an opened recall should still be told as an event."""
    return now - opened_at <= LIVE_FOR


def plain(text: str) -> str:
    """A published text without mark-up, entities and line breaks."""
    unescaped = html.unescape(html.unescape(text))
    return " ".join("".join(character if character.isprintable() else " " for character in _TAG.sub(" ", unescaped)).split())


def number_of(text: str) -> str:
    """A publisher's number as an identifier: `014-2015(Original)` is `014-2015-Original`."""
    return _NOT_IN_NUMBERS.sub("-", text).strip("-")


def language_of(title: str) -> str:
    """`zh`, `es` or `en`, by the words of a title: a rule of this project that tells the twins of FSIS notices apart."""
    if _CHINESE.search(title):
        return "zh"
    return "es" if _SPANISH.search(title) else "en"


def kind_of(title: str) -> str:
    """`outbreak`, `alert` or `recall`, by the words of a title, where the publisher does not say."""
    return "outbreak" if _OUTBREAK.search(title) else "alert" if _ALERT.search(title) else "recall"
