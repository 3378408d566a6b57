"""The build: from the archive's lists to a published dataset."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tessloom.archive import event_loop, ranges, read_listing, unknown_sector
from tessloom.building.ahead import Ahead
from tessloom.building.caching import listing_cache
from tessloom.building.campaign import Campaign, remove_partial_files
from tessloom.building.discovery import known_sectors
from tessloom.building.estimate import estimate
from tessloom.building.log import open_log
from tessloom.building.opening import open_archive
from tessloom.building.progress import Progress
from tessloom.building.report import Report
from tessloom.building.request import (
    Request,
    parse_folder,
    parse_format,
    parse_pipelines,
    parse_selection,
    parse_workers,
)
from tessloom.building.sector_plan import plan_sector
from tessloom.building.worker import Job
from tessloom.dataset.card import check_card
from tessloom.dataset.formats import check_format
from tessloom.dataset.local_files import check_place
from tessloom.dataset.lock import locked
from tessloom.dataset.status import SectorStatus, sector_status, unplaced
from tessloom.dataset.storage import is_local, open_directory, store_failures
from tessloom.errors import DatasetError, UnknownSectorError
from tessloom.pipelines import PIPELINES
from tessloom.sectors import parse_sectors

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from pathlib import Path

    from distributed import Client

    from tessloom.archive import ArchiveAddress, Listing, RetryPolicy
    from tessloom.building.campaign import ReadListing, Stopped
    from tessloom.building.estimate import Estimate
    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.storage import Place
    from tessloom.pipelines import Pipeline
    from tessloom.sectors import Sectors

    # How partitions become files.
    Write = Callable[[Iterable[Partition]], list[Result]]

# Partitions that are planned before they are wanted: so much work that meanwhile the lists of the
# next sector can be read.
_PLANNED_AHEAD = 64


def build(
    pipelines: str | Iterable[str],
    *,
    sector: int | str | Iterable[int | str],
    out: Place,
    archive: str | os.PathLike[str] | None = None,
    tiny: bool = False,
    limit: int | None = None,
    sample: int | None = None,
    targets: str | os.PathLike[str] | Iterable[int] | None = None,
    format: str = "parquet",  # noqa: A002 - the word that users know
    features: str | Iterable[str] | None = None,
    contiguous: bool = False,
    workers: int | None = None,
    dask: str | Client | None = None,
    executor: Executor | None = None,
    connections: int | None = None,
    policy: RetryPolicy | None = None,
    redirect_hosts: Iterable[str] = (),
    keep_fits: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    retry_failed: bool = False,
    refresh: bool = False,
    log_file: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Build sectors of pipelines into a dataset, or go on with what is there.

    Partitions that are finished are left alone, so a build that was stopped is continued by the
    same call, and further sectors, pipelines or targets are added by another one.

    Parameters
    ----------
    pipelines
        ``"qlp"``, ``"tglc"``, ``"spoc"``, or several of them.
    sector
        One TESS sector or several, ranges such as ``"1-26"`` or ``"27-"``, or ``"all"``. Of a
        range, those are built that the archive has; `Report.notes` names the others.
    out
        The dataset's directory, which is made where there is none, or the URL of a place in an
        object store, such as ``s3://bucket/prefix`` (needs ``tessloom[s3]``).
    archive
        ``"mast"`` (for each file S3, then the static archive, then the gateway), one of its mirrors
        ``"s3"``, ``"static"`` and ``"gateway"`` alone, ``"demo"``, the http(s) address of a
        mirror, several of these with commas between them, or a folder. None: what the
        environment's ``TESSLOOM_ARCHIVE`` says, else ``"mast"``.
    tiny
        Only the first 100 targets of each script; the same as ``limit=100``.
    limit
        Only the first so many targets of each script.
    sample
        Only so many targets, spread over the whole sector by a hash of the id.
    targets
        Only these TIC ids (for TGLC also Gaia DR3 ids), or a file with one a line.
    format
        ``"parquet"`` (HATS) or ``"hdf5"``, the Multimodal Universe's standard format. A directory
        holds one of them.
    features
        Names of the arrays that HDF5 files hold: of those that the Multimodal Universe has, of
        columns and header values of the pipelines, ``"default"`` or ``"all"``. As a list, or in
        one string with commas.
    contiguous
        Whether the arrays of HDF5 files are one block each, uncompressed: as the Multimodal
        Universe's own builder writes them, three times as large and quicker to write and read.
    workers
        Processes that fetch and write. None: as many as the machine has cores, fewer where there
        is little to do. One keeps up with a few thousand files a second. With `dask`: how many of
        the cluster's workers at most; None: all.
    dask
        A Dask cluster whose workers do that instead: its scheduler's address, ``"local"`` for one
        of `workers` processes here, or a `distributed.Client`. `out` must be the same directory on
        all machines.
    executor
        Any other `concurrent.futures.Executor`, which runs `workers` tasks at a time.
    connections
        Most requests under way at each mirror, over all workers; the gateway has 8 at most. How
        many there are is found out, between one and this. None: as many as are known to do.
    policy
        How often requests are repeated, how long a mirror that is down is waited for, and so on.
    redirect_hosts
        Hosts to which redirects may lead, beside the archive's own and the mirrors'.
    keep_fits
        Folder in which the FITS files are kept too, laid out as in the archive.
    dry_run
        Read the lists, fetch a small sample, and say what there is to do and what it will take;
        write nothing.
    retry_failed
        Also ask again for targets that could not be had in an earlier build.
    refresh
        Read the archive's lists again, even if this request was answered before.
    log_file
        File to which a line of JSON is added for each partition, each failure, and each mirror
        once a minute.
    progress
        Is told how far the build is.

    Returns
    -------
    Report
        What was done and what the dataset has now. Targets that could not be had are in it;
        they do not raise.

    Raises
    ------
    RequestError
        The call is wrong; `UnknownSectorError` if the archive has no such sector.
    ArchiveError
        The archive can't be reached, or is down for too long. What is finished is kept.
    DatasetError
        The directory can't be built into; `DatasetLockedError` if another build is at it.
    """
    dataset_format = parse_format(format, features, contiguous=contiguous)
    declared = [dataset_format.declare(pipeline) for pipeline in parse_pipelines(pipelines)]
    for pipeline in declared:
        dataset_format.row_format(pipeline)  # so that an unknown feature is found out here
    asked = parse_sectors(sector)
    request = Request(
        root=open_directory(out),
        dataset_format=dataset_format,
        sectors=dict.fromkeys(declared, asked.single),
        selection=parse_selection(tiny=tiny, limit=limit, sample=sample, targets=targets),
        workers=parse_workers(workers, dask, executor),
        keep_fits=parse_folder("keep_fits", keep_fits),
        retry_failed=retry_failed,
        refresh=refresh,
        progress=progress or Progress(),
        log=parse_folder("log_file", log_file),
    )
    archives = open_archive(
        archive, connections=connections, policy=policy, redirect_hosts=redirect_hosts
    )
    with archives as address, store_failures(request.root):

        def read(pipeline: Pipeline, sector: int, stopped: Stopped) -> Listing:
            request.progress.listing(pipeline, sector)
            return _read_listing(request, address, pipeline, sector, stopped)

        check_directory(request.root, dataset_format, declared)
        if dry_run and is_local(request.root):
            check_place(request.root)
        sectors, notes = _find_sectors(asked, address, declared, refresh=refresh)
        request = replace(request, sectors=sectors)
        if dry_run:
            report = _plan_only(request, address, read)
        else:
            with locked(request.root) as check:
                report = _build(request, address, read, check)
        return replace(report, notes=[*notes, *report.notes])


def _find_sectors(
    asked: Sectors, address: ArchiveAddress, pipelines: Iterable[Pipeline], *, refresh: bool
) -> tuple[dict[Pipeline, list[int]], list[str]]:
    """Return the sectors of each pipeline, and what ranges ask for and the archive has not.

    Of several sectors all are looked for beforehand, not when their turn comes after hours.
    """
    sectors: dict[Pipeline, list[int]] = {}
    notes: list[str] = []
    for pipeline in pipelines:
        if not asked.spans and len(asked.single) == 1:
            sectors[pipeline] = [*asked.single]
            continue
        known = known_sectors(address, pipeline, refresh=refresh)
        sectors[pipeline] = asked.among(known)
        for number in asked.single:
            if number not in known:
                raise unknown_sector(f"the archive {address.name}", pipeline, number, known)
        if lacking := asked.lacking(known):
            notes.append(f"{address.name} has no {pipeline.name} of sectors {ranges(lacking)}.")
        if not sectors[pipeline]:
            raise UnknownSectorError(
                f"{address.name} has none of these sectors of {pipeline.title}; it has: "
                f"{ranges(known)}"
            )
    return sectors, notes


def check_directory(
    root: Path, dataset_format: DatasetFormat, pipelines: Iterable[Pipeline]
) -> None:
    """Check that a dataset can be built into a directory without harm to what is there.

    Parameters
    ----------
    pipelines
        As `dataset_format` declares them.

    Raises
    ------
    RequestError
        It holds another format.
    DatasetError
        It holds files that others wrote, or more than would be written now.
    """
    check_format(root, dataset_format)
    check_card(root)
    for pipeline in pipelines:
        dataset_format.check_additions(root, pipeline)
    for pipeline in PIPELINES.values():
        # The card covers all pipelines, so files that others wrote can't stand beside ours.
        for _ in dataset_format.partitions(root, dataset_format.declare(pipeline)):
            pass


def build_targets(
    request: Request, address: ArchiveAddress, listing: Listing, write: Write | None = None
) -> Report:
    """Build the light curves that a listing names, rather than those of the archive's lists.

    Parameters
    ----------
    write
        What turns partitions into files, for a caller who has a way of its own.

    Raises
    ------
    DatasetError
        As in `build`.
    """
    with locked(request.root) as check:
        return _build(request, address, lambda _pipeline, _sector, _stopped: listing, check, write)


def _build(
    request: Request,
    address: ArchiveAddress,
    read: ReadListing,
    check: Callable[[], None],
    write: Write | None = None,
) -> Report:
    with open_log(request.log) as log:
        sectors = {pipeline.name: [*of_it] for pipeline, of_it in request.sectors.items()}
        log.started(archive=address.name, pipelines=[*sectors], sectors=sectors)
        try:
            campaign = Campaign(request, address, read, log, check)
            report = _build_all(request, address, campaign, write)
        except BaseException as error:
            log.stopped(error)
            raise
        log.finished(report)
        return report


def _build_all(
    request: Request, address: ArchiveAddress, campaign: Campaign, write: Write | None
) -> Report:
    dataset_format = request.dataset_format
    try:
        with Ahead(campaign.partitions, _PLANNED_AHEAD) as partitions:
            results = (
                write(partitions)
                if write is not None
                else _build_partitions(request, address, campaign, partitions)
            )
            partitions.check()
        if request.workers.elsewhere:
            remove_partial_files(request)  # of workers that died
    except Exception:
        # What is finished is a dataset: it opens, whatever error stopped the build.
        with suppress(DatasetError):
            dataset_format.publish(request.root)
        raise
    finally:
        request.progress.finish()
    statuses = [
        sector_status(dataset_format, request.root, pipeline, sector)
        for pipeline, sectors in request.sectors.items()
        for sector in sectors
    ]
    notes = dataset_format.publish(request.root)
    kept = sum(result.lost > 0 for result in results)
    built = len(results) - kept
    there = sum(status.partitions - status.partitions_missing for status in statuses)
    if request.keep_fits is not None and there > len(results):
        notes.append(
            f"{there - len(results)} partitions were there already: FITS files are kept of what is "
            "fetched, and theirs were not."
        )
    return Report(out=request.root, sectors=statuses, built=built, kept=kept, notes=notes)


def _build_partitions(
    request: Request, address: ArchiveAddress, campaign: Campaign, partitions: Ahead[Partition]
) -> list[Result]:
    job = Job(
        # Workers on other machines start elsewhere.
        root=request.root.absolute(),
        dataset_format=request.dataset_format,
        archive=address,
        workers=1,
        keep_fits=request.keep_fits and request.keep_fits.absolute(),
        log=request.log and request.log.absolute(),
    )
    sectors = sum(len(of_it) for of_it in request.sectors.values())
    expected = request.selection.most
    if expected is not None:
        expected *= sectors
    elif sectors == 1 and request.workers.depend_on_size:
        partitions.wait()
        expected = campaign.targets
    return request.workers.build(job, partitions, request.progress, expected)


def _read_listing(
    request: Request, address: ArchiveAddress, pipeline: Pipeline, sector: int, stopped: Stopped
) -> Listing:
    async def read() -> Listing:
        async with address.open(say=request.progress.say) as archive:
            cache = listing_cache(request, address)
            return await read_listing(archive, pipeline, sector, request.selection, cache)

    return event_loop.run(read(), stopped)


def _plan_only(request: Request, address: ArchiveAddress, read: ReadListing) -> Report:
    def read_on(pipeline: Pipeline, sector: int) -> Listing:
        return read(pipeline, sector, lambda: False)

    statuses: list[SectorStatus] = []
    estimates: list[Estimate | None] = []
    for pipeline, sectors in request.sectors.items():
        for sector in sectors:
            plan = plan_sector(request, address, read_on, pipeline, sector)
            placed = sum(len(partition.targets) for partition in plan.partitions)
            to_fetch = sum(len(partition.targets) - partition.kept for partition in plan.to_do)
            statuses.append(
                SectorStatus(
                    pipeline=pipeline.name,
                    sector=sector,
                    archive=address.name,
                    asked=len(plan.listing.targets),
                    written=placed - to_fetch,
                    failures=list(unplaced(plan.listing.targets)),
                    partitions=len(plan.partitions),
                    partitions_missing=len(plan.to_do),
                    findings=plan.listing.findings,
                )
            )
            estimates.append(estimate(request, address, plan))
    built = sum(status.partitions_missing for status in statuses)
    return Report(
        out=request.root, sectors=statuses, built=built, dry_run=True, estimates=estimates
    )
