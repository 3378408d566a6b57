"""Opening a dataset's files to read them, on a local disk or in a store."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FSSpecHandler, PyFileSystem

from tessloom.dataset.local_files import unreadable
from tessloom.dataset.storage import is_local, said, store_of
from tessloom.errors import DatasetError, TessloomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    import h5py

# HDF5 reads some hundred bytes here and there, and its arrays chunk by chunk.
_HDF5_PIECES = (2**20, 16)
_ONE_AFTER_THE_OTHER = (8 * 2**20, 1)


@contextlib.contextmanager
def parquet_file(path: Path, footer: pq.FileMetaData | None = None) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, as `open_parquet` does, and read from it.

    Raises
    ------
    DatasetError
        It is damaged or missing, lacks a column that is asked for, or the disk or the store does
        not give it.
    """
    try:
        with open_parquet(path, footer) as file:
            yield file
    except TessloomError:
        raise
    except (OSError, KeyError, pa.ArrowException) as error:
        raise damaged(path, error) from error


@contextlib.contextmanager
def open_parquet(path: Path, footer: pq.FileMetaData | None = None) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; from a store a few requests fetch the footer, or whole row groups.

    Parameters
    ----------
    footer
        What was read of it before: then it is not fetched again.
    """
    if is_local(path):
        with pq.ParquetFile(path, metadata=footer) as file:
            yield file
        return
    with (
        StoredFile(path) as stored,
        pq.ParquetFile(stored, metadata=footer, pre_buffer=True) as file,
    ):
        yield file


@contextlib.contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file, of which pieces of a megabyte are fetched from a store."""
    import h5py  # noqa: PLC0415 - a dataset of Parquet files needs none

    if is_local(path):
        with h5py.File(path) as file:
            yield file
    else:
        with StoredFile(path, *_HDF5_PIECES) as stored, h5py.File(stored) as file:
            yield file


def bytes_from_start(path: Path) -> BinaryIO:
    """Open a file that is read from its start to its end."""
    if is_local(path):
        return path.open("rb", buffering=0)
    return cast("BinaryIO", StoredFile(path, *_ONE_AFTER_THE_OTHER))


def damaged(path: Path, error: Exception) -> DatasetError:
    """Return the error for a file that can't be read: only a damaged one is to be removed."""
    if isinstance(error, DatasetError):
        return error  # a store did not give it: that says nothing of the file
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{path} is missing: run the same build again, which writes it anew")
    # Errors without a number are the readers' own; and a damaged file makes them seek nowhere.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        return unreadable(path, error)
    return DatasetError(
        f"{path} is damaged or was not written by tessloom ({error!r}): "
        "remove it and run the build again"
    )


class StoredFile(io.RawIOBase):
    """A file in a store, of which each read is one request for just these bytes.

    Parameters
    ----------
    piece
        If it is not 0, so many bytes are requested at a time, and kept.
    kept
        The number of pieces in memory.

    Raises
    ------
    DatasetError
        The store does not give it, which does not mean that the file is damaged.
    FileNotFoundError
        There is none.
    """

    def __init__(self, path: Path, piece: int = 0, kept: int = 1) -> None:
        self._path = path
        self._store, self._name = store_of(path)
        self._position = 0
        self._piece_size = piece
        self._piece = lru_cache(kept)(self._fetch_piece)
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
        body = self._read(self._position, stop)
        view[: len(body)] = body
        self._position += len(body)
        return len(body)

    def __enter__(self) -> Self:
        return self

    def _read(self, start: int, stop: int) -> bytes:
        if not self._piece_size:
            return self._fetch(start, stop)
        pieces = range(start // self._piece_size, (stop - 1) // self._piece_size + 1)
        before = pieces[0] * self._piece_size
        return b"".join(map(self._piece, pieces))[start - before : stop - before]

    def _fetch_piece(self, number: int) -> bytes:
        start = number * self._piece_size
        return self._fetch(start, min(start + self._piece_size, self._size))

    def _fetch(self, start: int, stop: int) -> bytes:
        with self._reading():
            return bytes(self._store.cat_file(self._name, start=start, end=stop))

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


def arrow_filesystem(paths: Sequence[Path]) -> PyFileSystem:
    """Return what Arrow reads some files of a store through."""
    return PyFileSystem(_StoredFiles(paths))


class _StoredFiles(FSSpecHandler):  # type: ignore[misc]
    """Gives Arrow each file as a `StoredFile`: fsspec's own would read megabytes ahead."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(store_of(paths[0])[0])
        self._paths = {store_of(path)[1]: path for path in paths}

    def open_input_file(self, path: str) -> pa.PythonFile:
        """Open one of the files."""
        return pa.PythonFile(StoredFile(self._paths[path]), mode="r")
