"""The application of the sector that the configuration file of this process names."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench.federation.sector import service_of
from shared.service import create_app

app = create_app(service_of(json.loads(Path(os.environ["LIANDONG_CONFIG"]).read_text(encoding="utf-8"))["service"]))
