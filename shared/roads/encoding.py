"""A network as bytes: one Arrow IPC stream with one row, a list for each array. Checked and bounded when read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.roads.network import ARRAYS, BadNetwork, Network, check, sealed

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
LARGEST_BYTES = 256 * 1024 * 1024
"""Most bytes of a network: some four million arcs."""
_TYPES = {
    "node_ids": np.int64,
    "lon": np.float64,
    "lat": np.float64,
    "access": np.bool_,
    "tail": np.int32,
    "head": np.int32,
    "length_m": np.float32,
    "car_s": np.float32,
    "siren_s": np.float32,
    "line_start": np.int32,
    "line_lon": np.float64,
    "line_lat": np.float64,
}


def to_bytes(network: Network) -> bytes:
    """The network as an Arrow IPC stream; its version stands in the schema's metadata."""
    import pyarrow as pa

    columns = [_column(getattr(network, name)) for name in ARRAYS]
    schema = pa.schema([(name, column.type) for name, column in zip(ARRAYS, columns, strict=True)], metadata={"version": network.version})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    return bytes(sink.getvalue())


def from_bytes(content: bytes) -> Network:
    """The network that `to_bytes` wrote. Raises `BadNetwork` for anything else, or if the content does not have the version that it states."""
    import pyarrow as pa

    if len(content) > LARGEST_BYTES:
        raise BadNetwork(f"Not a road network: more than {LARGEST_BYTES} bytes.")
    try:
        with pa.ipc.open_stream(pa.BufferReader(content)) as reader:
            batch = reader.read_next_batch()
            batch.validate(full=True)
            version = (reader.schema.metadata or {}).get(b"version", b"").decode("ascii")
    except (pa.ArrowException, OSError, StopIteration, UnicodeDecodeError, ValueError) as error:
        raise BadNetwork(f"Not a road network: {type(error).__name__}.") from error
    if tuple(batch.schema.names) != ARRAYS or batch.num_rows != 1:
        raise BadNetwork("Not a road network: other columns, or more than one row.")
    arrays = {name: _array(name, batch.column(name)) for name in ARRAYS}
    check(arrays)
    network = sealed(arrays)
    if network.version != version:
        raise BadNetwork("Not a road network: the content is not of the version that it states.")
    return network


def _column(array: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.LargeListArray.from_arrays([0, len(array)], pa.array(array))


def _array(name: str, column: Any) -> NDArray[Any]:
    import pyarrow as pa

    wanted = pa.large_list(pa.from_numpy_dtype(_TYPES[name]))
    if column.type != wanted or column.null_count or column.values.null_count:
        raise BadNetwork(f"Not a road network: {name} is not of type {wanted}, or has nulls.")
    found: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return np.array(found, dtype=_TYPES[name])
