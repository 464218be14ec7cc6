"""Gives a new city its areas (run by the supervisor once everything answers)."""

from __future__ import annotations

import json
import sys

from ops.demo_areas import CITY, demo_areas
from ops.place import Place
from ops.probe import ask


def seed(place: Place) -> None:
    """Load the demo city's areas through the hub, unless it has them."""
    hub = place.url("hub")
    if place.city != CITY or ask(f"{hub}/areas/{CITY[:4]}")[0] == 200:
        return
    from ops.hub import call, get_token  # only a new city needs an HTTP client

    clients = {client["id"]: client for client in json.loads(place.clients_file.read_text(encoding="utf-8"))}
    token = get_token({"clients": clients, "services": {"hub": {"url": hub}}}, "admin")["access_token"]
    answer = call("PUT", f"{hub}/areas", token=token, json=list(demo_areas()))
    if answer["rejected"]:
        sys.exit(f"the hub rejected {answer['rejected']} areas: {answer['errors'][:3]}")
    sys.stdout.write(f"{answer['taken']} areas of the demo city loaded\n")


if __name__ == "__main__":
    seed(Place.from_environment())
