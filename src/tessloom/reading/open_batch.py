"""A batch that windows are copied into, one by one, until it is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.reading.windows import Arrays, RowGroup


class OpenBatch:
    """A batch that is being filled.

    Parameters
    ----------
    like
        Has the columns that will come.
    length
        Of the windows.
    slots
        Where the first window goes, the second, and so on.
    """

    def __init__(self, like: RowGroup, length: int, slots: Sequence[int]) -> None:
        size = len(slots)
        self._slots = slots
        self._series: Arrays = {
            name: np.empty((size, length), _dtype(values)) for name, values in like.series.items()
        }
        self._headers: Arrays = {
            name: np.zeros(size, values.dtype) for name, values in like.headers.items()
        }
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Whether no other window goes in."""
        return self._held == len(self._slots)

    def add(self, group: RowGroup, row: int) -> None:
        """Copy a window in."""
        slot = self._slots[self._held]
        self._held += 1
        for name, values in group.headers.items():
            self._headers[name][slot] = values[row]
        start, stop = group.starts[row], group.stops[row]
        for name, values in group.series.items():
            window = self._series[name][slot, : stop - start]
            if name == "time":
                window[:] = values[start:stop] - group.headers["time_reference"][row]
            else:
                window[:] = values[start:stop]
        self._series["mask"][slot, stop - start :] = False

    def rows(self) -> Arrays:
        """Return what it holds; see `batches.Batches.draw`."""
        unused = np.flatnonzero(~self._series["mask"])
        for values in self._series.values():
            values.reshape(-1)[unused] = 0
        rows = self._series | self._headers
        if self.is_full:
            return rows
        held = self._slots[: self._held]
        return {name: values[held] for name, values in rows.items()}


def _dtype(values: npt.NDArray[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if values.dtype == np.float64 else values.dtype
