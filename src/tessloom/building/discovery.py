"""Which sectors there are: asked of the archive once a day."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from typing import TYPE_CHECKING

from tessloom.archive import event_loop
from tessloom.building.caching import cache_folder, lasts
from tessloom.building.opening import open_archive
from tessloom.building.request import parse_pipelines
from tessloom.dataset.layout import write_text
from tessloom.errors import DatasetError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tessloom.archive import ArchiveAddress
    from tessloom.pipelines import Pipeline

_DAY = 24 * 3600


def find_sectors(
    pipelines: str | Iterable[str] | None = None,
    *,
    archive: str | None = None,
    refresh: bool = False,
) -> dict[str, list[int]]:
    """Return the sectors that an archive has of each pipeline, sorted.

    They are read from its index pages, or from the listing of a bucket that is asked alone. What
    was read is kept for a day in the user's cache directory (``TESSLOOM_CACHE`` names another).

    Parameters
    ----------
    pipelines
        One pipeline or several; None: all.
    archive
        See `tessloom.build`.
    refresh
        Ask the archive again.

    Raises
    ------
    RequestError
        There is no such pipeline or archive.
    ArchiveError
        The archive can't be reached.
    """
    wanted = parse_pipelines(list(PIPELINES) if pipelines is None else pipelines)
    with open_archive(archive) as address:
        return {
            pipeline.name: known_sectors(address, pipeline, refresh=refresh) for pipeline in wanted
        }


def known_sectors(
    address: ArchiveAddress, pipeline: Pipeline, *, refresh: bool = False
) -> list[int]:
    """Return the sectors that an archive has of a pipeline; see `find_sectors`."""
    lasting = lasts(address)
    path = _cache_path(address, pipeline)
    sectors = _cached(path) if lasting and not refresh else None
    if sectors is None:
        sectors = _ask(address, pipeline)
        if lasting:
            _keep(path, address, sectors)
    return sectors


def _ask(address: ArchiveAddress, pipeline: Pipeline) -> list[int]:
    async def ask() -> list[int]:
        async with address.open() as archive:
            return await archive.sectors(pipeline)

    return event_loop.run(ask())


def _cache_path(address: ArchiveAddress, pipeline: Pipeline) -> Path:
    digest = hashlib.sha256(address.lists.encode()).hexdigest()[:16]
    return cache_folder() / "sectors" / f"{pipeline.name}-{digest}.json"


def _cached(path: Path) -> list[int] | None:
    """Return what was kept, unless it is too old or can't be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if 0 <= time.time() - content["read_at"] < _DAY:
            return [int(sector) for sector in content["sectors"]]
    return None


def _keep(path: Path, address: ArchiveAddress, sectors: list[int]) -> None:
    content = {"address": address.lists, "read_at": int(time.time()), "sectors": sectors}
    # Without a cache all goes on as well.
    with contextlib.suppress(DatasetError):
        write_text(path, json.dumps(content) + "\n")
