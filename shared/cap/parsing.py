"""From XML to an alert: bounded, without entities and network, patient with what real issuers write (CAP 1.0, 1.1, 1.2)."""

from __future__ import annotations

from lxml import etree

from shared.cap.document import NAMESPACES, Alert
from shared.cap.errors import BadCap
from shared.cap.reading import Reader

__all__ = ["MOST_BYTES", "BadCap", "parse"]
MOST_BYTES = 1024 * 1024
MOST_ELEMENTS = 50_000
DEEPEST = 32
"""An alert has four levels, a signature a few more."""


def parse(content: bytes) -> Alert:
    """The alert in a document whose root is `alert`; `BadCap` says what is wrong with it and where.

    Forgiven and listed in `deviations`: times with `Z` or fractions, words in other cases, `name=value` parameters of CAP 1.0,
    colours as severity. Never forgiven: a DOCTYPE, a time without offset, a missing mandatory element (by the version it names).
    """
    if len(content) > MOST_BYTES:
        raise BadCap(f"has {len(content)} bytes; at most {MOST_BYTES} are read", where="document")
    if b"<!doctype" in content.lower():
        raise BadCap("has a DOCTYPE, which CAP does not need and this reader does not open", where="document")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True, recover=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadCap(f"is no well-formed XML: {str(error)[:200]}", where="document") from error
    if root.getroottree().docinfo.internalDTD is not None:  # one in an encoding that the bytes above do not show
        raise BadCap("has a DOCTYPE, which CAP does not need and this reader does not open", where="document")
    _check_size(root)
    name = etree.QName(root)
    if name.localname != "alert" or name.namespace not in NAMESPACES:
        raise BadCap(f"is {root.tag[:200]!r}, not an alert of CAP 1.0, 1.1 or 1.2", where="document")
    return Reader(name.namespace, content).alert(root)


def _check_size(root: etree._Element) -> None:
    depth = most = count = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        most, count = max(most, depth), count + 1
        if most > DEEPEST or count > 2 * MOST_ELEMENTS:
            raise BadCap(f"has elements deeper than {DEEPEST} or more of them than {MOST_ELEMENTS}", where="document")
