"""A dataset opened: stars by id, cones, batches for training, against pyarrow alone.

*pyarrow alone* is what somebody does who knows the files' layout and nothing of tessloom: a filter
over all files for a star or a box on the sky, and row groups one after the other for training.

All times are by the clock, of one process; *cold* is with a dataset just opened and its files no
longer in the system's cache.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from conversion import build_command
from measuring import cpu_seconds, ratio, take_turns
from processes import run
from table import Row, Skipped

import tessloom
from tessloom.reading.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fields import Field
    from table import Line

    from tessloom.reading import Catalogue

_STARS = 20
_RADIUS = 0.2  # degrees
# Of bare iteration's speed.
_TRAINING_SHARE = 80.0
_WORKERS = 2


def opened(field: Field, root: Path, rounds: int) -> Iterator[Line]:
    """Yield the lines on one dataset of a field."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        run(build_command(field, root, out))
        os.sync()  # what is not on the disk yet can't be dropped from the cache
        yield from _finding(field, out, rounds)
        yield from _training(field, out, rounds)


def _finding(field: Field, out: Path, rounds: int) -> Iterator[Row]:
    files = out / field.name / "catalog" / "dataset"
    catalogue = tessloom.open(out)[field.name]
    rows = catalogue.select(["tic_id", "ra", "dec"]).to_arrow()
    stars = rows["tic_id"].to_pylist()[:: max(1, len(rows) // _STARS)][:_STARS]
    ra, dec = rows["ra"][len(rows) // 2].as_py(), rows["dec"][len(rows) // 2].as_py()

    def by_filter() -> None:
        table = ds.dataset(str(files), format="parquet")
        for star in stars[:2]:
            table.to_table(filter=ds.field("tic_id") == star)

    def warm() -> None:
        for star in stars:
            catalogue.light_curve(tic=star)

    def cone() -> None:
        catalogue.cone(ra, dec, _RADIUS).to_arrow()

    def box() -> None:
        east, north = ds.field("ra"), ds.field("dec")
        inside = _near(east, ra, _RADIUS / np.cos(np.radians(dec))) & _near(north, dec, _RADIUS)
        ds.dataset(str(files), format="parquet").to_table(filter=inside)

    works: dict[str, Callable[[], float]] = {
        "pyarrow": lambda: _seconds(by_filter) / 2,
        "pyarrow, cold": lambda: _cold(out, by_filter) / 2,
        "warm": lambda: _seconds(warm) / len(stars),
        "cold": lambda: sum(_cold(out, partial(_one_star, out, field, n)) for n in stars[:5]) / 5,
        "cone": lambda: _seconds(cone),
        "box": lambda: _seconds(box),
    }
    costs = take_turns(rounds, works)
    for what, ours, theirs in (
        ("a star by its id, warm", "warm", "pyarrow"),
        ("a star by its id, cold", "cold", "pyarrow, cold"),
        (f"a cone of {_RADIUS} degrees", "cone", "box"),
    ):
        found = ratio(costs, theirs, ours)
        yield Row(
            what=f"{what}: {field.name}",
            reference="pyarrow alone, a filter",
            reached=found.value,
            unit="times faster",
            noise=found.noise,
            figures={f"{name}, ms": 1e3 * min(costs[name]) for name in (ours, theirs)},
        )


def _one_star(out: Path, field: Field, star: int) -> None:
    tessloom.open(out)[field.name].light_curve(tic=star)


def _near(column: ds.Expression, centre: float, reach: float) -> ds.Expression:
    """Return whether a column is within reach of a value."""
    return (column > centre - reach) & (column < centre + reach)


def _training(field: Field, out: Path, rounds: int) -> Iterator[Line]:
    files = sorted((out / field.name / "catalog" / "dataset").rglob("s*.parquet"))
    batches = Batches(pipeline=field.pipeline, paths=files)
    flags = [mask.column for mask in field.pipeline.masks]
    names = [f"lightcurve.{name}" for name in (*batches.columns, *flags)]

    def bare() -> None:
        for path in batches.paths:
            with pq.ParquetFile(path) as file:
                for number in range(file.num_row_groups):
                    file.read_row_group(number, names)

    def ours() -> None:
        for _ in batches.draw():
            pass

    costs = take_turns(
        rounds,
        {
            "bare": lambda: _seconds(bare),
            "ours": lambda: _seconds(ours),
            "bare, CPU": lambda: cpu_seconds(bare),
            "ours, CPU": lambda: cpu_seconds(ours),
        },
    )
    for kind in ("", ", CPU"):
        found = ratio(costs, f"bare{kind}", f"ours{kind}")
        yield Row(
            what=f"training batches, shuffled and cropped{kind}: {field.name}",
            reference="pyarrow's row groups, same columns",
            reached=100 * found.value,
            unit="% of its speed",
            goal=None if kind else _TRAINING_SHARE,
            noise=found.noise,
            figures={
                f"{name}{kind}, targets/s": field.files / min(costs[f"{name}{kind}"])
                for name in ("bare", "ours")
            },
        )
    yield from _loading(field, tessloom.open(out)[field.name], rounds)


def _loading(field: Field, catalogue: Catalogue, rounds: int) -> Iterator[Line]:
    what = f"DataLoader: {field.name}"
    try:
        from torch.utils.data import DataLoader  # noqa: PLC0415
    except ImportError:
        yield Skipped(what, "PyTorch is not installed: make torch")
        return

    def load(workers: int) -> None:
        for _ in DataLoader(catalogue.torch(), batch_size=None, num_workers=workers):
            pass

    costs = take_turns(
        rounds,
        {str(workers): partial(_seconds, partial(load, workers)) for workers in (0, _WORKERS)},
    )
    for workers, seconds in costs.items():
        yield Row(
            what=f"{what}, {workers} workers",
            reached=field.files / min(seconds),
            unit="targets/s",
        )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _cold(out: Path, work: Callable[[], object]) -> float:
    """Return what a work takes with the dataset's files on the disk only."""
    for path in out.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return _seconds(work)
