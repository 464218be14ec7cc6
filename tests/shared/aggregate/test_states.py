"""What is not exactly in order is refused with a reason, never guessed at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.aggregate.columns import REGISTERS, Dimension, Layout, Measure
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.states import MOST_BATCHES, MOST_DESCRIPTION, MOST_LENGTH, MOST_TEXTS, States, read_states, write_states
from shared.datasets.declaration import FieldType
from tests.shared.aggregate.reference import layout_of, source_answer, states_of

LAYOUT = layout_of(
    Measure("n", "count"),
    Measure("mean", "avg", "level", source="number"),
    Measure("least", "min", "level", source="number"),
    Measure("most", "max", "level", source="number"),
    Measure("spread", "stddev", "level", source="number"),
    Measure("p90", "quantile", "level", 0.9, source="number"),
    by=("place",),
)
ROWS = pd.DataFrame({"place": ["430302", "430302", "430304", None], "level": [1.0, 5.0, None, -2.0]})
GOOD = states_of(ROWS, LAYOUT)


def changed(name: str, values: list[Any]) -> bytes:
    """Good states with one column replaced."""
    kind = GOOD.table.schema.field(name).type
    position = GOOD.table.schema.get_field_index(name)
    return write_states(States(LAYOUT, GOOD.table.set_column(position, name, pa.array(values, kind)), GOOD.answers))


def described(change: Callable[[dict[str, Any]], object], good: States = GOOD) -> bytes:
    """Good states with a changed description."""
    data = write_states(good)
    with pa.ipc.open_stream(data) as reader:
        table = reader.read_all()
    description = json.loads(table.schema.metadata[b"liandong"])
    change(description)
    return stream(table.replace_schema_metadata({"liandong": json.dumps(description)}))


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_the_groups_are_in_this_order() -> None:
    assert GOOD.table["place"].to_pylist() == ["430302", "430304", None]
    assert GOOD.table["p90.count"].to_pylist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (changed("group.rows", [2, 0, 1]), "no rows"),
        (changed("group.rows", [2, None, 1]), "missing"),
        (changed("n.count", [3, 1, 1]), "number of rows"),
        (changed("mean.count", [-1, 0, 1]), "negative"),
        (changed("mean.count", [9, 0, 1]), "above the number of rows"),
        (changed("mean.sum", [6.0, 1.0, -2.0]), "nothing was counted"),
        (changed("mean.sum", [None, None, -2.0]), "missing"),
        (changed("mean.sum", [float("nan"), None, -2.0]), "not finite"),
        (changed("least.min", [7.0, None, -2.0]), "above most.max"),
        (changed("least.min", [1.0, 1.0, -2.0]), "or the reverse"),
        (changed("least.min", [float("-inf"), None, -2.0]), "not finite"),
        (changed("spread.m2", [-1.0, None, 0.0]), "negative"),
        (changed("spread.mean", [float("inf"), None, 0.0]), "not finite"),
        (changed("p90.count", [1, 0, 1]), "do not add up"),
        (changed("p90.buckets", [[(40000, 1), (40000, 1)], [], [(-40000, 1)]]), "ascending"),
        (changed("p90.buckets", [[(40090, 1), (40000, 1)], [], [(-40000, 1)]]), "ascending"),
        (changed("p90.buckets", [[(40000, 3), (40090, -1)], [], [(-40000, 1)]]), "not positive"),
        (changed("p90.buckets", [[(40000, None), (40090, 2)], [], [(-40000, 1)]]), "not positive"),
        (changed("p90.buckets", [[(99999, 2)], [], [(-40000, 1)]]), "no number"),
        (changed("p90.buckets", [None, [], [(-40000, 1)]]), "missing"),
        (changed("place", ["430302", "430302", None]), "occurs twice"),
        (changed("place", ["430302", None, None]), "occurs twice"),
    ],
)
def test_states_that_contradict_themselves_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BrokenStates, match=reason):
        read_states(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda description: description.update(contract="2"), "version '2'"),
        (lambda description: description.update(buckets="log-buckets/gamma=1.1"), "understood"),
        (lambda description: description.pop("registers"), "cannot be read"),
        (lambda description: description["layout"].pop("tz"), "not valid"),
        (lambda description: description["layout"]["measures"][1].update(fn="median"), "not valid"),
        (lambda description: description["layout"]["measures"].pop(), "not those"),
        (lambda description: description["layout"]["measures"][1].update(name="average"), "not those"),
        (lambda description: description["layout"]["dimensions"].append(description["layout"]["dimensions"][0]), "twice"),
        (lambda description: description["answers"][0].update(status="wonderful"), "not valid"),
        (lambda description: description["texts"].update(place=["430302", "430302"]), "a text is twice"),
        (lambda description: description["texts"].update(place=["430302"]), "stands for no text"),
        (lambda description: description["texts"].update(place=["430302", "4" * 201]), "not valid"),
        (lambda description: description["texts"].update(place=[str(number) for number in range(1_001)]), "not valid"),
        (lambda description: description["texts"].update({"group.rows": ["1", "2", "3"]}), "not those"),
        (lambda description: description["texts"].pop("place"), "not those"),
    ],
)
def test_a_description_that_is_not_understood_is_refused(change: Callable[[dict[str, Any]], object], reason: str) -> None:
    with pytest.raises(BrokenStates, match=reason):
        read_states(described(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(smallest_group=2**64),
        lambda it: it.update(smallest_group=-1),
        lambda it: it["answers"][0].update(as_of="2026-11-22T08:00:00"),
        lambda it: it["answers"][0].update(as_of="0001-01-01T00:00:00+14:00"),
        lambda it: it["answers"][0].update(as_of="9999-12-31T23:59:59-14:00"),
        lambda it: it["answers"][0].update(rows=10**30),
        lambda it: it["answers"][0].update(elapsed_ms=-1),
        lambda it: it["answers"][0].update(problem={"rows": 10**30}),
        lambda it: it["answers"][0].update(problem={"detail": "x" * MOST_DESCRIPTION}),
    ],
)
def test_what_cannot_be_passed_on_or_reckoned_with_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(BrokenStates):
        read_states(described(change))


def test_a_stream_without_a_description_is_refused() -> None:
    with pytest.raises(BrokenStates, match="does not say"):
        read_states(stream(pa.table({"x": [1]})))


def test_a_column_of_another_type_is_refused() -> None:
    table = GOOD.table.set_column(1, "group.rows", GOOD.table["group.rows"].cast(pa.float64()))
    with pytest.raises(BrokenStates, match="not those"):
        read_states(write_states(States(LAYOUT, table, GOOD.answers)))


@pytest.mark.parametrize(("least", "kind"), [(0, pa.int8()), (-129, pa.int16()), (2**15, pa.int32()), (2**40, pa.int64())])
def test_whole_numbers_travel_as_narrow_as_they_all_fit(least: int, kind: pa.DataType) -> None:
    layout = layout_of(Measure("units", "sum", "units"), by=("place",))
    columns = {"place": ["a", "b", "c"], "group.rows": [1, 2, 3], "units.count": [1, 2, 0], "units.sum": [least, 7, None]}
    table = pa.table(columns, schema=layout.schema())
    data = write_states(States(layout, table, (source_answer(),)))
    with pa.ipc.open_stream(data) as reader:
        assert (reader.schema.field("group.rows").type, reader.schema.field("units.sum").type) == (pa.int8(), kind)
    assert read_states(data).table.cast(layout.schema()) == table


@pytest.mark.parametrize("texts", [["a"], [None], [], ["a", None], ["长" * 200, "b"], ["长" * 201, "b"], [*map(str, range(1_000))], [*map(str, range(1_001))]])
def test_texts_of_groups_come_back_however_many_and_long_they_are(texts: list[str | None]) -> None:
    layout = layout_of(Measure("n", "count"), by=("place",))
    table = pa.table({"place": texts, "group.rows": [1] * len(texts), "n.count": [1] * len(texts)}, schema=layout.schema())
    data = write_states(States(layout, table, (source_answer(),)))
    assert read_states(data).table.cast(layout.schema()) == table
    with pa.ipc.open_stream(data) as reader:
        placed = reader.schema.field("place").type in (pa.int8(), pa.int16())
    assert placed == (0 < len(set(texts) - {None}) <= MOST_TEXTS and max(len(text or "") for text in texts) <= MOST_LENGTH)


@pytest.mark.parametrize("places", [[0, 1, 2], [-1, 0, 1]])
def test_a_place_that_stands_for_no_text_is_refused(places: list[int]) -> None:
    with pa.ipc.open_stream(write_states(GOOD)) as reader:
        table = reader.read_all()
    with pytest.raises(BrokenStates, match="stands for no text"):
        read_states(stream(table.set_column(0, "place", pa.array(places, pa.int16())).replace_schema_metadata(table.schema.metadata)))


HOUR = 3_600_000_000
TIMED = Layout((Dimension("hour", "time:hour", "datetime"),), (Measure("n", "count"), Measure("total", "sum", "level", source="number")), "Asia/Shanghai")


def timed(moments: Sequence[int | None]) -> States:
    """States by these times (microseconds)."""
    count = [place + 1 for place in range(len(moments))]
    columns = {"hour": pa.array(moments, pa.int64()).cast(pa.timestamp("us", "UTC")), "group.rows": count, "n.count": count}
    columns |= {"total.count": count, "total.sum": [0.5] * len(moments)}
    return States(TIMED, pa.table(columns, schema=TIMED.schema()), (source_answer(),))


@pytest.mark.parametrize(
    ("moments", "placed"),
    [
        ([5 * HOUR, 3 * HOUR, 40 * HOUR], True),
        ([-7 * HOUR + 17, 17, 4 * HOUR + 17], True),
        ([60_000_000, 180_000_000], True),
        ([HOUR], True),
        ([HOUR, None], False),
        ([1, 2, 4], False),
        ([0, 30_000 * HOUR], False),  # more hours than two rows may stand for
        ([], False),
    ],
)
def test_times_at_equal_distances_travel_as_places(moments: list[int | None], placed: bool) -> None:
    states = timed(moments)
    data = write_states(states)
    assert read_states(data).table.cast(TIMED.schema()) == states.table
    with pa.ipc.open_stream(data) as reader:
        assert pa.types.is_integer(reader.schema.field("hour").type) == placed


@pytest.mark.parametrize(("name", "travels"), [("n.count", False), ("total.count", True)])
def test_counts_that_are_those_of_the_rows_travel_once(name: str, travels: bool) -> None:
    states = timed([0, HOUR])
    different = states.table.set_column(3, "total.count", pa.array([1, 1]))
    data = write_states(States(TIMED, different, states.answers))
    assert read_states(data).table.cast(TIMED.schema()) == different
    with pa.ipc.open_stream(data) as reader:
        assert (name in reader.schema.names) == travels


@pytest.mark.parametrize("kind", ["string", "datetime", "integer"])
def test_a_dimension_may_be_named_like_a_count(kind: FieldType) -> None:
    layout = Layout((Dimension("calls.count", "calls.count", kind),), (Measure("n", "count"),), "Asia/Shanghai")
    values = {"string": ["a"], "datetime": [HOUR], "integer": [1]}[kind]
    table = pa.table({"calls.count": values, "group.rows": [1], "n.count": [1]}, schema=layout.schema())
    assert read_states(write_states(States(layout, table, (source_answer(),)))).table.cast(layout.schema()) == table


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda it: it["times"]["hour"].update(count=40), "stands for no time"),
        (lambda it: it["times"]["hour"].update(count=10_013), "too many"),
        (lambda it: it["times"]["hour"].update(count=10**9), "not valid"),
        (lambda it: it["times"]["hour"].update(step=0), "not valid"),
        (lambda it: it["times"]["hour"].update(step=2**61), "beyond"),
        (lambda it: it["times"]["hour"].update(first=2**62), "not valid"),
        (lambda it: it["times"].update(other=it["times"]["hour"]), "not those"),
        (lambda it: it["texts"].update(hour=["a"]), "not those"),
        (lambda it: it["times"].clear(), "not those"),
        (lambda it: it["same"].update({"total.sum": "group.rows"}), "not those"),
        (lambda it: it["same"].update({"n.count": "total.count"}), "not those"),
        (lambda it: it["same"].update({"n.count": "n.count"}), "not those"),
        (lambda it: it["same"].update({"group.rows": "group.rows"}), "not those"),
        (lambda it: it["same"].update({"more.count": "group.rows"}), "not those"),
        (lambda it: it["same"].pop("n.count"), "not those"),
    ],
)
def test_a_description_of_times_or_counts_that_cannot_be_is_refused(change: Callable[[dict[str, Any]], object], why: str) -> None:
    with pytest.raises(BrokenStates, match=why):
        read_states(described(change, timed([5 * HOUR, 3 * HOUR, 43 * HOUR])))


def test_compressed_buffers_are_refused_because_they_may_swell_to_any_size() -> None:
    with pa.ipc.open_stream(write_states(GOOD)) as reader:
        table = reader.read_all()
    for compression in ("zstd", "lz4"):
        with pytest.raises(BrokenStates, match="compressed"):
            read_states(stream(table, compression=compression))


def test_batches_without_number_are_refused() -> None:
    with pa.ipc.open_stream(write_states(GOOD)) as reader:
        table = reader.read_all()

    def beside(empty: int) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
            for _ in range(empty):
                writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema))
        return bytes(sink.getvalue())

    assert read_states(beside(MOST_BATCHES - 1)).table.num_rows == 3
    with pytest.raises(BrokenStates, match="batches"):
        read_states(beside(MOST_BATCHES))


def test_dictionaries_are_refused_because_theirs_may_be_compressed_too() -> None:
    coded = pa.table({"a": pa.array(["x" * 1000]).dictionary_encode()})
    schema, dictionary, _ = pa.ipc.MessageReader.open_stream(stream(coded, compression="zstd"))
    batch = list(pa.ipc.MessageReader.open_stream(stream(coded)))[2]
    spliced = b"".join(message.serialize().to_pybytes() for message in (schema, dictionary, batch)) + b"\xff\xff\xff\xff\x00\x00\x00\x00"
    with pytest.raises(BrokenStates, match="a dictionary is in it"):
        read_states(spliced)


def test_a_bottomless_description_is_refused() -> None:
    table = write_states(GOOD)
    with pa.ipc.open_stream(table) as reader:
        bottomless = reader.read_all().replace_schema_metadata({b"liandong": b"[" * 50_000})
    with pytest.raises(BrokenStates, match="cannot be read"):
        read_states(stream(bottomless))


def test_a_stream_cut_anywhere_is_refused() -> None:
    data = write_states(GOOD)
    for length in range(0, len(data), 7):
        with pytest.raises(BrokenStates):
            read_states(data[:length])


def test_a_column_whose_name_is_no_text_is_refused() -> None:
    data = write_states(GOOD)
    places = [found.start() for found in re.finditer(b"group.rows", data)]
    assert places
    for place in places:
        with pytest.raises(BrokenStates):
            read_states(data[:place] + b"\xd0" + data[place + 1 :])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_typed_error_or_states_that_hold(data: st.DataObject) -> None:
    damaged = bytearray(write_states(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_states(bytes(damaged))
    except BrokenStates:
        return
    assert read.table.num_rows <= 3


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(BrokenStates):
        read_states(noise)


def test_registers_that_cannot_be_are_refused() -> None:
    layout = layout_of(Measure("kinds", "distinct", "kind", source="string"), by=())
    for registers in ([64 * 1024 + 1], [64], [64 + 63], [129, 65], [65, 66], [-1], [None]):
        table = pa.table({"group.rows": [3], "kinds.registers": pa.array([registers], REGISTERS)}, schema=layout.schema())
        with pytest.raises(BrokenStates):
            read_states(write_states(States(layout, table, (source_answer(),))))


def test_states_must_answer_the_question_that_was_asked() -> None:
    asked: dict[str, Any] = {
        "measures": {
            "n": {"fn": "count"},
            "mean": {"fn": "avg", "field": "level"},
            "least": {"fn": "min", "field": "level"},
            "most": {"fn": "max", "field": "level"},
            "spread": {"fn": "stddev", "field": "level"},
            "p90": {"fn": "quantile", "field": "level", "q": 0.9},
        },
        "by": {"place": "place"},
        "tz": "Asia/Shanghai",
    }
    data = write_states(GOOD)
    assert read_states(data, question=Question.model_validate(asked)).table.cast(LAYOUT.schema()) == GOOD.table
    others: list[dict[str, Any]] = [{"tz": "UTC"}, {"by": {}}, {"by": {"place": "area:district"}}, {"measures": {"n": {"fn": "count"}}}]
    for other in others:
        with pytest.raises(BrokenStates, match="another question"):
            read_states(data, question=Question.model_validate(asked | other))


def test_an_answer_without_dimensions_has_exactly_one_group() -> None:
    layout = layout_of(Measure("n", "count"), by=())
    table = pa.table({"group.rows": [1, 2], "n.count": [1, 2]}, schema=layout.schema())
    with pytest.raises(BrokenStates, match="exactly one"):
        read_states(write_states(States(layout, table, (source_answer(),))))
