"""Light curves of one length, in batches, for training: cropped or padded, shuffled, sharded.

All is done for a row group at a time; nothing here knows PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.dataset.opening import parquet_file
from tessloom.dataset.schema import LIGHT_CURVE
from tessloom.errors import RequestError
from tessloom.reading.splits import Splits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

    from tessloom.pipelines import Pipeline

    # Arrays of equal first axes, by name.
    Arrays = dict[str, npt.NDArray[Any]]

_CROPS = ("random", "start")


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What is drawn from a pipeline's files; see `Catalogue.torch` for the choices.

    Attributes
    ----------
    columns
        Of the light curve.
    reference
        BTJD from which times are counted; None: the first time of each light curve.
    buffer
        Light curves among which the next batch is drawn; 0: they come in their order.
    """

    pipeline: Pipeline
    paths: Sequence[Path]
    columns: tuple[str, ...] = ("time", "flux", "flux_err")
    split: str | None = None
    splits: Splits = field(default_factory=Splits)
    length: int = 1024
    batch_size: int = 64
    crop: str = "random"
    mask: str | None = "default"
    reference: float | None = None
    buffer: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        known = {column.name for column in self.pipeline.columns}
        if unknown := set(self.columns) - known:
            raise RequestError(
                f"the light curve has no {', '.join(sorted(unknown))}: choose from "
                f"{', '.join(sorted(known))}"
            )
        if self.length < 1 or self.batch_size < 1 or self.buffer < 0:
            raise RequestError("length and batch_size are at least 1, buffer at least 0")
        if self.crop not in _CROPS:
            raise RequestError(f"crop is {self.crop!r}: choose from {_CROPS}")
        if self.mask not in {None, "default", "hardest"}:
            raise RequestError(f"mask is {self.mask!r}: choose default, hardest or None")
        if self.split is not None:
            self.splits.holds(self.split, np.zeros(0, np.int64))

    def draw(self, epoch: int = 0, shard: int = 0, shards: int = 1) -> Iterator[Arrays]:
        """Yield batches.

        Parameters
        ----------
        epoch
            With each another order and, with random crops, other crops.
        shard, shards
            Which part of the files is read, of how many.

        Yields
        ------
        dict
            Columns, shape ``(n, length)``: floats in float32, ``time`` counted from
            ``time_reference`` (float64, ``(n,)``), 0 where ``mask`` is false. ``mask`` is true
            where there is a cadence with time and flux that no flag takes out; other columns may
            be NaN there. And ``tic_id``, ``gaia_dr3_id`` (0: none) and ``sector``, ``(n,)``.
        """
        order = np.random.default_rng([self.seed, epoch])
        paths = list(self.paths)
        if self.buffer:
            order.shuffle(paths)
        random = np.random.default_rng([self.seed, epoch, shard])
        pool: list[Arrays] = []
        count = 0
        for rows in self._row_groups(paths[shard::shards], random):
            pool.append(rows)
            count += len(rows["sector"])
            if count >= self.buffer + self.batch_size:
                mixed = self._mixed(pool, random)
                # Half of the buffer stays, to be mixed with those that come.
                stop = (count - self.buffer // 2) // self.batch_size * self.batch_size
                yield from _in_batches(mixed, stop, self.batch_size)
                pool = [{name: values[stop:] for name, values in mixed.items()}]
                count -= stop
        if count:
            yield from _in_batches(self._mixed(pool, random), count, self.batch_size)

    def _mixed(self, pool: Sequence[Arrays], random: np.random.Generator) -> Arrays:
        rows = {name: np.concatenate([part[name] for part in pool]) for name in pool[0]}
        if self.buffer:
            order = random.permutation(len(rows["sector"]))
            rows = {name: values[order] for name, values in rows.items()}
        return rows

    def _row_groups(self, paths: Sequence[Path], random: np.random.Generator) -> Iterator[Arrays]:
        flags = [mask.column for mask in self.pipeline.masks] if self.mask else []
        series = dict.fromkeys([*self.columns, "time", "flux", *flags])
        names = ["tic_id", "gaia_dr3_id", "sector", *(f"{LIGHT_CURVE}.{name}" for name in series)]
        for path in paths:
            with parquet_file(path) as file:
                for number in range(file.num_row_groups):
                    table = file.read_row_group(number, names).combine_chunks()
                    for batch in table.to_batches():
                        rows = self._of_one_length(batch, random)
                        if len(rows["sector"]):
                            yield rows

    def _of_one_length(self, batch: pa.RecordBatch, random: np.random.Generator) -> Arrays:
        """Return the rows of the split, cropped or padded."""
        ids = {name: _numbers(batch.column(name)) for name in ("tic_id", "gaia_dr3_id", "sector")}
        chosen = np.arange(len(batch))
        if self.split is not None:
            stars = np.where(ids["tic_id"], ids["tic_id"], ids["gaia_dr3_id"])
            chosen = np.flatnonzero(self.splits.holds(self.split, stars))
        light_curves = batch.column(LIGHT_CURVE)
        offsets = light_curves.field(0).offsets.to_numpy()
        starts, lengths = offsets[:-1][chosen], np.diff(offsets)[chosen]
        if self.crop == "random":
            skipped = random.integers(0, np.maximum(lengths - self.length, 0) + 1)
            starts, lengths = starts + skipped, lengths - skipped
        step = np.arange(self.length)
        inside = step < lengths[:, None]
        at = np.where(inside, starts[:, None] + step, starts[:, None])
        series = {
            field.name: light_curves.field(number).values.to_numpy(zero_copy_only=False)[at]
            for number, field in enumerate(light_curves.type)
        }
        kept = inside & np.isfinite(series["time"]) & np.isfinite(series["flux"])
        for mask in self.pipeline.masks if self.mask else ():
            bits = mask.default if self.mask == "default" else mask.hardest
            # A column that an era lacks is one of NaN.
            flags = np.nan_to_num(series[mask.column]).astype(np.int64)
            kept &= (flags & bits) == 0
        first = np.where(inside & np.isfinite(series["time"]), series["time"], np.inf).min(axis=1)
        reference = np.where(np.isfinite(first), first, 0.0)
        if self.reference is not None:
            reference = np.full(len(chosen), float(self.reference))
        series["time"] = series["time"] - reference[:, None]
        rows = {name: np.where(kept, _single(series[name]), 0) for name in self.columns}
        rows |= {"mask": kept, "time_reference": reference}
        return rows | {name: values[chosen] for name, values in ids.items()}


def _numbers(column: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(column.fill_null(0)).astype(np.int64)


def _single(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _in_batches(rows: Arrays, stop: int, size: int) -> Iterator[Arrays]:
    for start in range(0, stop, size):
        part = slice(start, min(start + size, stop))
        yield {name: values[part] for name, values in rows.items()}
