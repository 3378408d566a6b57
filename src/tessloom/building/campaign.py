"""Several sectors of several pipelines in one queue, so that the next begins as one ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tessloom.archive import event_loop, is_synthetic
from tessloom.building.sector_plan import plan_sector
from tessloom.dataset import layout
from tessloom.dataset.listing_file import write_listing_file
from tessloom.dataset.status import holds_synthetic, unplaced
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tessloom.archive import ArchiveAddress, Listing
    from tessloom.building.log import Log
    from tessloom.building.plan import Partition
    from tessloom.building.request import Request
    from tessloom.pipelines import Pipeline

    Stopped = Callable[[], bool]
    # How the targets of a sector are had, unless it is to be left off.
    ReadListing = Callable[[Pipeline, int, Stopped], Listing]


def remove_partial_files(request: Request) -> None:
    """Remove what workers that were killed have left half written."""
    for pipeline in request.sectors:
        layout.remove_partial_files(request.dataset_format.directory(request.root, pipeline))


@dataclass
class Campaign:
    """What one build is about: sector after sector is planned, and its partitions handed out.

    Attributes
    ----------
    read
        Reads the archive's lists.
    check
        Raises an error when the directory is another build's.
    targets
        How many are to be fetched, of the sectors that have been planned so far.
    """

    request: Request
    address: ArchiveAddress
    read: ReadListing
    log: Log
    check: Callable[[], None]
    targets: int = 0
    _claimed: set[Path] = field(default_factory=set)
    _kind_is_known: bool = False

    def partitions(self, stopped: Stopped) -> Iterator[Partition]:
        """Plan one sector after the other, and yield what is to be done.

        Whoever takes them may still be at one sector while the next is planned.
        """
        request = self.request
        remove_partial_files(request)
        for pipeline, sectors in request.sectors.items():
            for sector in sectors:
                yield from self._begin(pipeline, sector, stopped)

    def _begin(self, pipeline: Pipeline, sector: int, stopped: Stopped) -> Iterator[Partition]:
        request = self.request

        def read(pipeline: Pipeline, sector: int) -> Listing:
            return self.read(pipeline, sector, stopped)

        plan = plan_sector(request, self.address, read, pipeline, sector, claimed=self._claimed)
        self.log.unplaced(pipeline, sector, unplaced(plan.listing.targets))
        if plan.to_do and not (request.same_archive or self._kind_is_known):
            self._check_kind(plan.to_do[0], stopped)
        listing_path = request.dataset_format.listing_path(request.root, pipeline, sector)
        write_listing_file(listing_path, plan.listing)
        targets = sum(len(partition.targets) - partition.kept for partition in plan.to_do)
        self.targets += targets
        request.progress.start(pipeline, sector, targets)
        for partition in plan.to_do:
            yield self._placed(partition)

    def _placed(self, partition: Partition) -> Partition:
        """Say where a partition's file goes: no two that are under way to one place."""
        self.check()
        path = self.request.dataset_format.partition_path(
            self.request.root,
            partition.pipeline,
            partition.pixel,
            partition.sector,
            claimed=self._claimed,
        )
        self._claimed.add(path)
        return replace(partition, path=path.absolute())

    def _check_kind(self, partition: Partition, stopped: Stopped) -> None:
        """Check that real and synthetic light curves don't come to lie in one dataset."""
        request, address = self.request, self.address
        self._kind_is_known = True
        there = holds_synthetic(request.dataset_format, request.root)
        if there is None:
            return

        async def ask() -> bool | None:
            async with address.open(say=request.progress.say) as archive:
                return await is_synthetic(
                    archive, partition.pipeline, partition.sector, partition.targets
                )

        if event_loop.run(ask(), stopped) not in (None, there):
            kind, other = ("synthetic", "real") if there else ("real", "synthetic")
            raise DatasetError(
                f"{request.root} holds {kind} light curves and {address.name} has {other} ones: "
                "they must not be mixed. Choose another directory"
            )
