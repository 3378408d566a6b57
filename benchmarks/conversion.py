"""A folder of FITS files made a dataset, against the way of the existing builder.

*Ours* is the command ``tessloom build``, start-up and everything after the last light curve
included, with all columns for Parquet and the existing builder's own for HDF5. The existing way
(`references.existing_way`) is measured on fewer files in this process, its imports done, and only
its own columns are asked of it. Both are CPU seconds for each file, over all threads: what one
core can do.

Start-up is spread over 20,000 files, as the goals have it, also where fewer are there because
20,000 would fill the disk: what the build of a folder with one light curve costs is measured too,
and taken for start-up.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fields import ERAS, HALF_HOUR, LONG, light_curve_files
from measuring import cpu_seconds, noise, ratio, take_turns
from processes import TESSLOOM, Finished, on_core, run
from references import by_pixel, existing_way
from table import Row, Skipped

from tessloom.building.partition import MOST_BYTES, MOST_ROWS
from tessloom.dataset.parquet import ParquetWriter
from tessloom.dataset.rows import RowFormat
from tessloom.fits import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fields import Field
    from table import Line

    from tessloom.dataset.rows import Row as LightCurveRow

_PARQUET, _CONTIGUOUS = "Parquet", "contiguous HDF5"
_GOALS = {
    _PARQUET: {
        ("tglc", HALF_HOUR): 25.0,
        ("qlp", HALF_HOUR): 18.0,
        ("spoc", HALF_HOUR): 25.0,
        ("tglc", LONG): 6.0,
        ("qlp", LONG): 3.5,
        ("spoc", LONG): 8.0,
    },
    _CONTIGUOUS: {("tglc", HALF_HOUR): 50.0, ("qlp", HALF_HOUR): 25.0, ("spoc", HALF_HOUR): 100.0},
}
_LARGEST_SHARE = {("tglc", HALF_HOUR): 45.0}  # of the raw columns, in per cent
_ENCODED = 350.0  # MB/s
_WORKERS = 1.8
_FILES = 20_000  # over which start-up is spread


def conversion(field: Field, root: Path, rounds: int, existing_files: int) -> Iterator[Line]:
    """Yield the lines on folder to dataset: Parquet, and contiguous HDF5 where there is one."""
    existing = _Existing(field, root, min(existing_files, field.files))
    one = replace(field, files=1)
    start = Build(one, one.write(root.parent / "one"))
    builds = {_PARQUET: Build(field, root)}
    if "--contiguous" in run([TESSLOOM, "build", "--help"]).output:
        builds[_CONTIGUOUS] = Build(field, root, "--format", "hdf5", "--contiguous")
    works: dict[str, Callable[[], float]] = {"existing way": existing.cpu, "start-up": start.cpu}
    works |= {name: build.cpu for name, build in builds.items()}
    costs = take_turns(rounds, works)
    start_up = min(costs["start-up"])
    too_much = start_up / field.files - start_up / _FILES
    for name, columns in ((_PARQUET, "all columns"), (_CONTIGUOUS, "its columns")):
        what = f"folder to {name}: {field.name}, {ERAS[field.sector]}, {columns}"
        if name not in builds:
            yield Skipped(what, "tessloom build does not know --contiguous yet")
            continue
        costs["ours"] = [cost - too_much for cost in costs[name]]
        found = ratio(costs, "existing way", "ours")
        wall = min(finished.wall for finished in builds[name].runs) / field.files
        yield Row(
            what=what,
            reference="the existing builder's way",
            reached=found.value,
            unit="times faster",
            goal=_GOALS[name].get((field.name, field.sector)),
            noise=found.noise,
            figures={
                "existing, µs a file": 1e6 * min(costs["existing way"]),
                "ours, µs a file": 1e6 * min(costs["ours"]),
                "start-up, s": start_up,
                "measured, µs a file": 1e6 * min(costs[name]),
                "measured, wall µs a file": 1e6 * wall,
                "files": field.files,
                "files of the existing way": existing.files,
            },
        )
    yield _size(field, root, builds[_PARQUET].size)


def _size(field: Field, root: Path, size: int) -> Row:
    """Return the line on the size of Parquet files against that of the FITS tables."""
    raw = sum(size for size, _ in _light_curves(field, root, field.files))
    return Row(
        what=f"size of the Parquet files: {field.name}, {ERAS[field.sector]}",
        reference="the FITS columns' bytes",
        reached=100 * size / raw,
        unit="%",
        goal=_LARGEST_SHARE.get((field.name, field.sector)),
        at_most=True,
        figures={"bytes a light curve": size / field.files, "raw bytes": raw / field.files},
    )


class _Existing:
    """The existing builder's way with the first files of a field, to be run several times."""

    def __init__(self, field: Field, root: Path, files: int) -> None:
        self.files = files
        self._pipeline = field.pipeline
        self._pixels = by_pixel(field, root, files)
        self._root = root

    def cpu(self) -> float:
        """Run it; return CPU seconds for each light curve."""
        with tempfile.TemporaryDirectory(dir=self._root.parent) as out:
            convert = partial(existing_way, self._pipeline, self._pixels, Path(out))
            return cpu_seconds(convert) / self.files


def encoding(field: Field, root: Path, rounds: int) -> Iterator[Row]:
    """Yield the line on the encoder: `RowFormat.batch` and `ParquetWriter`, in one row group."""
    row_format = RowFormat(field.pipeline)
    largest = max(size for size, _ in _light_curves(field, root, MOST_ROWS))
    group = min(MOST_ROWS, MOST_BYTES // largest, field.files)
    sizes, rows = zip(*_light_curves(field, root, group), strict=True)
    raw = sum(sizes)
    healpix = np.arange(len(rows))

    def encode() -> None:
        with tempfile.TemporaryDirectory(dir=root.parent) as out:
            writer = ParquetWriter(Path(out) / "rows.parquet", row_format.schema)
            writer.write(row_format.batch(rows, healpix, *row_format.positions(rows)))
            writer.abandon()

    encode()
    costs = take_turns(rounds, {"encoder": lambda: cpu_seconds(encode)})["encoder"]
    yield Row(
        what=f"encoder alone: {field.name}, {ERAS[field.sector]}",
        reached=raw / min(costs) / 1e6,
        unit="MB/s",
        goal=_ENCODED if field.sector == LONG else None,
        noise=noise(costs),
        figures={"µs a light curve": 1e6 * min(costs) / len(rows), "light curves": len(rows)},
    )


def workers(field: Field, root: Path, rounds: int) -> Iterator[Row]:
    """Yield the lines on two workers against one, in wall time.

    One worker writes on a thread of its own, so it takes more than one core where there are more;
    kept on one core it is what the second worker doubles.
    """
    one, two = Build(field, root), Build(field, root, "--workers", "2")

    def alone() -> float:
        with on_core(0):
            return one.wall()

    works = {"one": one.wall, "two": two.wall, "one, on one core": alone}
    costs = take_turns(rounds, works)
    figures = {f"{name}, s": min(values) for name, values in costs.items()}
    for name, goal in (("one, on one core", _WORKERS), ("one", None)):
        found = ratio(costs, name, "two")
        yield Row(
            what=f"two workers, folder to Parquet: {field.name}",
            reference=f"{name.replace('one', 'one worker', 1)}, wall time",
            reached=found.value,
            unit="times faster",
            goal=goal,
            noise=found.noise,
            figures=figures if goal else {},
        )


class Build:
    """A command ``tessloom build`` from a folder, to be run several times.

    Attributes
    ----------
    runs
        What each run cost.
    size
        Bytes of the light-curve files that the last run wrote.
    """

    def __init__(self, field: Field, archive: Path | str, *options: str) -> None:
        self._field = field
        self._archive = archive
        self._options = options
        self.runs: list[Finished] = []
        self.size = 0

    def cpu(self) -> float:
        """Run it; return CPU seconds for each light curve."""
        return self._run().cpu / self._field.files

    def wall(self) -> float:
        """Run it; return the seconds that it took."""
        return self._run().wall

    def _run(self) -> Finished:
        with tempfile.TemporaryDirectory() as out:
            command = build_command(self._field, self._archive, out, *self._options)
            self.runs.append(run(command))
            self.size = light_curve_bytes(Path(out))
        return self.runs[-1]


def build_command(field: Field, archive: Path | str, out: Path | str, *options: str) -> list[str]:
    """Return the command that builds a field's sector with one worker, unless options say other."""
    sector = str(field.sector)
    command = [TESSLOOM, "build", field.name, "--sector", sector, "--archive", str(archive)]
    return [*command, "--out", str(out), "--workers", "1", *options]


def light_curve_bytes(out: Path) -> int:
    """Return the bytes of the light-curve files below a dataset's directory."""
    patterns = ("*/catalog/dataset/Norder=*/**/s*.parquet", "*/healpix=*/*.hdf5")
    return sum(path.stat().st_size for pattern in patterns for path in out.glob(pattern))


def _light_curves(field: Field, root: Path, count: int) -> Iterator[tuple[int, LightCurveRow]]:
    """Yield the first light curves: bytes of the FITS table, and the row of the dataset."""
    row_format = RowFormat(field.pipeline)
    decoder = Decoder(row_format.wanted)
    for path in itertools.islice(light_curve_files(root), count):
        match = field.pipeline.file_name.search(path.name)
        assert match  # noqa: S101 - a light curve's name
        curve = decoder.decode(path.read_bytes())
        row = row_format.row(curve, field.sector, int(match["id"]), 0, 0)
        yield curve.records.nbytes, row
