"""Mappings of tests, stated as the content of their files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ops.load.chunks import Chunk
from ops.load.mapping import FileMapping

STATED: dict[str, Any] = {
    "title": {"zh": "测试", "en": "Test"},
    "source": "made for a test",
    "licence": "none",
    "target": {"service": "food", "path": "/things"},
    "clock": {"zone": "America/Los_Angeles"},
}


def mapping(columns: dict[str, Any], **others: Any) -> FileMapping:
    """A mapping with these columns; `others` replace or add sections."""
    return FileMapping.model_validate({**STATED, "columns": columns, **others, "digest": "d" * 64, "name": "test"})


def chunk(**columns: Sequence[str | None]) -> Chunk:
    """Rows of a file whose first line is 2."""
    table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    return Chunk(table, np.arange(2, 2 + table.num_rows))
