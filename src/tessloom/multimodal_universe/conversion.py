"""FITS files in a folder → HDF5, by tessloom's own build."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.archive import (
    Folder,
    Listing,
    Selection,
    event_loop,
    is_synthetic,
    light_curve_paths,
)
from tessloom.building.plan import in_partition_order, make_partitions
from tessloom.building.request import Request
from tessloom.building.run import build_targets, check_directory
from tessloom.building.workers import Workers
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.opening import damaged
from tessloom.dataset.status import sector_status
from tessloom.errors import DatasetError, RequestError
from tessloom.healpix import coarser
from tessloom.multimodal_universe import catalog as catalogs
from tessloom.multimodal_universe.custom import CustomFormat, CustomPartitions
from tessloom.multimodal_universe.lists import place_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from astropy.table import Table

    from tessloom.archive import Findings
    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.progress import Progress
    from tessloom.building.run import Write
    from tessloom.dataset.standard import StandardFormat
    from tessloom.pipelines import Pipeline


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Files of one pipeline and sector on their way into HDF5.

    Attributes
    ----------
    pipeline
        As `standard` declares it.
    source
        Where the FITS files are.
    root
        Where the HDF5 files shall be.
    findings
        What was odd about the lists.
    absent
        Targets that the lists name and of which there is no file: recorded failures.
    """

    standard: StandardFormat
    pipeline: Pipeline
    sector: int
    source: Folder
    root: Path
    workers: int
    progress: Progress
    findings: Findings
    absent: pa.Table

    def run(self, targets: pa.Table) -> list[bool]:
        """Convert the files of targets; return for each pixel whether its file is complete."""
        check_directory(self.root, self.standard, [self.pipeline])
        return self._build(self.standard, self._placed(targets), None, set())

    def run_with(
        self,
        processing_fn: Callable[[Any], Mapping[str, Any] | None],
        targets: pa.Table,
        catalog: Table,
    ) -> list[bool]:
        """Do the same with light curves that a function makes of a catalogue's rows.

        Files are made anew whether they are there or not: the function may have changed. If it
        raises an exception, files that were not reached stay as they were.
        """
        kept: set[int] = set()
        check_directory(self.root, self.standard, [])
        custom = CustomFormat(self.standard.names)
        placed = self._placed(targets)
        rows = {catalogs.row_key(self.pipeline, row): row for row in catalog}

        def make(target: dict[str, Any]) -> Mapping[str, Any] | None:
            key = (target["id"], target["camera"], target["ccd"])
            if key not in rows:
                raise RequestError(
                    f"star {target['id']} was converted from an earlier catalogue: processing_fn "
                    "makes whole files, so give it the rows of all catalogues together (vstack)"
                )
            return processing_fn(rows[key])

        def write(partitions: Iterable[Partition]) -> list[Result]:
            writer = CustomPartitions(
                root=self.root,
                standard=custom,
                make=make,
                report=lambda failed: self.progress.advance(1, failed),
                synthetic=bool(event_loop.run(self._is_synthetic(placed))),
            )
            results = [writer.write(partition) for partition in partitions]
            kept.update(result.receipt.pixel for result in results if result.lost)
            return results

        return self._build(custom, placed, write, kept)

    def _placed(self, targets: pa.Table) -> pa.Table:
        return place_targets(self.source, self.pipeline, self.sector, targets)

    async def _is_synthetic(self, targets: pa.Table) -> bool | None:
        async with self.source.open(say=self.progress.say) as archive:
            return await is_synthetic(archive, self.pipeline, self.sector, targets)

    def _build(
        self,
        dataset_format: StandardFormat,
        targets: pa.Table,
        write: Write | None,
        kept: set[int],
    ) -> list[bool]:
        request = Request(
            root=self.root,
            dataset_format=dataset_format,
            sectors={self.pipeline: [self.sector]},
            selection=Selection(),
            workers=Workers(number=self.workers),
            progress=self.progress,
            retry_failed=True,
            rebuild=write is not None,
        )
        asked = pa.concat_tables([targets, self.absent])
        listing = Listing(self.pipeline, self.sector, asked, self.findings)
        report = build_targets(request, self.source, listing, write)
        if report.kept:
            warnings.warn(
                f"{report.kept} files in {self.root} were left as they are: they have light curves "
                "whose FITS files are gone. Download those again, or convert into another folder",
                stacklevel=4,
            )
        return self._pixels(dataset_format, targets, kept)

    def _pixels(
        self, dataset_format: StandardFormat, targets: pa.Table, kept: set[int]
    ) -> list[bool]:
        """Return for each pixel of targets whether its file has all that was asked for.

        Of those in `kept` it has not: the file there is an older one.
        """
        asked = _listing(self.standard, self.pipeline, self.sector, self.root)
        key = dataset_format.request_key(self.pipeline)
        partitions = make_partitions(self.pipeline, self.sector, in_partition_order(asked), key)
        # A target that was placed once stays where it was.
        wanted = asked.filter(pc.is_in(asked["id"], targets["id"].combine_chunks()))
        placed = wanted["healpix_29"].drop_null().to_numpy()
        pixels = set(coarser(placed, self.pipeline.healpix_order).tolist())
        # Those that are nowhere come first, as in the catalogue.
        nowhere = [False] if len(placed) < len(wanted) else []
        return nowhere + [
            partition.pixel not in kept and self._is_complete(partition)
            for partition in partitions
            if partition.pixel in pixels
        ]

    def _is_complete(self, partition: Partition) -> bool:
        path = self.standard.partition_path(self.root, self.pipeline, partition.pixel, self.sector)
        if not path.exists():
            return False
        receipt = self.standard.read_receipt(path)
        return receipt.digest == partition.digest and receipt.written == receipt.asked


def written_paths(
    standard: StandardFormat, pipeline: Pipeline, sector: int, root: Path
) -> list[str]:
    """Return the paths of all FITS files of a sector, if all are in the HDF5.

    Every array is read once.

    Raises
    ------
    DatasetError
        One that was asked for is not there, or an HDF5 file is damaged.
    """
    targets = _listing(standard, pipeline, sector, root)
    status = sector_status(standard, root, pipeline, sector)
    if not status.complete:
        raise DatasetError(
            f"{status.asked - status.written} of {status.asked} light curves of sector {sector} "
            f"are not in {root}: nothing was removed. tessloom status says why"
        )
    for partition in make_partitions(pipeline, sector, targets):
        path = standard.partition_path(root, pipeline, partition.pixel, sector)
        if standard.object_ids(path).total() != len(partition.targets):
            raise DatasetError(
                f"{path} does not have all light curves that were asked for: nothing was removed"
            )
        _read_all(path)
    paths: list[str] = light_curve_paths(pipeline, sector, targets).to_pylist()
    return paths


def _listing(standard: StandardFormat, pipeline: Pipeline, sector: int, root: Path) -> pa.Table:
    path = standard.listing_path(root, pipeline, sector)
    if not path.exists():
        raise DatasetError(f"{root} has no HDF5 of sector {sector}: nothing was removed")
    return read_listing_file(path).targets


def _read_all(path: Path) -> None:
    try:
        with h5py.File(path) as file:
            for dataset in file.values():
                dataset[()]  # chunks carry a checksum
    except (OSError, RuntimeError, TypeError) as error:
        raise damaged(path, error) from error
