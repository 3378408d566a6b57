"""Which targets were asked for, kept beside the data: so a dataset knows what it lacks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from tessloom.dataset.layout import cannot_write, discard, partial_path, put_in_place
from tessloom.dataset.opening import damaged, parquet_file
from tessloom.dataset.storage import make_directory

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_KEY = b"tessloom"


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
        pq.write_table(targets, partial, compression="zstd")
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
    except (TypeError, ValueError) as error:
        raise damaged(path, error) from error
