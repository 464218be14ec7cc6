"""How a load reads RSS: items as records, dates as times, and nothing from outside the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.load.files import chunks_of, unit_of
from ops.load.mapping import CannotMap
from ops.load.rows import batch_of, body_of
from tests.ops.load_mappings import mapping
from tests.ops.load_receiver import written

COLUMNS = {"title": "title", "at": {"from": "pubDate", "time": "iso", "required": True}, "text": "description", "by": "creator"}
ITEMS = """<?xml version="1.0"?><rss xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0"><channel><title>Feed</title>
<item><title>One &amp; two</title><pubDate>Wed, 12 Nov 2025 09:14:00 EST</pubDate><dc:creator>FDA</dc:creator></item>
<item><title>Three</title><description><![CDATA[<b>bold</b>]]></description><pubDate>Tue, 04 Nov 2025 12:00:00 +0000</pubDate></item>
<item><title>Four</title><pubDate>yesterday</pubDate></item></channel></rss>"""


def test_items_are_records_with_their_elements_as_columns(tmp_path: Path):
    path, made = written(tmp_path / "x.xml", ITEMS), mapping(COLUMNS)
    batch = batch_of(next(chunks_of(path, made)), made)
    assert unit_of(path, made) == "record"
    assert json.loads(body_of(batch, made)) == [
        {"title": "One & two", "at": "2025-11-12T14:14:00Z", "by": "FDA"},
        {"title": "Three", "at": "2025-11-04T12:00:00Z", "text": "<b>bold</b>"},
    ]
    assert [(fault.line, fault.code) for fault, _ in batch.rejected] == [(3, "not-a-time")]
    assert batch.lines.tolist() == [1, 2]


def test_batches_of_a_feed_have_the_mappings_size(tmp_path: Path):
    made = mapping(COLUMNS, target={"service": "food", "path": "/things", "batch": 2})
    assert [chunk.lines.tolist() for chunk in chunks_of(written(tmp_path / "x.rss", ITEMS), made)] == [[1, 2], [3]]


@pytest.mark.parametrize(
    "text",
    [
        "no xml",
        "<rss><channel></channel></rss>",
        "<feed><item/></feed>",
        ITEMS.replace("<rss", '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/hostname">]><rss').replace("Three", "&a;"),
        ITEMS.replace("<rss", "<!DOCTYPE rss><rss"),
        ITEMS.replace("Three", "&undeclared;"),
    ],
)
def test_what_is_no_feed_or_would_fetch_something_is_refused(tmp_path: Path, text: str):
    with pytest.raises(CannotMap):
        list(chunks_of(written(tmp_path / "x.xml", text), mapping(COLUMNS)))
