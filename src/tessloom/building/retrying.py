"""Asking again for exactly what could not be had, and mending the files that lack it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.archive import Findings, Listing, Selection, event_loop, place, target_table
from tessloom.building.opening import open_archive
from tessloom.building.progress import Progress
from tessloom.building.report import Report
from tessloom.building.request import Request, parse_folder, parse_workers
from tessloom.building.run import build_targets, check_directory
from tessloom.dataset.formats import existing_format
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.status import sector_status
from tessloom.dataset.storage import open_directory, store_failures
from tessloom.errors import NotListedError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager
    from pathlib import Path

    from distributed import Client

    from tessloom.archive import ArchiveAddress, RetryPolicy
    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.storage import Place
    from tessloom.pipelines import Pipeline


def retry(
    directory: Place,
    *,
    archive: str | None = None,
    workers: int | None = None,
    dask: str | Client | None = None,
    executor: Executor | None = None,
    connections: int | None = None,
    policy: RetryPolicy | None = None,
    redirect_hosts: Iterable[str] = (),
    log_file: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Ask again for the targets of a dataset that could not be had, and for nothing else.

    The partitions that lack them are written anew, with what they have and what comes in: they
    end as if all had been built at once. Partitions that were never built are left to `build`.

    Parameters
    ----------
    directory
        The dataset's.
    archive
        See `tessloom.build`. None: for each sector the one that it was built from.
    workers
        See `tessloom.build`.
    dask
        See `tessloom.build`.
    executor
        See `tessloom.build`.
    connections
        See `tessloom.build`.
    policy
        See `tessloom.build`.
    redirect_hosts
        See `tessloom.build`.
    log_file
        See `tessloom.build`.
    progress
        See `tessloom.build`.

    Returns
    -------
    Report
        What was done and what the dataset has now.

    Raises
    ------
    RequestError
        There is no dataset, or no such archive.
    ArchiveError, DatasetError
        As in `tessloom.build`.
    """
    root = open_directory(directory)
    with store_failures(root):
        found = existing_format(root)
        check_directory(root, found, ())
    request = Request(
        root=root,
        dataset_format=found,
        sectors={},
        selection=Selection(),
        workers=parse_workers(workers, dask, executor),
        progress=progress or Progress(),
        retry_failed=True,
        only_failed=True,
        log=parse_folder("log_file", log_file),
    )
    find = partial(
        open_archive, connections=connections, policy=policy, redirect_hosts=redirect_hosts
    )
    with store_failures(root):
        return _retry_sectors(request, archive, find)


def _retry_sectors(
    request: Request,
    archive: str | None,
    find: Callable[[str], AbstractContextManager[ArchiveAddress]],
) -> Report:
    found, root = request.dataset_format, request.root
    report = Report(out=root, sectors=[], built=0)
    for name in PIPELINES:
        pipeline = found.declare(PIPELINES[name])
        for sector in found.sectors(root, pipeline):
            done = _retry_sector(request, pipeline, sector, archive, find)
            report = replace(
                report,
                sectors=report.sectors + done.sectors,
                built=report.built + done.built,
                kept=report.kept + done.kept,
                notes=done.notes or report.notes,
            )
    return report


def _retry_sector(
    request: Request,
    pipeline: Pipeline,
    sector: int,
    archive: str | None,
    find: Callable[[str], AbstractContextManager[ArchiveAddress]],
) -> Report:
    found, root = request.dataset_format, request.root
    status = sector_status(found, root, pipeline, sector)
    if all(failure.reason == NotListedError.reason for failure in status.failures):
        return Report(out=root, sectors=[status], built=0)
    listing = read_listing_file(found.listing_path(root, pipeline, sector))
    request = replace(
        request,
        dataset_format=_as_written(found, root, pipeline, sector),
        sectors={pipeline: [sector]},
        same_archive=archive in (None, listing.archive),
    )
    with find(archive or listing.archive) as address:
        again = _place_again(request, address, pipeline, sector, listing.targets)
        return build_targets(request, address, again)


def _as_written(found: DatasetFormat, root: Path, pipeline: Pipeline, sector: int) -> DatasetFormat:
    """Return the format with the choices that the files of a sector were written with."""
    for _, of_sector, path in found.partitions(root, pipeline):
        if of_sector == sector:
            return found.written_with(path, pipeline)
    return found


def _place_again(
    request: Request,
    address: ArchiveAddress,
    pipeline: Pipeline,
    sector: int,
    targets: pa.Table,
) -> Listing:
    """Return the targets that could not be placed on the sky, asked for once more.

    Those of which the lists name no file stay as they are: only new lists can tell.
    """
    unplaced = pc.and_(
        pc.is_valid(targets["reason"]), pc.not_equal(targets["reason"], NotListedError.reason)
    )
    again = targets.filter(unplaced)
    columns = {name: again[name] for name in again.column_names}
    again = target_table(columns | {"reason": None, "detail": None}, len(again))

    async def ask() -> pa.Table:
        async with address.open(say=request.progress.say) as archive:
            return await place(archive, pipeline, sector, again)

    return Listing(pipeline, sector, event_loop.run(ask()), Findings())
