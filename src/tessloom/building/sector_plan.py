"""What is to be done in one sector: what is asked for, against what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tessloom.building.plan import (
    in_partition_order,
    keep_what_is_there,
    make_partitions,
    may_pass,
    merge_listings,
    still_to_do,
)
from tessloom.dataset.listing_file import ListingFile, read_listing_file
from tessloom.dataset.status import unplaced
from tessloom.dataset.storage import for_each, present
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from pathlib import Path

    from tessloom.archive import ArchiveAddress, Listing
    from tessloom.building.plan import Partition
    from tessloom.building.request import Request
    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline

    # How the targets of a sector are had.
    ReadListing = Callable[[Pipeline, int], Listing]


@dataclass(frozen=True)
class SectorPlan:
    """What is to be done in one (pipeline, sector).

    Attributes
    ----------
    listing
        What was asked for over all builds, this one included, in the order of the partitions.
    partitions, to_do
        All that there should be, and those of them that are to be built.
    """

    pipeline: Pipeline
    sector: int
    listing: ListingFile
    partitions: list[Partition]
    to_do: list[Partition]


def plan_sector(
    request: Request,
    address: ArchiveAddress,
    read: ReadListing,
    pipeline: Pipeline,
    sector: int,
    *,
    claimed: Container[Path] = (),
) -> SectorPlan:
    """Compare what is asked for with what is there; write nothing.

    Parameters
    ----------
    claimed
        Where files of other sectors are being put now.
    """
    path = request.dataset_format.listing_path(request.root, pipeline, sector)
    old = read_listing_file(path) if path.exists() else None
    key = request.selection.key()
    if old is not None and _answers(old, request, address):
        listing = old
    elif old is not None and request.only_failed:
        # Nothing new was asked for: what it answers, and from where, stays.
        listing = replace(old, targets=merge_listings(old.targets, read(pipeline, sector).targets))
    else:
        listing = _merged(old, read(pipeline, sector), address, key)
    contents = request.dataset_format.request_key(pipeline)
    listing = replace(listing, targets=in_partition_order(listing.targets))
    partitions = make_partitions(pipeline, sector, listing.targets, contents)
    receipts = _receipts(request, partitions, claimed)
    if request.rebuild:
        return SectorPlan(pipeline, sector, listing, partitions, partitions)
    to_do = still_to_do(partitions, receipts, retry_failed=request.retry_failed)
    if old is not None and to_do:
        there = in_partition_order(old.targets)
        earlier = make_partitions(pipeline, sector, there, contents)
        to_do = keep_what_is_there(to_do, earlier, receipts)
        if request.only_failed:
            never_built = {partition.pixel for partition in earlier} - receipts.keys()
            to_do = [partition for partition in to_do if partition.pixel not in never_built]
    return SectorPlan(pipeline, sector, listing, partitions, to_do)


def _answers(old: ListingFile, request: Request, address: ArchiveAddress) -> bool:
    """Return whether the listing that is there need not be read again from the archive."""
    return (
        old.archive == address.name
        and request.selection.key() in old.requests
        and not (address.lists_may_change or request.refresh or request.retry_failed)
        and not any(may_pass(failure.reason) for failure in unplaced(old.targets))
    )


def _merged(
    old: ListingFile | None, new: Listing, address: ArchiveAddress, key: str
) -> ListingFile:
    read = ListingFile(
        archive=address.name,
        requests=[key],
        findings=new.findings.sentences(),
        targets=new.targets,
    )
    if old is None:
        return read
    return replace(
        read,
        requests=sorted({*old.requests, key} if old.archive == address.name else {key}),
        targets=merge_listings(old.targets, new.targets),
    )


def _receipts(
    request: Request, partitions: list[Partition], claimed: Container[Path]
) -> dict[int, Receipt]:
    if not partitions:
        return {}
    dataset_format, root = request.dataset_format, request.root

    def find(partition: Partition) -> Path:
        return dataset_format.partition_path(
            root, partition.pipeline, partition.pixel, partition.sector, claimed=claimed
        )

    paths = list(for_each(find, partitions, root))
    there = present(dataset_format.directory(root, partitions[0].pipeline), paths)
    built = [pair for pair in zip(partitions, paths, strict=True) if pair[1] in there]
    found = for_each(dataset_format.read_receipt, (path for _, path in built), root)
    receipts = {}
    for (partition, path), receipt in zip(built, found, strict=True):
        wanted = (partition.pipeline.name, partition.sector, partition.pixel)
        if (receipt.pipeline, receipt.sector, receipt.pixel) != wanted:
            raise DatasetError(
                f"{path} belongs elsewhere: it is of {receipt.pipeline}, sector {receipt.sector}, "
                f"pixel {receipt.pixel}. Remove it and run the same command again"
            )
        receipts[partition.pixel] = receipt
    return receipts
