"""Opening a dataset's files to read them, on a local disk or in a store."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any, Self

import pyarrow.parquet as pq

from tessloom.dataset.storage import is_local, said, store_of
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    import h5py

# HDF5 reads some hundred bytes here and there, and its arrays chunk by chunk.
_HDF5_AHEAD = 2**20
_ALL_AHEAD = 8 * 2**20


@contextlib.contextmanager
def parquet_file(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; from a store a few requests fetch the footer, or whole row groups."""
    if is_local(path):
        with pq.ParquetFile(path) as file:
            yield file
    else:
        with StoredFile(path) as stored, pq.ParquetFile(stored, pre_buffer=True) as file:
            yield file


@contextlib.contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file, of which pieces of a megabyte are fetched from a store."""
    import h5py  # noqa: PLC0415 - a dataset of Parquet files needs none

    if is_local(path):
        with h5py.File(path) as file:
            yield file
    else:
        with io.BufferedReader(StoredFile(path), _HDF5_AHEAD) as stored, h5py.File(stored) as file:
            yield file


def bytes_from_start(path: Path) -> BinaryIO:
    """Open a file that is read from its start to its end."""
    if is_local(path):
        return path.open("rb", buffering=0)
    return io.BufferedReader(StoredFile(path), _ALL_AHEAD)


class StoredFile(io.RawIOBase):
    """A file in a store, of which each read is one request for just these bytes.

    Raises
    ------
    DatasetError
        The store does not give it, which does not mean that the file is damaged.
    FileNotFoundError
        There is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store, self._name = store_of(path)
        self._position = 0
        with self._reading():
            self._size = int(self._store.info(self._name)["size"])

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which costs nothing."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, but for the file's end."""
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self._size)
        if stop <= self._position:
            return 0
        with self._reading():
            body = self._store.cat_file(self._name, start=self._position, end=stop)
        view[: len(body)] = body
        self._position += len(body)
        return len(body)

    def __enter__(self) -> Self:
        return self

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise DatasetError(
                f"{self._path} can't be read ({said(error)}): try again, or check the "
                "credentials and what they allow"
            ) from error
