"""What exists, and its bytes: listings, mirrors, folders and the client."""

from __future__ import annotations

import os
from pathlib import Path

from tessloom.archive import event_loop
from tessloom.archive._protocol import Archive, ArchiveAddress
from tessloom.archive.bucket import Bucket
from tessloom.archive.findings import Findings
from tessloom.archive.folder import Folder
from tessloom.archive.kind import is_synthetic
from tessloom.archive.listing import Listing, join_lists, read_listing
from tessloom.archive.listing_cache import ListingCache
from tessloom.archive.mirrors import (
    ARCHIVES,
    GATEWAY,
    S3,
    STATIC,
    Mirror,
    Mirrors,
    mirrors_at,
    with_policy,
)
from tessloom.archive.placing import place
from tessloom.archive.retry_policy import RetryPolicy
from tessloom.archive.script import FileNames, ScriptReader
from tessloom.archive.sectors import ranges, unknown_sector
from tessloom.archive.selection import TINY, Selection, read_target_ids
from tessloom.archive.sliding import slide
from tessloom.archive.target_list import TargetListReader
from tessloom.archive.targets import light_curve_path, light_curve_paths, target_table
from tessloom.errors import RequestError

__all__ = [
    "ARCHIVES",
    "GATEWAY",
    "S3",
    "STATIC",
    "TINY",
    "Archive",
    "ArchiveAddress",
    "Bucket",
    "FileNames",
    "Findings",
    "Folder",
    "Listing",
    "ListingCache",
    "Mirror",
    "Mirrors",
    "RetryPolicy",
    "ScriptReader",
    "Selection",
    "TargetListReader",
    "event_loop",
    "find_archive",
    "is_synthetic",
    "join_lists",
    "light_curve_path",
    "light_curve_paths",
    "place",
    "ranges",
    "read_listing",
    "read_target_ids",
    "slide",
    "target_table",
    "unknown_sector",
    "with_policy",
]


def find_archive(text: str) -> ArchiveAddress:
    """Return the archive that a user names: a mirror, an address, or a folder.

    Raises
    ------
    RequestError
        It is none of them.
    """
    if not text.strip():
        raise RequestError("the archive's name is empty: leave it out for MAST")
    if text in ARCHIVES:
        return ARCHIVES[text]
    if any(part.strip() in ARCHIVES or "://" in part for part in text.split(",")):
        return mirrors_at(text)
    folder = Path(os.path.expanduser(text))  # noqa: PTH111 - no error where nobody has the name
    if folder.is_dir():
        return Folder(root=folder.resolve())
    known = ", ".join(("demo", *ARCHIVES))
    raise RequestError(
        f"no archive {text!r}: give one of {known}, an http(s) address, several of these with "
        "commas between them, or a folder that exists"
    )
