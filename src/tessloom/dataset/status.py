"""What a dataset has and what it lacks, read from its own files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from tessloom.dataset.formats import existing_format
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.published import lost_listing
from tessloom.dataset.receipt import Failure
from tessloom.dataset.storage import for_each, open_directory, present, store_failures
from tessloom.healpix import coarser
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.receipt import Receipt
    from tessloom.dataset.storage import Place
    from tessloom.pipelines import Pipeline


@dataclass(kw_only=True)
class SectorStatus:
    """One (pipeline, sector) of a dataset.

    Attributes
    ----------
    pipeline
        Its name.
    sector
        The TESS sector.
    archive
        From which the targets were listed.
    asked
        Light curves that were asked for.
    written
        Of those, how many the dataset has.
    failures
        Those that could not be had, and why.
    partitions
        Files that there should be.
    partitions_missing
        How many of them are still to be built.
    moved
        Light curves whose star lies in another pixel by its header than by the target list.
    unknown_columns
        FITS columns that tessloom does not know, and in how many files they were; their values are
        not in the dataset.
    synthetic
        Whether there are light curves that were made up, as the demo archive's are.
    findings
        What was odd about the archive's lists, a sentence each.
    unpublished
        What readers need beside the light curves and is missing, or does not know all of them, a
        sentence each; the same for all sectors of a pipeline. Only `read_status` fills it in.
    """

    pipeline: str
    sector: int
    archive: str
    asked: int = 0
    written: int = 0
    failures: list[Failure] = field(default_factory=list)
    partitions: int = 0
    partitions_missing: int = 0
    moved: int = 0
    unknown_columns: Counter[str] = field(default_factory=Counter)
    synthetic: bool = False
    findings: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Light curves whose partition is still to be built."""
        return self.asked - self.written - len(self.failures)

    @property
    def complete(self) -> bool:
        """Whether the dataset has every light curve that was asked for, and readers find them."""
        return self.written == self.asked and not self.unpublished

    def reasons(self) -> Counter[str]:
        """Count the failures by reason."""
        return Counter(failure.reason for failure in self.failures)

    def to_dict(self) -> dict[str, Any]:
        """Return the status as JSON has it."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        own["failures"] = [failure.__dict__ for failure in self.failures]
        return own | {
            "missing": self.missing,
            "complete": self.complete,
            "reasons": dict(self.reasons()),
        }


def read_status(directory: Place) -> list[SectorStatus]:
    """Read what a dataset's directory has and lacks, a value for each (pipeline, sector).

    Parameters
    ----------
    directory
        The dataset's, or its URL.

    Raises
    ------
    RequestError
        There is no dataset.
    DatasetError
        A file of it is damaged.
    """
    root = open_directory(directory)
    with store_failures(root):
        return _read_status(root)


def _read_status(root: Path) -> list[SectorStatus]:
    dataset_format = existing_format(root)
    pipelines = [dataset_format.declare(pipeline) for pipeline in PIPELINES.values()]
    return [
        status for pipeline in pipelines for status in _of_pipeline(dataset_format, root, pipeline)
    ]


def _of_pipeline(
    dataset_format: DatasetFormat, root: Path, pipeline: Pipeline
) -> list[SectorStatus]:
    statuses = {
        sector: sector_status(dataset_format, root, pipeline, sector)
        for sector in dataset_format.sectors(root, pipeline)
    }
    lost: dict[int, list[Path]] = {}
    for _, sector, path in dataset_format.partitions(root, pipeline):
        if sector not in statuses:
            lost.setdefault(sector, []).append(path)
    for sector, paths in lost.items():
        statuses[sector] = _without_listing(dataset_format, root, pipeline, sector, paths)
    if any(status.partitions > status.partitions_missing for status in statuses.values()):
        light_curves = sum(status.written for status in statuses.values())
        unpublished = dataset_format.unpublished(root, pipeline, light_curves)
        for status in statuses.values():
            status.unpublished += unpublished
    return [statuses[sector] for sector in sorted(statuses)]


def _without_listing(
    dataset_format: DatasetFormat, root: Path, pipeline: Pipeline, sector: int, paths: list[Path]
) -> SectorStatus:
    """Return what is known of a sector whose listing is lost."""
    status = SectorStatus(pipeline=pipeline.name, sector=sector, archive="", partitions=len(paths))
    for receipt in for_each(dataset_format.read_receipt, paths, root):
        status.asked += receipt.asked
        _add(status, receipt)
    path = dataset_format.listing_path(root, pipeline, sector)
    status.unpublished.append(lost_listing(path, sector))
    return status


def holds_synthetic(dataset_format: DatasetFormat, root: Path) -> bool | None:
    """Return whether a dataset's light curves are synthetic; None if it has none yet."""
    for pipeline in PIPELINES.values():
        for _, _, path in dataset_format.partitions(root, dataset_format.declare(pipeline)):
            receipt = dataset_format.read_receipt(path)
            if receipt.written:
                return receipt.synthetic
    return None


def sector_status(
    dataset_format: DatasetFormat, root: Path, pipeline: Pipeline, sector: int
) -> SectorStatus:
    """Read what a dataset has and lacks of one (pipeline, sector).

    Parameters
    ----------
    pipeline
        As `dataset_format` declares it.
    """
    listing = read_listing_file(dataset_format.listing_path(root, pipeline, sector))
    status = SectorStatus(
        pipeline=pipeline.name,
        sector=sector,
        archive=listing.archive,
        asked=len(listing.targets),
        findings=listing.findings,
        failures=list(unplaced(listing.targets)),
    )
    pixels = _pixels(listing.targets, pipeline.healpix_order)
    find = partial(dataset_format.partition_path, root, pipeline, sector=sector)
    paths = list(for_each(find, pixels, root))
    there = present(dataset_format.directory(root, pipeline), paths)
    status.partitions = len(paths)
    status.partitions_missing = len(paths) - len(there)
    built = (path for path in paths if path in there)
    for receipt in for_each(dataset_format.read_receipt, built, root):
        _add(status, receipt)
    return status


def _add(status: SectorStatus, receipt: Receipt) -> None:
    status.written += receipt.written
    status.failures += receipt.failures
    status.moved += receipt.moved
    status.unknown_columns.update(receipt.unknown_columns)
    status.synthetic |= receipt.synthetic


def unplaced(targets: pa.Table) -> Iterator[Failure]:
    """Yield the failures of targets that are in no partition."""
    for row in targets.filter(pc.is_valid(targets["reason"])).to_pylist():
        yield Failure(
            id=row["id"],
            camera=row["camera"],
            ccd=row["ccd"],
            path=row["path"] or "",
            reason=row["reason"],
            detail=row["detail"],
        )


def _pixels(targets: pa.Table, order: int) -> Sequence[int]:
    healpix = targets["healpix_29"].drop_null().to_numpy()
    pixels: list[int] = np.unique(coarser(healpix, order)).tolist()
    return pixels
