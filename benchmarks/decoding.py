"""What it costs to decode one file, against a bare read, astropy and fitsio.

Files are read anew from the page cache each time, by everybody. Included in *ours* are: opening,
reading and closing the file by `os.open`, `os.read` and `os.close`; `tessloom.fits.Decoder`, which
finds the table, checks the size and, where the file has them (TESS-SPOC), the check sums, and
parses every header value that the dataset keeps; and one assignment for each column, which
changes its byte order, into native blocks of a row group that were allocated beforehand. That is
what `dataset.rows.RowFormat.batch` does with the columns of a row group. A further line without a
goal shows the whole way to Arrow: the file through `archive.Folder`, `RowFormat.row`, which
checks names and types, and `RowFormat.batch`.

astropy and fitsio read the same columns into native arrays, and look the same header values up.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fields import ERAS, HALF_HOUR, light_curve_files
from measuring import cpu_seconds, microseconds, ratio, take_turns
from references import bare_read, read_with_astropy, read_with_fitsio
from table import Row

from tessloom.archive import find_archive
from tessloom.building.partition import MOST_BYTES, MOST_ROWS
from tessloom.dataset.rows import RowFormat
from tessloom.fits import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    from fields import Field

    from tessloom.dataset.rows import Row as LightCurveRow

_MOST_FILES = 512
_REFERENCES = {
    "bare read": "bare open, readv, close",
    "astropy": "astropy",
    "fitsio": "fitsio, columns and headers",
}
# Files that the slow ones read in a round.
_FEW = 20


def decoding(field: Field, root: Path, rounds: int) -> Iterator[Row]:
    """Yield the lines on decoding one file, in CPU time."""
    paths = [str(path) for path in light_curve_files(root)[:_MOST_FILES]]
    few = paths[:_FEW]
    largest = max(Path(path).stat().st_size for path in paths)
    buffer = bytearray(largest)
    ours = _Ours(field, paths[0], largest)
    wanted = ours.row_format.wanted
    works: dict[str, tuple[Callable[[], object], int]] = {
        "bare read": (lambda: bare_read(paths, buffer), len(paths)),
        "ours": (lambda: ours.decode(paths), len(paths)),
        "astropy": (lambda: read_with_astropy(few, wanted), len(few)),
        "fitsio": (lambda: read_with_fitsio(few, wanted), len(few)),
        "to Arrow": (lambda: ours.to_arrow(root, paths), len(paths)),
    }
    for work, _ in works.values():
        work()
    costs = take_turns(rounds, {name: _each(work, files) for name, (work, files) in works.items()})
    title = f"decode a file: {field.name}, {ERAS[field.sector]}"
    lines = (
        (title, "ours", "bare read", "times", 2.5),
        (title, "astropy", "ours", "times faster", 80.0),
        (title, "fitsio", "ours", "times faster", 20.0),
        (
            f"the same through Folder, to Arrow: {field.name}",
            "to Arrow",
            "bare read",
            "times",
            None,
        ),
    )
    for what, dividend, divisor, unit, goal in lines:
        found = ratio(costs, dividend, divisor)
        at_most = divisor == "bare read"
        yield Row(
            what=what,
            reference=_REFERENCES[divisor if at_most else dividend],
            reached=found.value,
            unit=unit,
            goal=goal if field.sector == HALF_HOUR else None,
            at_most=at_most,
            noise=found.noise,
            figures=microseconds(costs) if dividend == "ours" else {},
        )


def _each(work: Callable[[], object], files: int) -> Callable[[], float]:
    return lambda: cpu_seconds(work) / files


class _Ours:
    """What tessloom does with the files of one field."""

    def __init__(self, field: Field, path: str, largest: int) -> None:
        self._field = field
        self.row_format = RowFormat(field.pipeline)
        self._decoder = Decoder(self.row_format.wanted)
        records = self._decoder.decode(Path(path).read_bytes()).records
        self._group = min(MOST_ROWS, MOST_BYTES // records.nbytes)
        self._blocks: dict[str, npt.NDArray[Any]] = {
            name: np.empty(
                self._group * (largest // records.itemsize), records.dtype[name].newbyteorder("=")
            )
            for name in records.dtype.names or ()
        }

    def decode(self, paths: Sequence[str]) -> None:
        """Read and decode files, and gather their columns in blocks."""
        columns = list(self._blocks.items())
        for start in range(0, len(paths), self._group):
            filled = 0
            for path in paths[start : start + self._group]:
                file = os.open(path, os.O_RDONLY)
                body = os.read(file, os.fstat(file).st_size)
                os.close(file)
                records = self._decoder.decode(body).records
                stop = filled + len(records)
                for name, block in columns:
                    block[filled:stop] = records[name]
                filled = stop

    def to_arrow(self, root: Path, paths: Sequence[str]) -> None:
        """Turn files into Arrow batches as a build does."""
        asyncio.run(self._fetch_all(root, [os.path.relpath(path, root) for path in paths]))

    async def _fetch_all(self, root: Path, paths: Sequence[str]) -> None:
        row_format = self.row_format
        name = self._field.pipeline.file_name
        async with find_archive(str(root)).open() as archive:
            for start in range(0, len(paths), self._group):
                rows = []
                for path in paths[start : start + self._group]:
                    match = name.search(path)
                    assert match  # noqa: S101 - a light curve's name
                    accept = partial(self._row, int(match["id"]))
                    rows.append(await archive.fetch(path, accept))
                zeros = np.zeros(len(rows))
                row_format.batch(rows, zeros.astype(np.int64), *row_format.positions(rows))

    def _row(self, identifier: int, body: bytes) -> LightCurveRow:
        curve = self._decoder.decode(body)
        return self.row_format.row(curve, self._field.sector, identifier, 0, 0)
