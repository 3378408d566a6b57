"""The light curves of many stars, for which each file is read once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.opening import parquet_file
from tessloom.reading.rows import as_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    _Rows = list[Mapping[str, Any]]


def rows_by_star(
    column: str, pixels: Mapping[int, Sequence[int]], files: Callable[[int], Iterable[Path]]
) -> Iterator[tuple[int, _Rows]]:
    """Yield stars with their rows, pixel by pixel; see `joining.end_to_end`.

    Parameters
    ----------
    column
        In which their ids stand.
    pixels
        By star, the pixels in which it is: two for one on a border.
    files
        Gives the files of a pixel.

    Raises
    ------
    DatasetError
        A file is damaged.
    """
    stars_in: dict[int, list[int]] = defaultdict(list)
    for star, its_pixels in pixels.items():
        for pixel in its_pixels:
            stars_in[pixel].append(star)
    unread = {star: len(its_pixels) for star, its_pixels in pixels.items()}
    rows: dict[int, _Rows] = defaultdict(list)
    for pixel, stars in sorted(stars_in.items()):
        wanted = pa.array(stars, pa.int64())
        for path in files(pixel):
            for row in _rows_among(path, column, wanted):
                rows[row[column]].append(row)
        for star in stars:
            unread[star] -= 1
            if not unread[star]:
                yield star, rows.pop(star, [])


def _rows_among(path: Path, column: str, wanted: pa.Array) -> Iterator[Mapping[str, Any]]:
    with parquet_file(path) as file:
        for number in range(file.num_row_groups):
            found = file.read_row_group(number, [column])[column]
            at = np.flatnonzero(pc.is_in(found, value_set=wanted).to_numpy())
            if len(at):
                table = file.read_row_group(number)
                yield from as_rows(table if len(at) == len(table) else table.take(at))
