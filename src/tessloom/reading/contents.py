"""What a dataset holds, told by names, sizes and small files: no light curve is read.

So 50,000 files take a second. Where files are few, their receipts and ids are read too. Failures
by their reasons are `dataset.status.read_status`'s.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.formats import existing_format
from tessloom.dataset.layout import catalogue_directory, index_directory
from tessloom.dataset.local_files import files_below
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.published import lost_listing, read_properties
from tessloom.dataset.storage import for_each, is_local, open_directory, store_failures, store_of
from tessloom.dataset.summary import size_text
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.receipt import Receipt
    from tessloom.dataset.storage import Place
    from tessloom.pipelines import Pipeline

# So many files are opened and counted within a few seconds.
_FEW = 1000


class _File(NamedTuple):
    """A file of light curves; its sector is None where the name does not tell."""

    path: Path
    sector: int | None
    size: int
    time: float


@dataclass(kw_only=True)
class SectorContents:
    """What there is of one (pipeline, sector).

    Attributes
    ----------
    targets
        Light curves that were asked for; 0 if that is lost.
    files, bytes
        Of light curves; None for many files in the format hdf5, whose names need not tell.
    light_curves, stars
        As of `PipelineContents`.
    """

    sector: int
    targets: int
    files: int | None = None
    bytes: int | None = None
    light_curves: int | None = None
    stars: int | None = None


@dataclass(kw_only=True)
class PipelineContents:
    """What there is of one pipeline.

    Attributes
    ----------
    light_curves
        How many there are; None: the files are many, and newer than what the last build counted.
    stars
        Different ones among them; None in the format hdf5, whose ids are not the star's alone. Of
        many files, one on the border of two partitions counts twice.
    synthetic
        Whether the demo archive made any; None: as of `light_curves`.
    unpublished
        See `dataset.status.SectorStatus`.
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
    unpublished: list[str] = field(default_factory=list)
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
        found = existing_format(root)
        declared = [found.declare(pipeline) for pipeline in PIPELINES.values()]
        sectors = [(each, found.sectors(root, each)) for each in declared]
        return [_read(found, root, each, numbers) for each, numbers in sectors if numbers]


def describe(contents: Sequence[PipelineContents]) -> Iterator[str]:
    """Yield the lines of a table."""
    row = "{:<9} {:>7} {:>11} {:>12} {:>11} {:>8} {:>9}".format
    yield row("pipeline", "sector", "targets", "light curves", "stars", "files", "size")
    for each in contents:
        for sector in each.sectors:
            yield row(each.pipeline, sector.sector, *_cells(sector))
        yield row(each.pipeline, "all", *_cells(each))
    for each in contents:
        if each.light_curves is not None and each.light_curves < each.targets:
            missing = each.targets - each.light_curves
            yield f"{each.pipeline}: {missing:,} of the targets missing: tessloom status tells why"
        yield from each.unpublished
        if each.synthetic:
            yield f"{each.pipeline}: synthetic data, made by the demo archive"
    if any(each.light_curves is None for each in contents):
        yield "How many of the targets are there, their files tell: tessloom status"


def is_synthetic(root: Path, pipeline: Pipeline) -> bool:
    """Return whether the demo archive made light curves of a catalogue."""
    return _says_synthetic(read_properties(catalogue_directory(root, pipeline)))


def _cells(of: SectorContents | PipelineContents) -> Iterator[str]:
    for number in (of.targets, of.light_curves, of.stars):
        yield "-" if number is None else f"{number:,}"
    yield "-" if of.files is None else f"{of.files:,}"
    yield "-" if of.bytes is None else size_text(of.bytes)


def _read(
    dataset_format: DatasetFormat, root: Path, pipeline: Pipeline, listed: Sequence[int]
) -> PipelineContents:
    found = PipelineContents(
        pipeline=pipeline.name, title=pipeline.title, format=dataset_format.name
    )
    files = [
        _File(path, place[1], size, time)
        for path, size, time in _files(dataset_format.directory(root, pipeline))
        if (place := dataset_format.place(root, pipeline, path)) is not None
    ]
    listings = [dataset_format.listing_path(root, pipeline, number) for number in listed]
    targets = dict(zip(listed, for_each(_rows, listings, root), strict=True))
    for number in sorted({*listed, *(file.sector for file in files if file.sector is not None)}):
        found.sectors.append(SectorContents(sector=number, targets=targets.get(number, 0)))
        if number not in targets:
            path = dataset_format.listing_path(root, pipeline, number)
            found.unpublished.append(lost_listing(path, number))
    found.targets = sum(sector.targets for sector in found.sectors)
    # A store would be asked about each file.
    if len(files) <= _FEW and (is_local(root) or dataset_format.name != "parquet"):
        files = _count(found, dataset_format, root, pipeline, files)
    elif dataset_format.name == "parquet":
        _trust(found, root, pipeline, files)
    _add_up(found, files)
    if files:
        known = found.light_curves or 0
        found.unpublished += dataset_format.unpublished(root, pipeline, known)
    return found


def _count(
    found: PipelineContents,
    dataset_format: DatasetFormat,
    root: Path,
    pipeline: Pipeline,
    files: Sequence[_File],
) -> list[_File]:
    """Count light curves and stars in the files, and return these with their sectors."""

    def read(file: _File) -> tuple[Receipt, pa.ChunkedArray | None]:
        receipt = dataset_format.read_receipt(file.path)
        if dataset_format.name != "parquet":
            return receipt, None
        with parquet_file(file.path) as opened:
            return receipt, opened.read([pipeline.id_name])[pipeline.id_name]

    read_files = list(for_each(read, files, root))
    parts: list[SectorContents | PipelineContents] = [found, *found.sectors]
    for part in parts:
        number = part.sector if isinstance(part, SectorContents) else None
        own = [pair for pair in read_files if number in (None, pair[0].sector)]
        part.light_curves = sum(receipt.written for receipt, _ in own)
        if dataset_format.name == "parquet":
            chunks = [chunk for _, ids in own if ids is not None for chunk in ids.chunks]
            part.stars = pc.count_distinct(pa.chunked_array(chunks, pa.int64())).as_py()
    found.synthetic = any(receipt.synthetic for receipt, _ in read_files)
    return [
        file._replace(sector=receipt.sector)
        for file, (receipt, _) in zip(files, read_files, strict=True)
    ]


def _trust(found: PipelineContents, root: Path, pipeline: Pipeline, files: Sequence[_File]) -> None:
    """Take the numbers that the last build has left, unless files are newer."""
    catalogue = read_properties(catalogue_directory(root, pipeline))
    index = read_properties(index_directory(root, pipeline, pipeline.id_name))
    found.synthetic = _says_synthetic(catalogue)
    counted = catalogue_directory(root, pipeline) / "hats.properties"
    if "hats_nrows" not in catalogue or counted.stat().st_mtime < max(f.time for f in files):
        return
    found.light_curves = int(catalogue["hats_nrows"])
    found.stars = int(index["hats_nrows"]) if "hats_nrows" in index else None
    if found.light_curves == found.targets:
        for sector in found.sectors:
            sector.light_curves = sector.targets


def _says_synthetic(properties: Mapping[str, str]) -> bool:
    return "SYNTHETIC" in properties.get("obs_title", "")


def _add_up(found: PipelineContents, files: Sequence[_File]) -> None:
    """Sum up sizes, sector by sector if all files tell theirs."""
    found.files, found.bytes = len(files), sum(file.size for file in files)
    told = len(found.sectors) == 1 or all(file.sector is not None for file in files)
    for sector in found.sectors if told else ():
        own = [file for file in files if file.sector in (None, sector.sector)]
        sector.files, sector.bytes = len(own), sum(file.size for file in own)


def _rows(path: Path) -> int:
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


def _files(directory: Path) -> Iterator[tuple[Path, int, float]]:
    """Yield the files below a directory, their bytes and times; of a store in one listing.

    A store tells of times in many ways: there they are 0.
    """
    if is_local(directory):
        for path in files_below(directory):
            status = path.stat()
            yield path, status.st_size, status.st_mtime
        return
    store, start = store_of(directory)
    for name, entry in store.find(start, detail=True).items():
        yield directory / name.removeprefix(f"{start}/"), int(entry.get("size") or 0), 0
