"""The last steps of a start (run by the supervisor once everything answers): areas for a new city, and the hub has met its sectors."""

from __future__ import annotations

import json
import sys
import time

from ops.demo_areas import CITY, demo_areas
from ops.hub import Refused, call, get_token
from ops.place import Place
from ops.probe import ask

MEETS_WITHIN_S = 15.0


def load_areas(place: Place, token: str) -> None:
    """Load the demo city's areas through the hub, unless it has them."""
    hub = place.url("hub")
    if place.city != CITY or ask(f"{hub}/areas/{CITY[:4]}")[0] == 200:
        return
    answer = call("PUT", f"{hub}/areas", token=token, json=list(demo_areas()))
    if answer["rejected"]:
        raise Refused(f"the hub rejected {answer['rejected']} areas: {answer['errors'][:3]}")
    sys.stdout.write(f"{answer['taken']} areas of the demo city loaded\n")


def meet_sectors(place: Place, token: str) -> None:
    """Wait until the hub has heard from every sector, so that the first question already reaches all."""
    end = time.monotonic() + MEETS_WITHIN_S
    while True:
        sources: list[dict[str, str]] = call("GET", f"{place.url('hub')}/sources", token=token)
        missing = [source["name"] for source in sources if source["health"] != "up"]
        if not missing:
            return
        if time.monotonic() > end:
            sys.stdout.write(f"the hub has not heard from {', '.join(missing)} yet; answers will name what is missing\n")
            return
        time.sleep(0.1)


def main() -> None:
    place = Place.from_environment()
    clients = {client["id"]: client for client in json.loads(place.clients_file.read_text(encoding="utf-8"))}
    try:
        token = get_token({"clients": clients, "services": {"hub": {"url": place.url("hub")}}}, "admin")["access_token"]
        load_areas(place, token)
        meet_sectors(place, token)
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
