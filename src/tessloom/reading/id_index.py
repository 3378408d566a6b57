"""Where a star is: the index by id, read a row group at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.dataset.index import index_part
from tessloom.dataset.layout import index_directory
from tessloom.dataset.opening import parquet_file

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.pipelines import Pipeline

_GROUPS_KEPT = 4


class IdIndex:
    """The index of one pipeline by one column.

    It is sorted, so the statistics in its footer tell which row group may have an id. The footer
    and the row groups that were read last stay in memory.
    """

    def __init__(self, root: Path, pipeline: Pipeline, column: str) -> None:
        self._path = index_part(index_directory(root, pipeline, column))
        self._column = column
        self._footer: pq.FileMetaData | None = None
        self._largest: npt.NDArray[np.int64] | None = None
        self._group = lru_cache(_GROUPS_KEPT)(self._read_group)

    def pixels(self, identifier: int) -> list[int]:
        """Return the pixels in which a star is; two for one on a border, none if it is not there.

        Raises
        ------
        DatasetError
            There is no index, or a damaged one.
        """
        found: list[int] = []
        number = int(np.searchsorted(self._last_ids(), identifier))
        # What is in several pixels may be in two row groups.
        while number < len(self._last_ids()):
            identifiers, pixels = self._group(number)
            start, stop = np.searchsorted(identifiers, [identifier, identifier + 1])
            found += pixels[start:stop].tolist()
            if stop < len(identifiers):
                break
            number += 1
        return found

    def identifiers(self) -> pa.Array:
        """Return all ids, sorted, each once."""
        with parquet_file(self._path, self._footer) as file:
            return file.read([self._column])[self._column].unique()

    def _last_ids(self) -> npt.NDArray[np.int64]:
        if self._largest is None:
            with parquet_file(self._path) as file:
                self._footer = file.metadata
                self._largest = _largest_of_groups(file.metadata)
        return self._largest

    def _read_group(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        with parquet_file(self._path, self._footer) as file:
            table = file.read_row_group(number, [self._column, "Npix"])
            return table[self._column].to_numpy(), table["Npix"].to_numpy()


def _largest_of_groups(footer: pq.FileMetaData) -> npt.NDArray[np.int64]:
    groups = (footer.row_group(number) for number in range(footer.num_row_groups))
    known = [group.column(0).statistics for group in groups]
    if any(statistics is None for statistics in known):
        raise pa.ArrowInvalid("it does not tell which ids are in which row group")
    return np.array([statistics.max for statistics in known], np.int64)
