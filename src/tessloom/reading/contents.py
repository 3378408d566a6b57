"""What a dataset holds, told by names, sizes and small files: no light-curve file is opened.

So 50,000 files take a second. What only their receipts tell, failures by their reasons, is
`dataset.status.read_status`'s.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tessloom.dataset.formats import find_format
from tessloom.dataset.layout import catalogue_directory, index_directory
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.storage import (
    for_each,
    is_local,
    open_directory,
    store_failures,
    store_of,
)
from tessloom.dataset.summary import size_text
from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.storage import Place
    from tessloom.pipelines import Pipeline


@dataclass(kw_only=True)
class SectorContents:
    """What there is of one (pipeline, sector).

    Attributes
    ----------
    targets
        Light curves that were asked for.
    files, bytes
        Of light curves. In the format hdf5 a sector's files are not told by their names.
    """

    sector: int
    targets: int
    files: int = 0
    bytes: int = 0


@dataclass(kw_only=True)
class PipelineContents:
    """What there is of one pipeline.

    Attributes
    ----------
    light_curves
        That there were when the last build ended; None: the format does not say.
    stars
        Different ones among them; one on the border of two partitions counts twice.
    synthetic
        Whether the demo archive made any; None: the format does not say.
    """

    pipeline: str
    title: str
    format: str
    targets: int = 0
    files: int = 0
    bytes: int = 0
    light_curves: int | None = None
    stars: int | None = None
    synthetic: bool | None = None
    sectors: list[SectorContents] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def read_contents(place: Place) -> list[PipelineContents]:
    """Read what a dataset holds, a value for each pipeline.

    Raises
    ------
    RequestError
        There is no dataset.
    DatasetError
        A file is damaged.
    """
    root = open_directory(place)
    with store_failures(root):
        found = find_format(root)
        if found is None:
            raise RequestError(f"there is no tessloom dataset in {root}")
        declared = [found.declare(pipeline) for pipeline in PIPELINES.values()]
        sectors = [(each, found.sectors(root, each)) for each in declared]
        return [_read(found, root, each, numbers) for each, numbers in sectors if numbers]


def describe(contents: Sequence[PipelineContents]) -> Iterator[str]:
    """Yield the lines of a table."""
    row = "{:<9} {:>7} {:>11} {:>12} {:>11} {:>8} {:>9}".format
    yield row("pipeline", "sector", "targets", "light curves", "stars", "files", "size")
    for each in contents:
        for sector in each.sectors:
            files = f"{sector.files:,}" if sector.files else "-"
            size = size_text(sector.bytes) if sector.files else "-"
            yield row(each.pipeline, sector.sector, f"{sector.targets:,}", "", "", files, size)
        yield row(
            each.pipeline,
            "all",
            f"{each.targets:,}",
            "-" if each.light_curves is None else f"{each.light_curves:,}",
            "-" if each.stars is None else f"{each.stars:,}",
            f"{each.files:,}",
            size_text(each.bytes),
        )
    for each in contents:
        if each.light_curves is not None and each.light_curves < each.targets:
            missing = each.targets - each.light_curves
            yield f"{each.pipeline}: {missing:,} of the targets missing: tessloom status tells why"
        if each.synthetic:
            yield f"{each.pipeline}: synthetic data, made by the demo archive"
    if any(each.light_curves is None for each in contents):
        yield "How many of the targets are there, their files tell: tessloom status"


def is_synthetic(root: Path, pipeline: Pipeline) -> bool:
    """Return whether the demo archive made light curves of a catalogue."""
    return _says_synthetic(_properties(catalogue_directory(root, pipeline)))


def _read(
    dataset_format: DatasetFormat, root: Path, pipeline: Pipeline, numbers: Sequence[int]
) -> PipelineContents:
    found = PipelineContents(
        pipeline=pipeline.name, title=pipeline.title, format=dataset_format.name
    )
    listings = [dataset_format.listing_path(root, pipeline, number) for number in numbers]
    sectors = {
        number: SectorContents(sector=number, targets=targets)
        for number, targets in zip(numbers, for_each(_rows, listings, root), strict=True)
    }
    found.sectors = list(sectors.values())
    found.targets = sum(sector.targets for sector in found.sectors)
    only = next(iter(sectors)) if len(sectors) == 1 else None
    for path, size in _sizes(dataset_format.directory(root, pipeline)):
        place = dataset_format.place(root, pipeline, path)
        if place is None:
            continue
        found.files += 1
        found.bytes += size
        sector = sectors.get(place[1] or only or 0)
        if sector is not None and (dataset_format.name == "parquet" or only is not None):
            sector.files += 1
            sector.bytes += size
    if dataset_format.name == "parquet":
        _read_properties(found, root, pipeline)
    return found


def _read_properties(found: PipelineContents, root: Path, pipeline: Pipeline) -> None:
    catalogue = _properties(catalogue_directory(root, pipeline))
    index = _properties(index_directory(root, pipeline, pipeline.id_name))
    if "hats_nrows" in catalogue:
        found.light_curves = int(catalogue["hats_nrows"])
        found.synthetic = _says_synthetic(catalogue)
    if "hats_nrows" in index:
        found.stars = int(index["hats_nrows"])


def _says_synthetic(properties: Mapping[str, str]) -> bool:
    return "SYNTHETIC" in properties.get("obs_title", "")


def _properties(directory: Path) -> dict[str, str]:
    try:
        text = (directory / "hats.properties").read_text(encoding="utf-8")
    except FileNotFoundError:  # before the first build has ended
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


def _rows(path: Path) -> int:
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


def _sizes(directory: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files below a directory and their bytes; of a store in one listing."""
    if is_local(directory):
        for folder, _, names in os.walk(directory):
            for name in names:
                path = directory.__class__(folder, name)
                yield path, path.stat().st_size
        return
    store, start = store_of(directory)
    for name, entry in store.find(start, detail=True).items():
        yield directory / name.removeprefix(f"{start}/"), int(entry.get("size") or 0)
