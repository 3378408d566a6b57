"""The HDF5 writer for arrays that are one block each, uncompressed: as the seed's files are."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tessloom.dataset.hdf5 import Hdf5Writer, missing_values, padded, stored_type
from tessloom.dataset.layout import cannot_write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.dataset.features import StandardRows
    from tessloom.pipelines import Feature


class _Waiting(NamedTuple):
    """One array's values of some rows, end to end in the file of what waits."""

    offset: int
    dtype: np.dtype[Any]


class ContiguousHdf5Writer(Hdf5Writer):
    """Writes one partition as `Hdf5Writer` does, except that arrays are contiguous.

    Such an array can't grow, and how many light curves there are, and how long the longest is, is
    known only at the end. Until then they wait in a file without a name, so that memory does not
    depend on the size of a partition; what has one value a light curve waits in memory.
    """

    contiguous = True

    def __init__(self, path: Path, features: Sequence[Feature]) -> None:
        super().__init__(path, features)
        try:
            self._waiting = tempfile.TemporaryFile(dir=self._partial.parent)  # noqa: SIM115
        except OSError as error:
            self.abandon()
            raise cannot_write(path, error) from error
        self._series: list[dict[str, _Waiting]] = []
        self._scalars: list[dict[str, npt.NDArray[Any]]] = []

    def append(self, rows: StandardRows) -> None:
        """Write rows.

        Raises
        ------
        DatasetError
            The disk does not take them. Then the file is given up: each further call raises too.
        """
        with self._disk_failing():
            waiting = {}
            for name, values in rows.series.items():
                waiting[name] = _Waiting(self._waiting.tell(), values.dtype)
                self._waiting.write(np.ascontiguousarray(values).data)
            self._series.append(waiting)
            self._scalars.append(dict(rows.scalars) | {"length": rows.lengths})

    def abandon(self) -> None:
        """Leave nothing behind."""
        super().abandon()
        if hasattr(self, "_waiting"):
            self._waiting.close()

    def _finish_arrays(self) -> None:
        with self._waiting:
            self._waiting.flush()
            if self._scalars:
                self._write_arrays()

    def _write_arrays(self) -> None:
        lengths = [scalars["length"] for scalars in self._scalars]
        shape = (sum(map(len, lengths)), max(int(part.max()) for part in lengths))
        types = {name: waiting.dtype for part in self._series for name, waiting in part.items()}
        for name, dtype in types.items():
            array = self._file.create_dataset(name, shape, dtype)
            start = 0
            for waiting, part in zip(self._series, lengths, strict=True):
                values = self._read(waiting.get(name), dtype, part)
                array[start : start + len(part)] = padded(values, part, shape[1])
                start += len(part)
        for name in self._scalars[0]:
            values = np.concatenate([scalars[name] for scalars in self._scalars])
            self._file.create_dataset(name, data=values, dtype=stored_type(values.dtype))

    def _read(
        self, waiting: _Waiting | None, dtype: np.dtype[Any], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[Any]:
        """Return what waits, or what stands for a series that these rows lack."""
        if waiting is None:
            return missing_values(dtype, lengths)
        self._waiting.seek(waiting.offset)
        return np.fromfile(self._waiting, dtype, int(lengths.sum()))
