"""The HDF5 writer: one partition in the standard format, put in place when it is whole."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.dataset.checksum import BLANK, seal
from tessloom.dataset.features import standard_rows
from tessloom.dataset.layout import cannot_write, discard, partial_path, put_in_place
from tessloom.dataset.storage import make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

    from tessloom.dataset.features import StandardRows
    from tessloom.dataset.receipt import Receipt
    from tessloom.errors import DatasetError
    from tessloom.pipelines import Feature

RECEIPT = "tessloom"  # the attribute
# Light curves of a chunk: few enough that a chunk of doubles has a megabyte, which is h5py's cache.
_CHUNK_ROWS = 64
_CHUNK_BYTES = 2**20
_SCALARS_CHUNK_ROWS = 1024
_COMPRESSION: dict[str, Any] = {
    "compression": "gzip",
    "compression_opts": 1,
    "shuffle": True,
    "fletcher32": True,
}


class Hdf5Writer:
    """Writes one partition; nothing stands under its name before `close`.

    Each feature is one array: ``(n, T)``, padded with zeros to the longest light curve of the
    file, or ``(n,)``. A partition without light curves becomes a file with a receipt and no
    arrays, which Hugging Face datasets passes over.
    """

    contiguous = False

    def __init__(self, path: Path, features: Sequence[Feature]) -> None:
        self._path = path
        self._features = features
        self._partial = partial_path(path)
        self._failure: DatasetError | None = None
        self._count = self._width = 0
        try:
            make_directory(path.parent)
            self._disk = _Disk(self._partial, "w+b")
        except OSError as error:
            raise cannot_write(path, error) from error
        import h5py  # noqa: PLC0415 - a build of Parquet files needs none

        # In the format of HDF5 1.8 an attribute may have more than 64 kB: a receipt with many
        # failures has.
        self._file = h5py.File(self._disk, "w", libver=("v108", "v108"))

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch of a dataset's rows."""
        self.append(standard_rows(batch, self._features))

    def append(self, rows: StandardRows) -> None:
        """Write rows.

        Raises
        ------
        DatasetError
            The disk does not take them. Then the file is given up: each further call raises too.
        """
        with self._disk_failing():
            self._width = max(self._width, int(rows.lengths.max()))
            for name, values in rows.series.items():
                if name not in self._file:
                    self._create_late(name, values.dtype)
                self._extend(name, padded(values, rows.lengths, self._width))
            for name, values in (dict(rows.scalars) | {"length": rows.lengths}).items():
                self._extend(name, values)
            # A series that these rows lack is missing in them.
            absent = [name for name in self._file if len(self._file[name]) == self._count]
            self._count += len(rows.lengths)
            for name in absent:
                self._fill(name, rows.lengths)

    def close(self, receipt: Receipt) -> Receipt:
        """Finish the file and give it its name; return the receipt with the check sum."""
        features = tuple(feature.name for feature in self._features)
        receipt = replace(receipt, features=features, contiguous=self.contiguous, checksum=BLANK)
        with self._disk_failing():
            self._finish_arrays()
            self._file.attrs[RECEIPT] = receipt.to_json()
            self._file.close()
        with self._disk_failing():
            self._disk.close()
            receipt = replace(receipt, checksum=seal(self._partial))
            put_in_place(self._partial, self._path)
        return receipt

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._disk.forget()
        self._file.close()
        self._disk.close()
        discard(self._partial)

    def _finish_arrays(self) -> None:
        for dataset in self._file.values():
            if dataset.ndim == 2:
                dataset.resize(self._width, axis=1)

    def _create_late(self, name: str, dtype: np.dtype[Any]) -> None:
        """Make an array that the rows written so far lack."""
        if not self._count:
            return
        self._create(name, (0, self._width), dtype)
        self._fill(name, self._file["length"][:])

    def _fill(self, name: str, lengths: npt.NDArray[np.int64]) -> None:
        missing = missing_values(self._file[name].dtype, lengths)
        self._extend(name, padded(missing, lengths, self._width))

    def _extend(self, name: str, block: npt.NDArray[Any]) -> None:
        if name not in self._file:
            self._create(name, (0, *block.shape[1:]), block.dtype)
        dataset = self._file[name]
        start = len(dataset)
        dataset.resize((start + len(block), *block.shape[1:]))
        dataset[start:] = block

    def _create(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        rows = _SCALARS_CHUNK_ROWS
        if len(shape) > 1:
            rows = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // (8 * shape[1])))
        self._file.create_dataset(
            name,
            shape,
            stored_type(dtype),
            maxshape=(None,) * len(shape),
            chunks=(rows, *shape[1:]),
            # Text of variable length lies in a heap, which is not compressed.
            **({} if dtype.kind == "O" else _COMPRESSION),
        )

    @contextlib.contextmanager
    def _disk_failing(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        error: OSError | None = None
        try:
            yield
        except OSError as raised:
            error = raised
        error = self._disk.failure or error
        if error is not None:
            self._failure = cannot_write(self._path, error)
            self.abandon()
            raise self._failure from error


class _Disk(io.FileIO):
    """A file that goes on as if nothing had happened after the disk has failed.

    HDF5 can't give a file up: it tries to write what it holds back for as long as the process
    lives, and when that fails the process ends in a segmentation fault. So it is not told.

    Attributes
    ----------
    failure
        What the disk failed with first; from then on nothing is written.
    """

    failure: OSError | None = None

    def forget(self) -> None:
        """Write nothing more: the file is not wanted."""
        self.failure = self.failure or OSError("the file was given up")

    def write(self, body: Any) -> int:
        rest = memoryview(body).cast("B")
        size = len(rest)
        while len(rest) and self.failure is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        if self.failure is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.failure = error
        return size or 0


def stored_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of an array on disk: text has a type of its own."""
    import h5py  # noqa: PLC0415

    return h5py.string_dtype() if dtype.kind == "O" else dtype


def missing_values(dtype: np.dtype[Any], lengths: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return what stands for a series of light curves that lack it, end to end."""
    return np.full(int(lengths.sum()), np.nan if dtype.kind == "f" else 0, dtype)


def padded(
    values: npt.NDArray[Any], lengths: npt.NDArray[np.int64], width: int
) -> npt.NDArray[Any]:
    """Return values of all light curves, end to end, as rows padded with zeros."""
    if (lengths == width).all():
        return values.reshape(len(lengths), width)
    block = np.zeros((len(lengths), width), values.dtype)
    block[np.arange(width) < lengths[:, None]] = values
    return block
