"""What the sources last said of the quality of their data, for the catalogue."""

from __future__ import annotations

from shared.datasets.quality_told import Quality


class Measured:
    """By dataset and source; what is not said anew is forgotten."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Quality] = {}

    def take(self, found: dict[tuple[str, str], Quality]) -> None:
        """The newest round."""
        self._found = found

    def of(self, dataset: str, sources: list[str]) -> dict[str, Quality]:
        """By source; empty unless all of them have said."""
        found = {source: quality for source in sources if (quality := self._found.get((dataset, source))) is not None}
        return found if len(found) == len(sources) else {}
