"""Reading light curves back to numpy, against pyarrow alone.

Both give the same: for each light curve a dictionary of all its columns as numpy arrays. tessloom
has no reader for its users yet; *ours* is what it reads its own files with
(`DatasetFormat.read_rows`).
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from conversion import build_command
from measuring import cpu_seconds, ratio, take_turns
from processes import run
from table import Row

from tessloom.dataset.formats import choose_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    from fields import Field

    LightCurves = list[dict[str, npt.NDArray[Any]]]

_LIGHT_CURVES = 2000
_TIMES_PYARROW = 1.3


def reading(field: Field, root: Path, rounds: int) -> Iterator[Row]:
    """Yield the line on reading 2,000 light curves, or as many as the field has, in CPU time."""
    parquet = choose_format("parquet")
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        run(build_command(field, root, out))
        paths = [path for _, _, path in parquet.partitions(out, field.pipeline)]
        count = min(_LIGHT_CURVES, field.files)

        def ours() -> LightCurves:
            batches = itertools.chain.from_iterable(
                parquet.read_rows(path, field.pipeline) for path in paths
            )
            return _first(batches, count)

        def with_pyarrow() -> LightCurves:
            return _first(_row_groups(paths), count)

        assert len(ours()) == len(with_pyarrow()) == count  # noqa: S101 - else nothing is measured
        costs = take_turns(
            rounds,
            {"pyarrow": lambda: cpu_seconds(with_pyarrow), "ours": lambda: cpu_seconds(ours)},
        )
    found = ratio(costs, "ours", "pyarrow")
    yield Row(
        what=f"read {count:,} light curves to numpy: {field.name}, by read_rows",
        reference="pyarrow alone",
        reached=found.value,
        unit="times",
        goal=_TIMES_PYARROW,
        at_most=True,
        noise=found.noise,
        figures={f"{name}, ms": 1e3 * min(values) for name, values in costs.items()},
    )


def _row_groups(paths: Sequence[Path]) -> Iterator[pa.Table]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)


def _first(tables: Iterable[pa.Table | pa.RecordBatch], count: int) -> LightCurves:
    curves: LightCurves = []
    for table in tables:
        column = table["lightcurve"]
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        for chunk in chunks:
            curves += _light_curves(chunk)
        if len(curves) >= count:
            break
    return curves[:count]


def _light_curves(cells: pa.StructArray) -> LightCurves:
    names = [field.name for field in cells.type]
    columns = []
    for name in names:
        lists = cells.field(name)
        values = lists.values.to_numpy(zero_copy_only=False)
        borders = lists.offsets.to_pylist()
        columns.append([values[start:stop] for start, stop in itertools.pairwise(borders)])
    return [dict(zip(names, cell, strict=True)) for cell in zip(*columns, strict=True)]
