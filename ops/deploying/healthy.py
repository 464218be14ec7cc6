"""Whether the service of this container can do its work: `python -m ops.deploying.healthy`, for a health check."""

from __future__ import annotations

import sys

from ops.deploying.places import PORT
from ops.probe import ask

if __name__ == "__main__":
    status, body = ask(f"http://127.0.0.1:{PORT}/readyz")
    sys.exit(0 if status == 200 else f"{status} {body}")
