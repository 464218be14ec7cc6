"""The certificate authorities that this process believes, read once: it takes 20 ms, and a service has several clients."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """For `verify` of httpx: what a client of its own would read, whatever the environment says."""
    return httpx.create_ssl_context(trust_env=False)
