"""Peers, agreements and the proofs between two cities: who may be believed, what may be agreed, and what can be shown afterwards."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785

from services.intercity.messages.wire import read, sign
from services.intercity.proofs.ledger import TYP
from services.intercity.proofs.tasks import LogForked, check_checkpoint
from services.intercity.proofs.verify import main as verify
from tests.intercity.cities import FIELDS, NORTH, SOUTH, TwoCities, grant

PROPOSAL: dict[str, Any] = {"peer": SOUTH, "purposes": ["analysis"], "legal_basis": "Decree 809", "begins": "2026-01-01T00:00:00Z"}


def proposal(**dataset: Any) -> dict[str, Any]:
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return {**PROPOSAL, "ends": ends, "give": {"datasets": [{"id": "fire.calls", "fields": FIELDS, "operations": ["records"], **dataset}]}}


async def test_a_key_is_trusted_only_with_the_fingerprint_that_was_read_out(cities: TwoCities, tmp_path: Path) -> None:
    identity = (await cities.south.clients["intercity"].get("/identity")).json()
    other = (await cities.north.clients["intercity"].get("/identity")).json()
    wrong = {"city": "430200", "url": "http://127.0.0.1:9", "key": identity["key"], "fingerprint": other["spoken"]}
    assert (await cities.officer(NORTH, "POST", "/peers", wrong, fails=409))["type"] == "/problems/fingerprint-mismatch"
    taken = {**wrong, "fingerprint": identity["fingerprint"]}
    assert (await cities.officer(NORTH, "POST", "/peers", taken, fails=409))["type"] == "/problems/conflict"
    secret = cities.south.settings["intercity"].cache_dir / "secrets" / "current.jwk"
    assert secret.stat().st_mode & 0o077 == 0
    private = {**wrong, "key": orjson.loads(secret.read_bytes())}
    await cities.officer(NORTH, "POST", "/peers", private, fails=422)


@pytest.mark.parametrize(
    ("dataset", "named"),
    [
        ({"id": "fire.secrets"}, "fire.secrets"),
        ({"fields": ["id", "caller_name"]}, "caller_name"),
        ({"filter": "caller_name = 'x'"}, "caller_name"),
        ({"fields": ["kind"]}, "'id'"),
    ],
)
async def test_nobody_gives_what_is_not_there_to_give(cities: TwoCities, dataset: dict[str, Any], named: str) -> None:
    found = await cities.officer(NORTH, "POST", "/agreements", proposal(**dataset), fails=422)
    assert named in found["detail"]


async def test_filters_that_are_none_and_periods_that_are_over_are_refused(cities: TwoCities) -> None:
    await cities.officer(NORTH, "POST", "/agreements", proposal(filter="kind ="), fails=400)
    await cities.officer(NORTH, "POST", "/agreements", {**proposal(), "ends": "2026-01-02T00:00:00Z"}, fails=422)
    await cities.officer(NORTH, "POST", "/agreements", {**proposal(), "begins": "0001-01-01T00:00:00+14:00"}, fails=422)


async def test_a_new_agreement_supersedes_and_either_side_ends_it(cities: TwoCities) -> None:
    first = await cities.agree(give=grant())
    second = await cities.agree(give=grant(fields=["id", "kind"]), supersedes=first)
    for code in (NORTH, SOUTH):
        await cities.state(code, first, "ended")
    described = await cities.told(cities.message("describe", b'{"dataset":"fire.calls"}', second))
    assert set(orjson.loads(described.payload)["schema"]["properties"]) == {"id", "kind"}
    await cities.officer(SOUTH, "POST", f"/agreements/{second}/end", {"reason": "enough"})
    await cities.state(NORTH, second, "ended")
    events = cities.sql(
        NORTH, "SELECT count(*) FROM outbox WHERE envelope->>'type' = 'intercity.agreement.changed.v1' AND envelope->'data'->>'agreement' = $1", second
    )
    assert events[0][0] == 2


async def test_small_groups_stay_at_home(cities: TwoCities) -> None:
    agreement = await cities.agree(give=grant(smallest_group=25, filter=None))
    question = {"measures": {"n": {"fn": "count"}}, "by": {"area": "area", "kind": "kind"}}
    asked = orjson.dumps({"dataset": "fire.calls", "question": {**question, "filter": {"op": "=", "args": [{"property": "kind"}, "rescue"]}}})
    found = orjson.loads((await cities.told(cities.message("aggregate", asked, agreement))).payload)
    assert ([row[-1] for row in found["cells"]], found["suppressed"]) == ([30], 0)
    by_units = orjson.dumps({"dataset": "fire.calls", "question": {"measures": {"n": {"fn": "count"}}, "by": {"units": "units"}}})
    found = orjson.loads((await cities.told(cities.message("aggregate", by_units, agreement))).payload)
    assert (found["cells"], found["suppressed"]) == ([], 4), "23, 23, 22 and 22 of 90"


async def test_what_was_asked_is_proved_by_files_alone(cities: TwoCities, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agreement = await cities.agree(give=grant())
    earlier = await cities.officer(NORTH, "GET", "/log/checkpoint")
    message = cities.message("records", b'{"dataset":"fire.calls","limit":3}', agreement)
    answer = await cities.told(message)
    later = await cities.officer(NORTH, "GET", "/log/checkpoint")
    files = {
        "key": (await cities.north.clients["intercity"].get("/identity")).json(),
        "earlier": earlier,
        "checkpoint": later,
        "inclusion": await cities.officer(NORTH, "GET", f"/log/proofs/inclusion?message={message.envelope.id}&size={later['size']}"),
        "consistency": await cities.officer(NORTH, "GET", f"/log/proofs/consistency?first={earlier['size']}&second={later['size']}"),
    }
    arguments = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(orjson.dumps(content))
        arguments += [f"--{name}", str(tmp_path / name)]
    for proved in (message, answer):
        (tmp_path / "message").write_bytes(proved.wire)
        assert verify([*arguments, "--message", str(tmp_path / "message")]) == 0
        assert "the message is the one" in capsys.readouterr().out
    (tmp_path / "message").write_bytes(message.wire.replace(b'"limit":3', b'"limit":4'))
    assert verify([*arguments, "--message", str(tmp_path / "message")]) == 1
    files["inclusion"]["entries"][0]["entry"] = files["inclusion"]["entries"][0]["entry"].replace(SOUTH, "999999")
    (tmp_path / "inclusion").write_bytes(orjson.dumps(files["inclusion"]))
    assert verify(arguments) == 1


async def test_a_peer_whose_log_has_two_histories_is_believed_no_more(cities: TwoCities) -> None:
    south, north = cities.gateway(SOUTH), cities.gateway(NORTH)
    await cities.agree(give=grant())
    honest = orjson.loads((await cities.told(cities.message("checkpoint", b"{}", None))).payload)["checkpoint"]
    await check_checkpoint(south, NORTH, honest)
    content = orjson.loads(base64.urlsafe_b64decode(honest.split(".")[1] + "=="))
    forked = sign(north.keys, rfc8785.dumps({**content, "root": base64.b64encode(b"x" * 32).decode()}), TYP)
    with pytest.raises(LogForked):
        await check_checkpoint(south, NORTH, forked)
    peer = await cities.officer(SOUTH, "GET", f"/peers/{NORTH}")
    assert peer["state"] == "suspended"
    await cities.officer(SOUTH, "POST", f"/peers/{NORTH}/resume")


async def test_the_next_key_signs_once_peers_have_confirmed_it(cities: TwoCities) -> None:
    agreement = await cities.agree(give=grant())
    following = await cities.officer(SOUTH, "POST", "/identity/next")
    await cities.officer(NORTH, "POST", f"/peers/{SOUTH}/keys", {"key": following["key"], "fingerprint": following["spoken"]})
    old = cities.gateway(SOUTH).keys.current.fingerprint
    await cities.officer(SOUTH, "POST", "/identity/rotate")
    message = cities.message("records", b'{"dataset":"fire.calls","limit":1}', agreement)
    assert read(message.wire).fingerprint == following["fingerprint"]
    await cities.told(message)
    await cities.officer(NORTH, "POST", f"/peers/{SOUTH}/keys/{old}/withdraw", {"reason": "rotated"})
    assert len(cities.gateway(SOUTH).keys.current.public["x"]) == 43
