"""Where what the archive said of itself is kept for a day."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from tessloom.archive import ListingCache
from tessloom.building.opening import DEMO

if TYPE_CHECKING:
    from tessloom.archive import ArchiveAddress
    from tessloom.building.request import Request

CACHE_VARIABLE = "TESSLOOM_CACHE"


def cache_folder() -> Path:
    """Return the folder of what is kept: the environment's, or the user's usual one."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("tessloom"))


def lasts(address: ArchiveAddress) -> bool:
    """Return whether what an archive says of itself may be kept.

    A folder may change at any time, and the embedded archive has another address each time.
    """
    return not address.lists_may_change and address.name != DEMO


def listing_cache(request: Request, address: ArchiveAddress) -> ListingCache | None:
    """Return where listings of an archive are kept; None where they should not be."""
    if not lasts(address):
        return None
    return ListingCache(
        folder=cache_folder() / "listings",
        archive=address.lists,
        refresh=request.refresh or request.retry_failed,
    )
