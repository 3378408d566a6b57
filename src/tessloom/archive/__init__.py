"""What exists, and its bytes: listings, mirrors, folders and the client."""

from __future__ import annotations

from pathlib import Path

from yarl import URL

from tessloom.archive import event_loop
from tessloom.archive._protocol import Archive, ArchiveAddress
from tessloom.archive.client import Retry
from tessloom.archive.findings import Findings
from tessloom.archive.folder import Folder
from tessloom.archive.kind import is_synthetic
from tessloom.archive.listing import Listing, join_lists, read_listing
from tessloom.archive.mirrors import MIRRORS, Mirror
from tessloom.archive.placing import place
from tessloom.archive.script import FileNames, ScriptReader
from tessloom.archive.sectors import ranges
from tessloom.archive.selection import TINY, Selection, read_target_ids
from tessloom.archive.target_list import TargetListReader
from tessloom.archive.targets import light_curve_path, target_table
from tessloom.archive.window import slide
from tessloom.errors import RequestError

__all__ = [
    "MIRRORS",
    "TINY",
    "Archive",
    "ArchiveAddress",
    "FileNames",
    "Findings",
    "Folder",
    "Listing",
    "Mirror",
    "Retry",
    "ScriptReader",
    "Selection",
    "TargetListReader",
    "event_loop",
    "find_archive",
    "is_synthetic",
    "join_lists",
    "light_curve_path",
    "place",
    "ranges",
    "read_listing",
    "read_target_ids",
    "slide",
    "target_table",
]


def find_archive(text: str) -> ArchiveAddress:
    """Return the archive that a user names: a mirror, an address, or a folder.

    Raises
    ------
    RequestError
        It is none of them.
    """
    if text in MIRRORS:
        return MIRRORS[text]
    if text.startswith(("http://", "https://")):
        address = text.rstrip("/") + "/"
        try:
            named = bool(URL(address).host)
        except ValueError as error:
            raise RequestError(f"the address {text!r} is none: {error}") from None
        if not named:
            raise RequestError(f"the address {text!r} names no host")
        return Mirror(name=address, files=address, lists=address)
    folder = Path(text)
    if folder.is_dir():
        return Folder(root=folder.resolve())
    known = ", ".join(("demo", *MIRRORS))
    raise RequestError(
        f"no archive {text!r}: give one of {known}, an http(s) address, or a folder that exists"
    )
