"""Reading HDF5 partitions back: their receipt, their rows, and whether their arrays agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessloom.dataset.features import StandardRows, dataset_rows
from tessloom.dataset.hdf5 import RECEIPT
from tessloom.dataset.opening import damaged, hdf5_file
from tessloom.dataset.receipt import Receipt, parse_receipt
from tessloom.dataset.schema import LIGHT_CURVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import h5py
    import pyarrow as pa

    from tessloom.pipelines import Feature

# What is read at a time, over all arrays.
_MOST_ROWS = 512
_MOST_BYTES = 64 * 2**20


def read_hdf5_receipt(path: Path) -> Receipt:
    """Read the receipt of an HDF5 partition.

    Raises
    ------
    DatasetError
        The file is damaged, has no receipt, or has one of another layout.
    """
    try:
        with hdf5_file(path) as file:
            attributes = dict(file.attrs)
    except (OSError, RuntimeError) as error:
        raise damaged(path, error) from error
    return parse_receipt(attributes, path, RECEIPT)


def read_hdf5_rows(
    path: Path, features: Sequence[Feature], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the light curves of an HDF5 partition as a dataset's rows, some hundred at a time.

    See `features.dataset_rows`.

    Raises
    ------
    DatasetError
        The file is damaged.
    """
    try:
        with hdf5_file(path) as file:
            # An empty partition has no arrays.
            for start, stop in _pieces(file) if len(file) else ():
                yield dataset_rows(_read_piece(file, start, stop), features, schema)
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, error) from error


def check_arrays(path: Path, features: Sequence[Feature], schema: pa.Schema) -> list[str]:
    """Return what is wrong with a partition's arrays, to be read after the path.

    Raises
    ------
    DatasetError
        The file is damaged.
    """
    try:
        with hdf5_file(path) as file:
            return list(_wrong_arrays(file, features, schema)) if len(file) else []
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, error) from error


def _wrong_arrays(file: h5py.File, features: Sequence[Feature], schema: pa.Schema) -> Iterator[str]:
    lengths = file["length"][:]
    longest = int(lengths.max(initial=0))
    if lengths.min(initial=1) < 1:
        yield "has light curves without cadences"
    for name, dataset in file.items():
        shape = (len(lengths), longest)[: dataset.ndim]
        if dataset.shape != shape:
            yield f"has the array {name} of the shape {dataset.shape}, not {shape}"
    light_curve = {field.name: field.type.value_type for field in schema.field(LIGHT_CURVE).type}
    for feature in features:
        source = feature.sources[0]
        kind = light_curve.get(source) or schema.field(source).type
        expected = feature.dtype or kind.to_pandas_dtype()
        if feature.name in file:
            if file[feature.name].dtype != expected:
                yield f"has the array {feature.name} as {file[feature.name].dtype}"
        elif not feature.optional:
            yield f"lacks the array {feature.name}"


def _pieces(file: h5py.File) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows: whole chunks, and no more than may be in memory."""
    count = len(file["object_id"])
    series = [dataset for dataset in file.values() if dataset.ndim > 1]
    # A contiguous array has no chunks.
    chunk = min((dataset.chunks[0] for dataset in series if dataset.chunks), default=1)
    row = sum(dataset.shape[1] * dataset.dtype.itemsize for dataset in series)
    chunks = min(_MOST_ROWS, _MOST_BYTES // max(row, 1)) // chunk
    step = chunk * max(chunks, 1)
    yield from ((start, min(start + step, count)) for start in range(0, count, step))


def _read_piece(file: h5py.File, start: int, stop: int) -> StandardRows:
    from h5py import check_string_dtype  # noqa: PLC0415 - see `opening.hdf5_file`

    lengths = file["length"][start:stop]
    series, scalars = {}, {}
    for name, dataset in file.items():
        if dataset.ndim > 1:
            block = dataset[start:stop]
            series[name] = block[np.arange(block.shape[1]) < lengths[:, None]]
        elif check_string_dtype(dataset.dtype):
            scalars[name] = dataset.asstr()[start:stop]
        else:
            scalars[name] = dataset[start:stop]
    return StandardRows(lengths, series, scalars)
