"""FITS files in a folder → HDF5, by tessloom's own build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.archive import (
    Folder,
    Listing,
    Selection,
    event_loop,
    is_synthetic,
    light_curve_path,
)
from tessloom.archive.findings import Findings
from tessloom.building.request import Request
from tessloom.building.run import build_targets
from tessloom.dataset.features import HEALPIX_ORDER
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.status import sector_status
from tessloom.errors import DatasetError
from tessloom.healpix import coarser
from tessloom.multimodal_universe import catalog as catalogs
from tessloom.multimodal_universe.custom import CustomFormat, source_key, write_partition
from tessloom.multimodal_universe.lists import place_targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from astropy.table import Table

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
    """

    standard: StandardFormat
    pipeline: Pipeline
    sector: int
    source: Folder
    root: Path
    workers: int
    progress: Progress

    def run(self, targets: pa.Table) -> list[bool]:
        """Convert the files of targets; return for each pixel whether its file is complete."""
        return self._build(self.standard, self._placed(targets), None)

    def run_with(
        self,
        processing_fn: Callable[[Any], dict[str, Any] | None],
        targets: pa.Table,
        catalog: Table,
    ) -> list[bool]:
        """Do the same with light curves that a function makes of a catalogue's rows."""
        custom = CustomFormat(self.standard.names, key=source_key(processing_fn))
        placed = self._placed(targets)
        rows = {catalogs.row_key(self.pipeline, row): row for row in catalog}

        def make(target: dict[str, Any]) -> dict[str, Any] | None:
            key = (target["id"], target["camera"], target["ccd"])
            if key not in rows:  # from an earlier catalogue
                (rows[key],) = catalogs.to_table(self.pipeline, pa.Table.from_pylist([target]))
            return processing_fn(rows[key])

        def write(partitions: list[Partition]) -> list[Result]:
            synthetic = bool(event_loop.run(self._is_synthetic(placed)))
            return [
                write_partition(partition, self.root, custom, make, synthetic=synthetic)
                for partition in partitions
            ]

        return self._build(custom, placed, write)

    def _placed(self, targets: pa.Table) -> pa.Table:
        return place_targets(self.source, self.pipeline, self.sector, targets)

    async def _is_synthetic(self, targets: pa.Table) -> bool | None:
        async with self.source.open(1) as archive:
            return await is_synthetic(archive, self.pipeline, self.sector, targets)

    def _build(
        self, dataset_format: StandardFormat, targets: pa.Table, write: Write | None
    ) -> list[bool]:
        request = Request(
            root=self.root,
            dataset_format=dataset_format,
            pipelines=[self.pipeline],
            sectors=[self.sector],
            selection=Selection(),
            workers=self.workers,
            progress=self.progress,
            retry_failed=True,
        )
        listing = Listing(self.pipeline, self.sector, targets, Findings())
        build_targets(request, self.source, listing, write)
        placed = targets["healpix_29"].drop_null().to_numpy()
        pixels = np.unique(coarser(placed, HEALPIX_ORDER)).tolist()
        # Those that are nowhere come first, as in the catalogue.
        nowhere = [False] if len(placed) < len(targets) else []
        return nowhere + [self._is_complete(pixel) for pixel in pixels]

    def _is_complete(self, pixel: int) -> bool:
        path = self.standard.partition_path(self.root, self.pipeline, pixel, self.sector)
        receipt = self.standard.read_receipt(path)
        return receipt.written == receipt.asked


def written_paths(
    standard: StandardFormat, pipeline: Pipeline, sector: int, root: Path
) -> list[str]:
    """Return the paths of all FITS files of a sector that are in the HDF5.

    Raises
    ------
    DatasetError
        One that was asked for is not.
    """
    path = standard.listing_path(root, pipeline, sector)
    if not path.exists():
        raise DatasetError(f"{root} has no HDF5 of sector {sector}: nothing was removed")
    status = sector_status(standard, root, pipeline, sector)
    if not status.complete:
        raise DatasetError(
            f"{status.asked - status.written} of {status.asked} light curves of sector {sector} "
            f"are not in {root}: nothing was removed. tessloom status says why"
        )
    targets = read_listing_file(path).targets.to_pylist()
    return [light_curve_path(pipeline, sector, target) for target in targets]
