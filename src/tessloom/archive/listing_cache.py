"""Sectors' listings kept on disk for a day, so that another build need not read the lists again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.archive.findings import Findings
from tessloom.archive.targets import SCHEMA, target_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessloom.pipelines import Pipeline

_DAY = 24 * 3600
# To be raised when what is kept changes: files of another number are not read.
_FORMAT = 1
_ROWS_AT_A_TIME = 1 << 20
_SUFFIXES = (".parquet", ".json", ".partial")
_TEXTS = ["version", "path", "reason", "detail"]


@dataclass(frozen=True)
class WholeListing:
    """What the lists of one (pipeline, sector) say, before anything is chosen or placed.

    Attributes
    ----------
    targets
        A table of `targets.SCHEMA`: those with a file in the order of the script, then those
        without one in the order of the target list.
    files
        How many have a file.
    listed
        Whether there is a target list with any row.
    findings
        What was odd about the lists.
    """

    targets: pa.Table
    files: int
    listed: bool
    findings: Findings


@dataclass(frozen=True, kw_only=True)
class ListingCache:
    """The listings of an archive's sectors: for each a Parquet file, and a JSON file about it.

    Whatever is wrong with them, it is as if they were not there; and a disk that takes none means
    no cache.

    Attributes
    ----------
    folder
        Where the files are; it is made where there is none.
    archive
        What tells archives with other lists apart, such as the lists' address.
    refresh
        Whether what is there is not to be believed, but to be replaced.
    """

    folder: Path
    archive: str
    refresh: bool = False

    def read(self, pipeline: Pipeline, sector: int) -> WholeListing | None:
        """Return a listing that was kept less than a day ago, if there is one."""
        if self.refresh:
            return None
        with contextlib.suppress(OSError, pa.ArrowException, ValueError, LookupError, TypeError):
            path = self._path(pipeline, sector)
            about = json.loads(_about(path).read_text(encoding="utf-8"))
            # Parquet's own check sums do not cover its headers, and a wrong one may be believed.
            fresh = about["archive"] == self.archive and _is_fresh(about["read_at"])
            if fresh and about["digest"] == _digest(path):
                return _read(path, about)
        return None

    def write(self, pipeline: Pipeline, sector: int, listing: WholeListing) -> None:
        """Keep a listing, whole or not at all, and remove those that are too old."""
        path = self._path(pipeline, sector)
        # Without a cache all goes on as well.
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_old()
            with _put_in_place(path) as partial:
                _write(partial, listing.targets)
                digest = _digest(partial)
            about = {
                "archive": self.archive,
                "read_at": int(time.time()),
                "digest": digest,
                "files": listing.files,
                "listed": listing.listed,
                "findings": asdict(listing.findings),
            }
            with _put_in_place(_about(path)) as partial:
                partial.write_text(json.dumps(about) + "\n", encoding="utf-8")

    def _path(self, pipeline: Pipeline, sector: int) -> Path:
        digest = hashlib.sha256(self.archive.encode()).hexdigest()[:16]
        return self.folder / f"{pipeline.name}-s{sector:04d}-{digest}-{_FORMAT}.parquet"

    def _remove_old(self) -> None:
        for path in self.folder.iterdir():
            if path.suffix in _SUFFIXES and time.time() - path.stat().st_mtime > _DAY:
                path.unlink(missing_ok=True)


def _about(path: Path) -> Path:
    return path.with_suffix(".json")


@contextlib.contextmanager
def _put_in_place(path: Path) -> Iterator[Path]:
    """Give the path of a file to be written, and rename it when it is."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_fresh(read_at: float) -> bool:
    return 0 <= time.time() - read_at < _DAY


def _read(path: Path, about: dict[str, Any]) -> WholeListing:
    with pq.ParquetFile(path) as file:
        # Column by column: its pieces are there twice while it is put together.
        columns = {name: file.read([name])[0].combine_chunks() for name in file.schema_arrow.names}
        targets = target_table(columns, file.metadata.num_rows)
    return WholeListing(targets, about["files"], about["listed"], Findings(**about["findings"]))


def _write(path: Path, targets: pa.Table) -> None:
    """Write the columns that have any value, some rows at a time."""
    names = [name for name in SCHEMA.names if targets[name].null_count < len(targets)]
    schema = pa.schema([SCHEMA.field(name) for name in names])
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in _TEXTS if name in names],
        use_byte_stream_split=[name for name in ("ra", "dec") if name in names],
    ) as writer:
        for start in range(0, len(targets), _ROWS_AT_A_TIME):
            part = targets.slice(start, _ROWS_AT_A_TIME).select(names)
            writer.write_table(part, row_group_size=_ROWS_AT_A_TIME)
