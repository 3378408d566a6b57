"""A dataset opened: stars by id, cones, batches for training, against pyarrow alone.

*pyarrow alone* is what somebody does who knows the files' layout and nothing of tessloom: a filter
over all files for a star or a box on the sky, and row groups one after the other for training.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.dataset as ds
import pyarrow.parquet as pq
from conversion import build_command
from measuring import cpu_seconds, ratio, take_turns
from processes import run
from table import Row

import tessloom
from tessloom.reading.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fields import Field

_STARS = 20
_RADIUS = 0.2  # degrees
# Of bare iteration's speed.
_TRAINING_SHARE = 80.0


def opened(field: Field, root: Path, rounds: int) -> Iterator[Row]:
    """Yield the lines on one dataset of a field, in CPU time."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        run(build_command(field, root, out))
        yield from _finding(field, out, rounds)
        yield _training(field, out, rounds)


def _finding(field: Field, out: Path, rounds: int) -> Iterator[Row]:
    files = out / field.name / "catalog" / "dataset"
    catalogue = tessloom.open(out)[field.name]
    rows = catalogue.select(["tic_id", "ra", "dec"]).to_arrow()
    stars = rows["tic_id"].to_pylist()[:: max(1, len(rows) // _STARS)][:_STARS]
    ra, dec = rows["ra"][0].as_py(), rows["dec"][0].as_py()

    def by_filter() -> None:
        table = ds.dataset(str(files), format="parquet")
        for star in stars[:2]:
            table.to_table(filter=ds.field("tic_id") == star)

    def warm() -> None:
        for star in stars:
            catalogue.light_curve(tic=star)

    def cold() -> None:
        for star in stars:
            tessloom.open(out)[field.name].light_curve(tic=star)

    def cone() -> None:
        catalogue.cone(ra, dec, _RADIUS).to_arrow()

    def box() -> None:
        east, north = ds.field("ra"), ds.field("dec")
        inside = _near(east, ra) & _near(north, dec)
        ds.dataset(str(files), format="parquet").to_table(filter=inside)

    works: dict[str, tuple[Callable[[], None], int]] = {
        "pyarrow": (by_filter, len(stars[:2])),
        "warm": (warm, len(stars)),
        "cold": (cold, len(stars)),
        "cone": (cone, 1),
        "box": (box, 1),
    }
    costs = take_turns(rounds, {name: _each(*work) for name, work in works.items()})
    for what, ours, theirs in (
        ("a star by its id, dataset open", "warm", "pyarrow"),
        ("a star by its id, opening included", "cold", "pyarrow"),
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


def _near(column: ds.Expression, centre: float) -> ds.Expression:
    """Return whether a column is within the radius of a value."""
    return (column > centre - _RADIUS) & (column < centre + _RADIUS)


def _training(field: Field, out: Path, rounds: int) -> Row:
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
        rounds, {"bare": lambda: cpu_seconds(bare), "ours": lambda: cpu_seconds(ours)}
    )
    found = ratio(costs, "bare", "ours")
    return Row(
        what=f"training batches, shuffled and cropped: {field.name}",
        reference="pyarrow's row groups, same columns",
        reached=100 * found.value,
        unit="% of its speed",
        goal=_TRAINING_SHARE,
        noise=found.noise,
        figures={f"{name}, s": min(values) for name, values in costs.items()},
    )


def _each(work: Callable[[], None], times: int) -> Callable[[], float]:
    return lambda: cpu_seconds(work) / times
