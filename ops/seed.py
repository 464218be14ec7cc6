"""The last steps of a start (run by the supervisor once everything answers): the hub has met its sectors, and a new demo city is furnished."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from ops.demo.furnish import furnish, furnished
from ops.hub import Refused, call, get_token
from ops.place import Place
from ops.services import present

MEETS_WITHIN_S = 15.0


def run_of(place: Place) -> dict[str, Any]:
    """What `run.json` will say of services and clients."""
    clients = {client["id"]: client for client in json.loads(place.clients_file.read_text(encoding="utf-8"))}
    return {"city": place.city, "clients": clients, "services": {name: {"url": place.url(name)} for name in present()}}


def meet_sectors(run: dict[str, Any], token: str) -> None:
    """Wait until the hub has heard from every sector, so that the first question already reaches all."""
    end = time.monotonic() + MEETS_WITHIN_S
    while True:
        sources: list[dict[str, str]] = call("GET", f"{run['services']['hub']['url']}/sources", token=token)
        missing = [source["name"] for source in sources if source["health"] != "up" and source["kind"] == "sector"]
        if not missing:
            return
        if time.monotonic() > end:
            sys.stdout.write(f"the hub has not heard from {', '.join(missing)} yet; answers will name what is missing\n")
            return
        time.sleep(0.1)


def main() -> None:
    place = Place.from_environment()
    run = run_of(place)
    try:
        if not furnished(run):
            furnish(run, facts=place.demo == "on")
        meet_sectors(run, get_token(run, "admin")["access_token"])
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
