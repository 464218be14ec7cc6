"""Proves what was asked and answered, from files alone: `python -m services.intercity.proofs.verify --key gateway.jwk …`.

Needs no service, no database and no network: the city's public key (as `GET /identity` gives it, its fingerprint confirmed), a checkpoint
(`GET /log/checkpoint`), and what is to be proved by it:

    --checkpoint checkpoint.json                              the city signed that its log had so many entries with this root
    --inclusion inclusion.json                                the entries of a message are in that log (GET /log/proofs/inclusion)
    --message message.jws                                     one of those entries is about this very message
    --earlier earlier.json --consistency consistency.json     the log has only grown since an earlier checkpoint (GET /log/proofs/consistency)
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from services.intercity.proofs.domain import consistent, includes, leaf_hash


class NotProved(Exception):
    """What was given does not prove what it should."""


def checkpoint_of(key: OKPKey, signed: str) -> dict[str, Any]:
    """What a checkpoint says; `NotProved` unless the key signed it."""
    try:
        content: dict[str, Any] = json.loads(jws.deserialize_compact(signed, key, algorithms=["Ed25519"]).payload)
    except (JoseError, ValueError, TypeError) as error:
        raise NotProved("the checkpoint is not signed with this key") from error
    return content


def prove_inclusion(checkpoint: dict[str, Any], proof: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries that the proof shows to be in the log of the checkpoint."""
    if proof["size"] != checkpoint["size"]:
        raise NotProved(f"the proof is about {proof['size']} entries, the checkpoint about {checkpoint['size']}")
    root = base64.b64decode(checkpoint["root"])
    for one in proof["entries"]:
        path = [base64.b64decode(part) for part in one["proof"]]
        if not includes(leaf_hash(one["entry"].encode()), one["number"], checkpoint["size"], path, root):
            raise NotProved(f"entry {one['number']} is not in the log")
    return [json.loads(one["entry"]) for one in proof["entries"]]


def prove_message(entries: list[dict[str, Any]], content: bytes) -> None:
    """One of the entries has the digest of the message's signed envelope, and the envelope that of the payload."""
    signed, _, payload = content.partition(b"\n")
    body = signed.split(b".")[1]
    envelope = json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    if _digest(payload) != envelope["digest"]:
        raise NotProved("the payload is not the one that was signed")
    if not any(entry["digest"] == _digest(signed) for entry in entries):
        raise NotProved("no entry is about this message")


def prove_growth(earlier: dict[str, Any], later: dict[str, Any], proof: dict[str, Any]) -> None:
    """The log of the later checkpoint begins with that of the earlier one."""
    path = [base64.b64decode(part) for part in proof["proof"]]
    if not consistent(earlier["size"], later["size"], base64.b64decode(earlier["root"]), base64.b64decode(later["root"]), path):
        raise NotProved("the log has not only grown: one of its entries was changed or taken away")


def _digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def main(arguments: list[str]) -> int:
    """0 if everything that was given is proved, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=Path, required=True, help="public key of the city: a JWK, or the answer of GET /identity")
    parser.add_argument("--checkpoint", type=Path, required=True)
    for option in ("inclusion", "message", "earlier", "consistency"):
        parser.add_argument(f"--{option}", type=Path)
    given = parser.parse_args(arguments)
    try:
        for line in _proved(given):
            sys.stdout.write(f"{line}\n")
    except (NotProved, KeyError, ValueError, IndexError, TypeError) as error:
        sys.stdout.write(f"NOT PROVED: {error}\n")
        return 1
    return 0


def _proved(given: argparse.Namespace) -> list[str]:
    known = _json(given.key)
    key = OKPKey.import_key(known.get("key", known))
    later = checkpoint_of(key, _json(given.checkpoint)["checkpoint"])
    said = [f"{later['city']} signed at {later['time']}: {later['size']} entries, root {later['root']}"]
    if given.inclusion is not None:
        entries = prove_inclusion(later, _json(given.inclusion))
        said += [f"in the log: {entry['direction']} {entry['kind']} {entry.get('operation', '')} {entry.get('message', '')} {entry['at']}" for entry in entries]
        if given.message is not None:
            prove_message(entries, given.message.read_bytes())
            said.append("the message is the one that the log names")
    if given.earlier is not None and given.consistency is not None:
        earlier = checkpoint_of(key, _json(given.earlier)["checkpoint"])
        prove_growth(earlier, later, _json(given.consistency))
        said.append(f"the log has only grown since it had {earlier['size']} entries")
    return said


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
