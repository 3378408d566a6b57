"""What stands beside the partitions of a HATS catalogue, which a build writes when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.index import index_part
from tessloom.dataset.layout import (
    catalogue_directory,
    index_directory,
    listing_path,
    sectors,
)
from tessloom.dataset.margins import COLLECTION
from tessloom.dataset.storage import present
from tessloom.dataset.summary import file_sizes

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.pipelines import Pipeline

AGAIN = "run the same build again"
# Among the catalogue's properties: the sectors' listings, and how large each is.
_LISTINGS = "tessloom_listings"


def unpublished(root: Path, pipeline: Pipeline, light_curves: int) -> list[str]:
    """Return what is missing beside the partitions, or does not know them, a sentence each.

    Parameters
    ----------
    light_curves
        That the partitions hold.
    """
    directory = root / pipeline.name
    files = list(_files(root, pipeline))
    there = present(directory, files)
    if not there:
        return [f"{pipeline.name}: the first build was stopped before it wrote the index: {AGAIN}"]
    found = []
    if missing := [str(path.relative_to(directory)) for path in files if path not in there]:
        are = "are" if len(missing) > 1 else "is"
        found.append(
            f"{pipeline.name}: {', '.join(missing)} {are} missing: {AGAIN}, which writes anew what "
            "is beside the light curves"
        )
    known = known_light_curves(root, pipeline)
    if known is not None and known < light_curves:
        found.append(
            f"{pipeline.name}: the catalogue and the index know {known} of {light_curves} light "
            f"curves, because a build was stopped before it wrote them: {AGAIN}"
        )
    return found


def lost_listing(path: Path, sector: int) -> str:
    """Return what to say of a sector's listing that is not there."""
    return (
        f"{path} is missing, so nothing says whether there are all light curves of sector "
        f"{sector}: {AGAIN}"
    )


def known_light_curves(root: Path, pipeline: Pipeline) -> int | None:
    """Return how many light curves there were when the last build ended; None before that."""
    number = read_properties(catalogue_directory(root, pipeline)).get("hats_nrows", "")
    return int(number) if number.isdecimal() else None


def listing_properties(root: Path, pipeline: Pipeline) -> dict[str, str]:
    """Return what a catalogue says of the listings of which it has all light curves."""
    sizes = _listing_sizes(root, pipeline)
    return {_LISTINGS: " ".join(f"{sector}/{size}" for sector, size in sizes.items())}


def unpublished_sectors(root: Path, pipeline: Pipeline) -> tuple[int, ...]:
    """Return the sectors of which a build began, and did not end by writing the index."""
    known = read_properties(catalogue_directory(root, pipeline)).get(_LISTINGS, "").split()
    sizes = _listing_sizes(root, pipeline)
    return tuple(sector for sector, size in sizes.items() if f"{sector}/{size}" not in known)


def _listing_sizes(root: Path, pipeline: Pipeline) -> dict[int, int]:
    paths = {listing_path(root, pipeline, number): number for number in sectors(root, pipeline)}
    if not paths:
        return {}
    sizes = file_sizes(next(iter(paths)).parent, paths)
    return {number: sizes[path] for path, number in paths.items()}


def read_properties(directory: Path) -> dict[str, str]:
    """Return the properties of a catalogue or an index; none before the first build has ended."""
    try:
        text = (directory / "hats.properties").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


def _files(root: Path, pipeline: Pipeline) -> list[Path]:
    catalogue = catalogue_directory(root, pipeline)
    indexes = [index_directory(root, pipeline, column) for column in pipeline.indexes]
    names = ("hats.properties", "properties")
    return [
        root / pipeline.name / COLLECTION,
        catalogue / "partition_info.csv",
        catalogue / "dataset" / "_common_metadata",
        *(directory / name for directory in (catalogue, *indexes) for name in names),
        *(index_part(directory) for directory in indexes),
    ]
