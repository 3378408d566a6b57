"""Which targets were asked for, kept beside the data: so a dataset knows what it lacks."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.dataset.layout import cannot_write, discard, partial_path, put_in_place
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.storage import make_directory
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_KEY = b"tessloom"
# Few enough that a worker reads little beside the partition that it wants.
_ROW_GROUP = 65_536


@dataclass(frozen=True, kw_only=True)
class ListingFile:
    """The targets that were asked for in one (pipeline, sector), over all builds.

    Attributes
    ----------
    archive
        Name of the archive that they were read from last.
    requests
        The selections that they answer, each as a text; a repeated request needs no archive.
    findings
        What was odd about the lists, a sentence each.
    targets
        A table of `archive.targets.SCHEMA`.
    """

    archive: str
    targets: pa.Table
    requests: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def write_listing_file(path: Path, listing: ListingFile) -> None:
    """Write a listing, whole or not at all.

    Raises
    ------
    DatasetError
        The disk does not take it.
    """
    content = {
        "archive": listing.archive,
        "requests": listing.requests,
        "findings": listing.findings,
    }
    targets = listing.targets.replace_schema_metadata({_KEY: json.dumps(content, sort_keys=True)})
    partial = partial_path(path)
    try:
        make_directory(path.parent)
        pq.write_table(targets, partial, compression="zstd", row_group_size=_ROW_GROUP)
        put_in_place(partial, path)
    except OSError as error:
        discard(partial)
        raise cannot_write(path, error) from error


def read_listing_file(path: Path, *, columns: list[str] | None = None) -> ListingFile:
    """Read a listing, or only some columns of it.

    Raises
    ------
    DatasetError
        The file is damaged.
    """
    try:
        with parquet_file(path) as file:
            targets = file.read(columns)
            content = json.loads((file.schema_arrow.metadata or {})[_KEY])
        return ListingFile(targets=targets.replace_schema_metadata(), **content)
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


class ListingRows:
    """The targets of a listing file, a few at a time.

    Raises
    ------
    DatasetError
        The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._opened = ExitStack()
        try:
            self._file = self._opened.enter_context(parquet_file(path))
        except (OSError, pa.ArrowInvalid) as error:
            raise _damaged(path, error) from error
        self._path = path
        self._number = -1
        self._group: pa.Table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def rows(self, start: int, count: int) -> pa.Table:
        """Return `count` rows from number `start` on."""
        tables = []
        while count > 0:
            number, offset = divmod(start, _ROW_GROUP)
            rows = self._read(number).slice(offset, count)
            tables.append(rows)
            start, count = start + len(rows), count - len(rows)
        return pa.concat_tables(tables).combine_chunks().replace_schema_metadata()

    def _read(self, number: int) -> pa.Table:
        if number != self._number:
            try:
                self._group = self._file.read_row_group(number)
            except (OSError, pa.ArrowInvalid) as error:
                raise _damaged(self._path, error) from error
            self._number = number
        return self._group


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"the listing {path} is damaged ({error!r}): remove it and run the build again"
    )
