"""Reading a whole dataset again, and comparing it with all that it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tessloom.dataset.formats import existing_format
from tessloom.dataset.listing_checks import check_targets, targets_by_pixel
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.partition_checks import CheckedFile, check_file
from tessloom.dataset.storage import names_below
from tessloom.dataset.verification import MOVE_AWAY, Missing, Problem, Verification
from tessloom.errors import DatasetError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.pipelines import Pipeline

__all__ = ["Verification", "verify_dataset"]

_UNKNOWN = -1  # the sector of a file that does not tell it
_UNASKED = "holds what no listing asks for"


def verify_dataset(
    root: Path, *, report: Callable[[int, int], None] = lambda _done, _files: None
) -> Verification:
    """Read every file of a dataset whole, and check that it is as it was written.

    Damage is a finding, not an exception. Beside the ids and one sector's listing no more than a
    row group is in memory at a time.

    Parameters
    ----------
    report
        Called after each file with how many of how many are done.

    Raises
    ------
    RequestError
        There is no dataset.
    """
    dataset_format = existing_format(root)
    reading = _Reading(root, dataset_format)
    pipelines = [dataset_format.declare(pipeline) for pipeline in PIPELINES.values()]
    count = sum(len(dataset_format.files(root, pipeline)) for pipeline in pipelines)
    for pipeline in pipelines:
        files = []
        for file in reading.read(pipeline):
            files.append(file)
            report(reading.files, count)
        if files:
            reading.add(dataset_format.check_catalogue(root, pipeline, files))
        reading.add(_left_over(dataset_format.directory(root, pipeline)))
    return reading.result()


@dataclass
class _Reading:
    """A dataset that is being read, and what has been found so far."""

    root: Path
    dataset_format: DatasetFormat
    files: int = 0
    light_curves: int = 0
    bytes_read: int = 0
    without_checksum: int = 0
    problems: list[Problem] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, found: Iterable[Problem | Missing | str]) -> None:
        """Keep what a check has found."""
        for finding in found:
            if isinstance(finding, Problem):
                self.problems.append(finding)
            elif isinstance(finding, Missing):
                self.missing.append(finding)
            else:
                self.notes.append(finding)

    def read(self, pipeline: Pipeline) -> Iterator[CheckedFile]:
        """Check a pipeline's files sector by sector; yield each as it is done."""
        places = self._places(pipeline)
        unknown = {pixel for pixel, _ in places.get(_UNKNOWN, ())}
        for pixel, path in places.pop(_UNKNOWN, ()):
            yield self._check(pipeline, pixel, _UNKNOWN, path)
        for sector in sorted({*places, *self.dataset_format.sectors(self.root, pipeline)}):
            targets = self._targets(pipeline, sector)
            there: dict[int, Path] = {}
            for pixel, path in places.get(sector, ()):
                file = self._check(pipeline, pixel, sector, path)
                if pixel in there:
                    self.add([Problem(path=path, what=f"holds the same as {there[pixel]}")])
                elif targets is not None and pixel not in targets:
                    self.add([Problem(path=path, what=_UNASKED)])
                elif targets is not None:
                    self.add(check_targets(file, pipeline, targets[pixel]))
                there[pixel] = path
                file.keys.clear()
                yield file
            # A file that does not tell its sector may be any sector's.
            self._miss(pipeline, sector, targets or {}, there.keys() | unknown)

    def result(self) -> Verification:
        """Return all that was found."""
        if self.without_checksum:
            self.notes.append(
                f"{self.without_checksum} files have no check sum: an older tessloom wrote them."
            )
        return Verification(
            directory=self.root,
            files=self.files,
            light_curves=self.light_curves,
            bytes_read=self.bytes_read,
            problems=tuple(self.problems),
            missing=tuple(self.missing),
            notes=tuple(self.notes),
        )

    def _places(self, pipeline: Pipeline) -> dict[int, list[tuple[int, Path]]]:
        """Return files with their pixels by sector; tell of those that are no partitions."""
        places: dict[int, list[tuple[int, Path]]] = {}
        for path in self.dataset_format.files(self.root, pipeline):
            place = self.dataset_format.place(self.root, pipeline, path)
            if place is None:
                what = "is no partition of a dataset"
                self.add([Problem(path=path, what=what, advice=MOVE_AWAY)])
                continue
            pixel, sector = place
            if sector is None:
                try:
                    sector = self.dataset_format.read_receipt(path).sector
                except DatasetError:
                    sector = _UNKNOWN
            places.setdefault(sector, []).append((pixel, path))
        return places

    def _check(self, pipeline: Pipeline, pixel: int, sector: int, path: Path) -> CheckedFile:
        file = check_file(self.dataset_format, pipeline, pixel, sector, path)
        self.files += 1
        self.bytes_read += _size(path)
        self.light_curves += file.rows
        self.without_checksum += file.receipt is not None and not file.receipt.checksum
        self.problems += file.problems
        return file

    def _targets(self, pipeline: Pipeline, sector: int) -> dict[int, pa.Table] | None:
        """Return what a sector's listing asks for, by pixel; None if it can't be read."""
        path = self.dataset_format.listing_path(self.root, pipeline, sector)
        try:
            return targets_by_pixel(pipeline, read_listing_file(path).targets)
        except DatasetError as error:
            self.add([Problem.of(path, error)])
            return None

    def _miss(
        self, pipeline: Pipeline, sector: int, targets: dict[int, pa.Table], there: set[int]
    ) -> None:
        self.add(
            Missing(pipeline=pipeline.name, sector=sector, pixel=pixel, light_curves=len(asked))
            for pixel, asked in targets.items()
            if pixel not in there
        )


def _left_over(directory: Path) -> Iterable[str]:
    count = sum(PurePosixPath(name).match(".*.partial") for name in names_below(directory))
    if count:
        yield (
            f"{directory} has {count} files that a build left half written; no reader sees them, "
            "and the next build removes them."
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
