"""Request bodies: read within bounds, decompressed within bounds, turned into rows and columns."""

from shared.body.reading import Body, LoadSlot, read_body
from shared.body.rows import MEDIA_TYPES, Rows, rows_of

__all__ = ["MEDIA_TYPES", "Body", "LoadSlot", "Rows", "read_body", "rows_of"]
