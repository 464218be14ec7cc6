"""What a source between the hub and a real sector does to answers: on the wire, in the form, and by lying."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa

from shared.datasets.aggregate.columns import GROUP_ROWS
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.states import States, read_states, write_states
from tests.hub.federation.liar import Spoil, altered, answer, broken_off, dripping, endless, instead, silent


async def cut_off(_: bytes, writer: asyncio.StreamWriter) -> None:
    """As of a process that was killed: the connection is reset."""
    writer.transport.abort()


def late(by_s: float) -> Spoil:
    async def spoil(content: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(by_s)
        writer.write(answer(content))

    return spoil


def lie(change: Callable[[States], States], page: Callable[[dict[str, Any]], object]) -> Spoil:
    """States that are sound on the wire and untrue; of a page of records the like; anything else is cut in half."""

    async def spoil(content: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            told = write_states(change(read_states(content)))
        except (BrokenStates, KeyError):
            told = _page(content, page)
        writer.write(answer(told))

    return spoil


def _page(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    try:
        document = json.loads(content)
        change(document)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return content[: len(content) // 2]
    return json.dumps(document).encode()


def column(name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[States], States]:
    def changed(states: States) -> States:
        place, field = states.table.column_names.index(name), states.table.schema.field(name)
        values = pa.array(change(states.table[name].to_pylist()), field.type)
        return replace(states, table=states.table.set_column(place, field, values))

    return changed


def claimed(**said: Any) -> Callable[[States], States]:
    return lambda states: replace(states, answers=tuple(replace(entry, **said) for entry in states.answers))


def renamed(states: States) -> States:
    return replace(states, table=states.table.rename_columns([f"{name}x" for name in states.table.column_names]))


def other_unit(states: States) -> States:
    measures = tuple(replace(measure, unit="min") if measure.unit else replace(measure, source="string") for measure in states.layout.measures)
    return replace(states, layout=replace(states.layout, measures=measures))


def huge(states: States) -> States:
    """A sketch of every bucket that there could be, in every group."""
    keys = list(range(-60_000, 60_000))
    counts = states.table["p90.count"].to_pylist()
    cells = [[(key, 1) for key in keys[:-1]] + [(keys[-1], max(1, count - len(keys) + 1))] for count in counts]
    return column("p90.buckets", lambda _: cells)(states)


def no_places(page: dict[str, Any]) -> None:
    page.pop("places")


def wrong_types(page: dict[str, Any]) -> None:
    page["features"] = [7 for _ in page["features"]] or 7


FAULTS: dict[str, Spoil] = {
    "killed": cut_off,
    "stopped": silent,
    "a little late": late(0.1),
    "far too late": late(5.0),
    "dripping": dripping,
    "endless": endless,
    "broken off": broken_off,
    "500": instead(answer(b"oops", status="500 Oops")),
    "503": instead(answer(b"", status="503 Busy")),
    "429": instead(answer(b"", status="429 Slowly")),
    "401": instead(answer(b"", status="401 No")),
    "404": instead(answer(b"{}", status="404 Nothing")),
    "304 without being asked": instead(b"HTTP/1.1 304 Same\r\nConnection: close\r\n\r\n"),
    "something else": instead(answer(b"<html>")),
    "nothing": instead(answer(b"")),
    "no HTTP": instead(b"220 mail\r\n\r\n"),
    "half": altered(lambda content: content[: len(content) // 2]),
    "wrong schema": lie(renamed, no_places),
    "other units": lie(other_unit, no_places),
    "another's name": lie(claimed(source="430300/police"), wrong_types),
    "another dataset": lie(claimed(dataset="fire.crews"), wrong_types),
    "no answer at all": lie(claimed(status="error"), no_places),
    "more rows than it says": lie(column(GROUP_ROWS, lambda rows: [row + 1 for row in rows]), lambda page: page["places"].pop()),
    "fewer values than rows": lie(column("n.count", lambda rows: [row - 1 for row in rows]), lambda page: page["features"].pop()),
    "negative counts": lie(column("sum.count", lambda rows: [-row for row in rows]), lambda page: page["features"].reverse()),
    "least above greatest": lie(column("least.min", lambda values: [99 for _ in values]), lambda page: page["places"].reverse()),
    "sum beyond its values": lie(column("sum.sum", lambda values: [value * 100 for value in values]), lambda page: page.update(links=7)),
    "deviation beyond its values": lie(column("spread.m2", lambda values: [value and 1e30 for value in values]), lambda page: page.update(timeStamp="now")),
    "a group twice": lie(lambda states: replace(states, table=pa.concat_tables([states.table] * 2)), lambda page: page["features"].extend(page["features"])),
    "a huge sketch": lie(huge, lambda page: page.update(features=[{"type": "Feature"}] * 100_000)),
}
"""By name; each is something that the hub can notice, but for "a little late", which is no fault."""
