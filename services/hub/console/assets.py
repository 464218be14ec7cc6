"""The page's files, read once: packed, each under an address that changes with any of them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).with_name("page")
MEDIA_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing from elsewhere, nothing inline, no text that becomes markup or code."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, media_type: str, plain: bytes) -> Asset:
        return cls(media_type, plain, gzip.compress(plain, 9, mtime=0), f'"{hashlib.sha256(plain).hexdigest()[:32]}"')


@dataclass(frozen=True, slots=True)
class Assets:
    """The page and the files that it loads."""

    page: Asset
    digest: str
    files: Mapping[str, Asset]


@cache
def assets() -> Assets:
    """Read from the package; the page names its files by the digest of all, so that browsers may keep them for ever."""
    found = {path.name: path.read_bytes() for path in sorted(PAGE.iterdir()) if path.suffix in MEDIA_TYPES}
    index = found.pop("index.html").decode()
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in found.items())).hexdigest()[:16]
    preloads = "\n".join(f'<link rel="modulepreload" href="console/{digest}/{name}">' for name in found if name.endswith(".js"))
    index = index.replace("{files}", f"console/{digest}").replace("<!-- modules -->", preloads)
    files = {name: Asset.of(MEDIA_TYPES[Path(name).suffix], content) for name, content in found.items()}
    return Assets(Asset.of(MEDIA_TYPES[".html"], index.encode()), digest, files)
