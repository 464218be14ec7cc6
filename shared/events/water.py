"""Events of the water service."""

from __future__ import annotations

from typing import ClassVar

from shared.events.model import Event


class SiteRegistered(Event):
    """A site was recorded for the first time."""

    type: ClassVar[str] = "water.site.registered.v1"
    subject_template: ClassVar[str] = "sites/{site}"

    site: str
    kind: str
