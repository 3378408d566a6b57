"""The table of a sector's targets: its schema, and how rows of it are made and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.errors import NotListedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tessloom.pipelines import Pipeline

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("tic_id", pa.int64()),
        pa.field("camera", pa.int8(), nullable=False),
        pa.field("ccd", pa.int8(), nullable=False),
        pa.field("version", pa.string()),
        pa.field("path", pa.string()),
        pa.field("ra", pa.float64()),
        pa.field("dec", pa.float64()),
        pa.field("healpix_29", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""One row a light curve.

``id`` is what file names carry; ``camera`` and ``ccd`` are 0 where they do not tell; ``path`` is
null where it is the one that `Pipeline.light_curve_path` gives; ``ra`` and ``dec`` (degrees) and
``healpix_29`` are null, and ``reason`` and ``detail`` are not, for a target that can't be placed.
"""


def light_curve_path(pipeline: Pipeline, sector: int, target: Mapping[str, Any]) -> str:
    """Return the path of a row of a listing, relative to the archive's root."""
    path: str = target["path"] or pipeline.light_curve_path(
        sector, target["id"], target["camera"], target["ccd"], target["version"]
    )
    return path


def target_table(columns: dict[str, Any], count: int) -> pa.Table:
    """Return a table of `SCHEMA`; columns that are not given are null."""
    arrays: list[pa.Array | pa.ChunkedArray] = []
    # One buffer for all of them, whose pages take no memory until somebody writes to them.
    zeros = pa.py_buffer(np.zeros(8 * (count + 1), np.uint8))
    for column in SCHEMA:
        values = columns.get(column.name)
        if values is None:
            arrays.append(_nulls(column.type, count, zeros))
        elif isinstance(values, pa.Array | pa.ChunkedArray):
            arrays.append(values.cast(column.type))
        else:
            arrays.append(pa.array(values, column.type))
    return pa.table(arrays, schema=SCHEMA)


def _nulls(kind: pa.DataType, count: int, zeros: pa.Buffer) -> pa.Array:
    buffers = [zeros, zeros, zeros] if pa.types.is_string(kind) else [zeros, zeros]
    return pa.Array.from_buffers(kind, count, buffers, null_count=count)


def targets_without_file(identifiers: pa.Array, detail: str) -> pa.Table:
    """Return rows of targets of which there is no file."""
    count = len(identifiers)
    zeros = np.zeros(count, np.int8)
    return target_table(
        {
            "id": identifiers,
            "camera": zeros,
            "ccd": zeros,
            "reason": pa.repeat(NotListedError.reason, count),
            "detail": pa.repeat(detail, count),
        },
        count,
    )
