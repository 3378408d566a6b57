"""Verifying a dataset: by itself, and with the archive that it came from."""

from __future__ import annotations

import tempfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.archive import Findings, Listing, RetryPolicy, Selection
from tessloom.building.opening import open_archive
from tessloom.building.plan import may_pass
from tessloom.building.progress import Progress
from tessloom.building.request import Request, parse_count
from tessloom.building.run import build_targets
from tessloom.building.workers import Workers
from tessloom.dataset.formats import find_format
from tessloom.dataset.listing_checks import targets_by_pixel
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.lock import unwritten
from tessloom.dataset.partition_checks import row_keys
from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE
from tessloom.dataset.storage import open_directory, store_failures
from tessloom.dataset.verification import Problem, Verification
from tessloom.dataset.verify import verify_dataset
from tessloom.errors import ArchiveError, DatasetError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tessloom.archive import ArchiveAddress
    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.partition_checks import Key
    from tessloom.dataset.receipt import Receipt
    from tessloom.dataset.storage import Place
    from tessloom.pipelines import Pipeline

# What was read from the disk should not wait for hours to be told.
_POLICY = RetryPolicy(give_up_after=60)
_GONE = "Keep it: it can't be had again."
_NEWER = (
    "If the archive has newer files, remove it and run the same build again to have what is there"
    " now."
)


def verify(
    directory: Place,
    *,
    against_archive: int = 0,
    archive: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    report: Callable[[int, int], None] = lambda _done, _files: None,
) -> Verification:
    """Read a dataset again, whole, and check that it is as it was written.

    Each file's check sum and its light curves are compared with its receipt, all files with the
    listings of what was asked for, and what stands beside them with the files. Damage is a
    finding, not an exception.

    Parameters
    ----------
    directory
        The dataset's.
    against_archive
        So many light curves, spread over the dataset by a hash of the id, are fetched again and
        compared bit for bit.
    archive
        From where; see `tessloom.build`. None: for each sector the archive that it was built from.
    say
        Called with what a person should know of the archive: that it is down.
    report
        Called after each file with how many of how many have been read.

    Raises
    ------
    RequestError
        There is no dataset, or no such archive.
    DatasetLockedError
        A build is writing to the directory.
    """
    root = open_directory(directory)
    number = against_archive and parse_count("against_archive", against_archive)
    with store_failures(root), unwritten(root):
        verification = verify_dataset(root, report=report)
        if not number:
            return verification
        comparison = _Comparison(root, archive, say)
        comparison.run(_choose(root, number, {problem.path for problem in verification.problems}))
    return replace(
        verification,
        compared=comparison.compared,
        problems=(*verification.problems, *comparison.problems),
        notes=(*verification.notes, *comparison.notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """What is to be compared of one (pipeline, sector).

    Attributes
    ----------
    archive
        From which the targets were listed.
    files
        Where they are, by pixel.
    """

    dataset_format: DatasetFormat
    pipeline: Pipeline
    sector: int
    archive: str
    targets: pa.Table
    files: dict[int, Path]


def _choose(root: Path, number: int, damaged: set[Path]) -> list[_Chosen]:
    """Choose light curves by a hash of their ids, other ones in each pipeline and sector."""
    dataset_format = find_format(root)
    assert dataset_format is not None  # noqa: S101 - it has been read
    candidates: list[_Chosen] = []
    hashed: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for pipeline in map(dataset_format.declare, PIPELINES.values()):
        files = _files(dataset_format, root, pipeline, damaged)
        for sector in dataset_format.sectors(root, pipeline):
            path = dataset_format.listing_path(root, pipeline, sector)
            if path in damaged or sector not in files:
                continue
            listing = read_listing_file(path)
            written = _written(pipeline, listing.targets, files[sector])
            salt = zlib.crc32(f"{pipeline.name} {sector}".encode()) << 31
            mixed = written["id"].to_numpy() ^ salt
            first = Selection(sample=number).by_number(mixed)
            candidates.append(
                _Chosen(
                    dataset_format=dataset_format,
                    pipeline=pipeline,
                    sector=sector,
                    archive=listing.archive,
                    targets=written.take(pa.array(first)),
                    files={pixel: path for pixel, (path, _) in files[sector].items()},
                )
            )
            hashed.append(mixed[first])
    if not candidates:
        return []
    positions = Selection(sample=number).by_number(np.concatenate(hashed))
    borders = np.cumsum([0, *map(len, hashed)])
    return [
        replace(chosen, targets=chosen.targets.take(pa.array(within - start)))
        for chosen, start, stop in zip(candidates, borders[:-1], borders[1:], strict=True)
        if len(within := positions[(positions >= start) & (positions < stop)])
    ]


def _files(
    dataset_format: DatasetFormat, root: Path, pipeline: Pipeline, damaged: set[Path]
) -> dict[int, dict[int, tuple[Path, Receipt]]]:
    """Return the sound files by sector and pixel."""
    found: dict[int, dict[int, tuple[Path, Receipt]]] = {}
    for path in dataset_format.files(root, pipeline):
        if path not in damaged:
            receipt = dataset_format.read_receipt(path)
            found.setdefault(receipt.sector, {})[receipt.pixel] = path, receipt
    return found


def _written(
    pipeline: Pipeline, targets: pa.Table, files: dict[int, tuple[Path, Receipt]]
) -> pa.Table:
    """Return the targets that are in files and are no failures there."""
    parts = [targets.slice(0, 0)]
    for pixel, rows in targets_by_pixel(pipeline, targets).items():
        if pixel not in files:
            continue
        failed = {(f.id, f.camera, f.ccd) for f in files[pixel][1].failures}
        names = zip(*(rows[name].to_pylist() for name in ("id", "camera", "ccd")), strict=True)
        parts.append(rows.filter(pa.array([name not in failed for name in names], pa.bool_())))
    return pa.concat_tables(parts).combine_chunks()


@dataclass
class _Comparison:
    """Light curves of a dataset and what the archive gives for them now."""

    root: Path
    archive: str | None
    say: Callable[[str], None]
    compared: int = 0
    not_of_files: int = 0  # a function of the user's made them
    unanswered: int = 0  # the archive did not give them, which may pass
    problems: list[Problem] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What was not compared, in a sentence."""
        notes = []
        if self.not_of_files:
            made = f"{self.not_of_files} light curves were made by a processing_fn"
            notes.append(f"{made}, and not compared with the archive's.")
        if self.unanswered:
            notes.append(
                f"{self.unanswered} light curves could not be compared: the archive did not give "
                "them, which may pass."
            )
        return notes

    def run(self, sample: list[_Chosen]) -> None:
        """Fetch the light curves of a sample and compare them."""
        with ExitStack() as stack:
            addresses: dict[str, ArchiveAddress] = {}
            for chosen in sample:
                name = self.archive or chosen.archive
                if name not in addresses:
                    found = open_archive(name, policy=_POLICY)
                    addresses[name] = stack.enter_context(found)
                for dataset_format, targets in self._by_format(chosen):
                    try:
                        self._compare(chosen, dataset_format, targets, addresses[name])
                    except ArchiveError as error:
                        self.say(str(error))
                        self.unanswered += len(targets)

    def _by_format(self, chosen: _Chosen) -> Iterator[tuple[DatasetFormat, pa.Table]]:
        """Yield targets together that are in files with the same columns."""
        parts: dict[DatasetFormat, list[pa.Table]] = {}
        for pixel, rows in targets_by_pixel(chosen.pipeline, chosen.targets).items():
            try:
                found = chosen.dataset_format.written_with(chosen.files[pixel], chosen.pipeline)
            except DatasetError:
                self.not_of_files += len(rows)
            else:
                parts.setdefault(found, []).append(rows)
        yield from ((found, pa.concat_tables(tables)) for found, tables in parts.items())

    def _compare(
        self,
        chosen: _Chosen,
        dataset_format: DatasetFormat,
        targets: pa.Table,
        address: ArchiveAddress,
    ) -> None:
        pipeline, sector = chosen.pipeline, chosen.sector
        with tempfile.TemporaryDirectory(prefix="tessloom-verify-") as folder:
            request = Request(
                root=Path(folder),
                dataset_format=dataset_format,
                sectors={pipeline: [sector]},
                selection=Selection(),
                workers=Workers(number=1),
                progress=_Said(self.say),
            )
            build_targets(request, address, Listing(pipeline, sector, targets, Findings()))
            for pixel, _, fresh in dataset_format.partitions(Path(folder), pipeline):
                self._compare_file(dataset_format, pipeline, chosen.files[pixel], fresh)

    def _compare_file(
        self, dataset_format: DatasetFormat, pipeline: Pipeline, path: Path, fresh: Path
    ) -> None:
        for failure in dataset_format.read_receipt(fresh).failures:
            if may_pass(failure.reason):
                self.unanswered += 1
                continue
            what = (
                f"has the light curve of {failure.id}, which the archive does not give any more "
                f"({failure.reason}: {failure.detail})"
            )
            self.problems.append(Problem(path=path, what=what, advice=_GONE))
        now: dict[Key, list[pa.RecordBatch]] = {}
        for key, row in _rows(dataset_format, pipeline, fresh):
            now.setdefault(key, []).append(row)
        for key, row in _rows(dataset_format, pipeline, path):
            if key in now:
                self.compared += 1
                # An object_id may be that of several light curves.
                differences = [_differences(row, other) for other in now[key]]
                if names := min(differences, key=len):
                    what = f"differs from the archive for {key[0]} in {', '.join(names)}"
                    self._differs(path, what)

    def _differs(self, path: Path, what: str) -> None:
        self.problems.append(Problem(path=path, what=what, advice=_NEWER))


class _Said(Progress):
    """Hands on what is said of the archive, and nothing else."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def say(self, text: str) -> None:
        """Hand on a message."""
        self._say(text)


def _rows(
    dataset_format: DatasetFormat, pipeline: Pipeline, path: Path
) -> Iterator[tuple[Key, pa.RecordBatch]]:
    for batch in dataset_format.read_rows(path, pipeline):
        keys, _ = row_keys(pipeline, batch)
        yield from ((key, batch.slice(index, 1)) for index, key in enumerate(keys))


def _differences(row: pa.RecordBatch, other: pa.RecordBatch) -> list[str]:
    """Return the columns in which two rows differ, by any bit."""
    return [name for name, a, b in _columns(row, other) if not _same_bits(a, b)]


def _columns(
    row: pa.RecordBatch, other: pa.RecordBatch
) -> Iterator[tuple[str, pa.Array, pa.Array]]:
    """Yield the columns of two rows, but for the one that tessloom has made."""
    for name in row.schema.names:
        if name == LIGHT_CURVE:
            one, two = row.column(name), other.column(name)
            for column in one.type:
                yield (
                    column.name,
                    one.field(column.name).flatten(),
                    two.field(column.name).flatten(),
                )
        elif name != HEALPIX:
            yield name, row.column(name), other.column(name)


def _same_bits(one: pa.Array, other: pa.Array) -> bool:
    if one.type != other.type or not one.is_null().equals(other.is_null()):
        return False
    if not pa.types.is_floating(one.type):
        return bool(one.equals(other))
    # A NaN is equal to one with the same bits.
    one, other = (pc.fill_null(values, 0).to_numpy() for values in (one, other))
    return bool(one.tobytes() == other.tobytes())
