"""What a dataset has of one pipeline, in numbers: for its card and its description for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.storage import is_local, store_of
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tessloom.dataset.columns import DescribedColumn
    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline


@dataclass
class SectorSummary:
    """One sector of a pipeline.

    Attributes
    ----------
    asked, written
        Light curves that were asked for, and how many of them there are.
    size
        Of the files, bytes.
    failures
        How many could not be had, by reason.
    """

    asked: int = 0
    written: int = 0
    size: int = 0
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a dataset has of one pipeline.

    Attributes
    ----------
    sectors
        By number, also those without a light curve.
    stars
        Different stars; None where nobody counted.
    synthetic
        Whether any light curve is of the demo archive.
    columns
        Of a row.
    """

    pipeline: Pipeline
    sectors: Mapping[int, SectorSummary]
    stars: int | None
    synthetic: bool
    columns: Sequence[DescribedColumn]

    @property
    def written_sectors(self) -> list[int]:
        """The sectors with at least one light curve: readers fail at a split without."""
        return [number for number, sector in self.sectors.items() if sector.written]

    @property
    def total(self) -> SectorSummary:
        """All sectors together."""
        total = SectorSummary()
        for sector in self.sectors.values():
            total.asked += sector.asked
            total.written += sector.written
            total.size += sector.size
            total.failures += sector.failures
        return total


def summarise_sectors(
    partitions: Iterable[tuple[Path, Receipt]],
    listings: Mapping[int, Path],
    sizes: Mapping[Path, int],
) -> dict[int, SectorSummary]:
    """Sum up partitions by sector.

    Parameters
    ----------
    listings
        By sector, the files that say what was asked for.
    """
    sectors: dict[int, SectorSummary] = {}
    for path, receipt in partitions:
        sector = sectors.setdefault(receipt.sector, SectorSummary())
        sector.asked += receipt.asked
        sector.written += receipt.written
        sector.size += sizes.get(path, 0)
        sector.failures.update(failure.reason for failure in receipt.failures)
    for number, path in listings.items():
        try:
            reasons = read_listing_file(path, columns=["reason"]).targets["reason"]
        except DatasetError:
            continue  # what was asked for is known from the partitions, but for what has no place
        sector = sectors.setdefault(number, SectorSummary())
        # Partitions that are still to be built, and targets without a place on the sky.
        sector.asked = len(reasons)
        sector.failures.update(reasons.drop_null().to_pylist())
    return dict(sorted(sectors.items()))


def file_sizes(directory: Path, paths: Iterable[Path]) -> dict[Path, int]:
    """Return the sizes of files below a directory in bytes; in a store by one listing."""
    if is_local(directory):
        return {path: path.stat().st_size for path in paths}
    store, start = store_of(directory)
    found = store.find(start, detail=True)
    return {
        path: int(found[name]["size"]) for path in paths if (name := store_of(path)[1]) in found
    }


def size_text(size: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:  # what is above is not rounded to "1e+03"
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
