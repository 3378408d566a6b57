"""Rows of a dataset's files as numpy arrays and plain values."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.nulls import filled
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.pipelines import Pipeline


def rows_where(path: Path, column: str, value: int | str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a partition in which a column has a value; see `joining.end_to_end`.

    Only row groups that have such rows are read whole.

    Raises
    ------
    DatasetError
        The file is damaged.
    """
    with parquet_file(path) as file:
        for number in range(file.num_row_groups):
            found = file.read_row_group(number, [column])[column]
            at = np.flatnonzero(pc.equal(found, value).fill_null(False).to_numpy())
            if len(at):
                yield from as_rows(file.read_row_group(number).take(at))


def has_row(path: Path, column: str, value: int | str) -> bool:
    """Return whether a partition has a row in which a column has a value.

    Raises
    ------
    DatasetError
        The file is damaged.
    """
    with parquet_file(path) as file:
        return bool(pc.any(pc.equal(file.read([column])[column], value)).as_py())


def as_rows(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    """Yield a table's rows; see `joining.end_to_end`."""
    table = table.drop_columns([HEALPIX])
    for batch in table.combine_chunks().to_batches():
        headers = batch.drop_columns([LIGHT_CURVE]).to_pylist()
        light_curves = batch.column(LIGHT_CURVE)
        series = {
            field.name: lists(light_curves.field(number))
            for number, field in enumerate(light_curves.type)
        }
        for index, header in enumerate(headers):
            yield header | {LIGHT_CURVE: {name: of[index] for name, of in series.items()}}


def lists(array: pa.ListArray) -> list[npt.NDArray[Any] | None]:
    """Return the lists of an array as numpy arrays; None for one of nulls alone."""
    offsets = array.offsets.to_numpy()
    elements = array.values
    if elements.null_count == 0:
        values = elements.to_numpy()
        return [values[start:stop] for start, stop in pairwise(offsets.tolist())]
    return [
        None if part.null_count == len(part) else filled(part)
        for part in (
            elements.slice(start, stop - start) for start, stop in pairwise(offsets.tolist())
        )
    ]


@cache
def column_units(pipeline: Pipeline) -> Mapping[str, str]:
    """Return the units of columns and header values, where they have one."""
    units = {keyword.name: keyword.unit for keyword in pipeline.keywords}
    units |= {column.name: column.unit for column in pipeline.columns}
    return {name: unit for name, unit in units.items() if unit}
