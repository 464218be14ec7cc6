"""Two cities that agree on warnings, as their officers would, and what one of them received."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from ops.hub import Refused, call
from ops.tour.city import RunningCity
from ops.tour.state import now

SETTLES_WITHIN_S = 20.0
LAW = "演练协议 / agreement of an exercise"


def agree(ours: RunningCity, theirs: RunningCity) -> None:
    """Register each other, sign that our warnings are sent, and trust our hub there; whatever stands already stays.

    The other city may do the same at this moment, with a tour of its own.
    """
    _register(ours, theirs)
    _register(theirs, ours)
    if not _in_force(ours, ours, theirs):
        begins = now() - timedelta(hours=1)
        document = {"take": {"warnings": True}, "purposes": ["operations"], "legal_basis": LAW}
        document |= {"begins": begins.isoformat(timespec="seconds"), "ends": (begins + timedelta(days=365)).isoformat(timespec="seconds")}
        proposed = theirs.sector("intercity", "POST", "/agreements", {"peer": ours.code, **document})["id"]
        _until(lambda: proposed in {each["id"] for each in ours.sector("intercity", "GET", "/agreements", state="received")}, "the proposal did not arrive")
        ours.sector("intercity", "POST", f"/agreements/{proposed}/sign")
        _until(lambda: _in_force(ours, ours, theirs) and _in_force(theirs, ours, theirs), "the agreement is not in force")
    issuer = {"peer": ours.code, "sender": f"{ours.code}/hub"}
    if not any(issuer.items() <= known.items() for known in theirs.sector("intercity", "GET", "/warnings/issuers")):
        theirs.sector("intercity", "PUT", "/warnings/issuers", {**issuer, "events": ["*"], "areas": [ours.code[:4]]})


def received(theirs: RunningCity, identifier: str) -> dict[str, Any] | None:
    """A warning as the other gateway has it."""
    found: list[dict[str, Any]] = theirs.sector("intercity", "GET", "/warnings/received")
    return next((each for each in found if each["identifier"] == identifier), None)


def _register(here: RunningCity, there: RunningCity) -> None:
    """Both fingerprints are read from the machine that both run on; officers would compare them by telephone."""
    if there.code in {peer["city"] for peer in here.sector("intercity", "GET", "/peers")}:
        return
    told = call("GET", f"{there.url('intercity')}/identity")
    peer = {"city": there.code, "url": there.url("intercity"), "key": told["key"], "fingerprint": told["spoken"]}
    try:
        here.sector("intercity", "POST", "/peers", peer)
    except Refused as error:
        if error.status != 409:  # somebody else has just done so
            raise


def _in_force(asked: RunningCity, giver: RunningCity, taker: RunningCity) -> bool:
    """Whether a city knows of an agreement by which one of the two sends its warnings to the other; one the other way round is none."""
    agreements = asked.sector("intercity", "GET", "/agreements", state="in_force")
    wanted = {"from": giver.code, "to": taker.code, "warnings": True}
    return any(wanted.items() <= grant.items() for each in agreements for grant in each["document"]["grants"])


def _until(reached: Any, otherwise: str) -> None:
    end = time.monotonic() + SETTLES_WITHIN_S
    while not reached():
        if time.monotonic() > end:
            raise Refused(f"{otherwise} within {SETTLES_WITHIN_S:g} s")
        time.sleep(0.2)
