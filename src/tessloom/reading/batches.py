"""Light curves of one length, in batches, for training: cropped or padded, shuffled, shared out.

Nothing here knows PyTorch. A light curve's window is copied out of its row group into a pool, and
from there into its batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from tessloom.dataset.identity import id_columns, star_identifiers
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.receipt import damaged
from tessloom.dataset.schema import LIGHT_CURVE
from tessloom.dataset.splits import Splits
from tessloom.errors import RequestError
from tessloom.reading.masks import masked_bits
from tessloom.reading.open_batch import OpenBatch
from tessloom.reading.windows import RowGroup, Windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.pipelines import Pipeline
    from tessloom.reading.windows import Arrays

_IDS = ("tic_id", "gaia_dr3_id", "sector")
_CROPS = ("random", "start")
# Files are of very different sizes: with fewer for each shard, row groups are shared out instead.
_FILES_A_SHARD = 8


class _Part(NamedTuple):
    """What one shard reads at a time: a file, or one of its row groups."""

    path: Path
    row_group: int | None


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What is drawn from a pipeline's files; see `Catalogue.torch` for the choices.

    Attributes
    ----------
    columns
        Of the light curve, and header values that are numbers.
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
    mask: str | int | None = "default"
    reference: float | None = None
    buffer: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        series = [column.name for column in self.pipeline.columns]
        if unknown := set(self.columns) - {*series, *self._numbers}:
            raise RequestError(
                f"the light curve has no {', '.join(sorted(unknown))}: choose from "
                f"{', '.join(series)}, and of the header values from {', '.join(self._numbers)}"
            )
        if self.length < 1 or self.batch_size < 1 or self.buffer < 0:
            raise RequestError("length and batch_size are at least 1, buffer at least 0")
        if self.crop not in _CROPS:
            raise RequestError(f"crop is {self.crop!r}: choose from {_CROPS}")
        if self.reference is not None and not np.isfinite(self.reference):
            raise RequestError(f"time can't be counted from {self.reference}")
        if self.split is not None:
            self.splits.check(self.split)
        self._windows()

    def draw(self, epoch: int = 0, shard: int = 0, shards: int = 1) -> Iterator[Arrays]:
        """Yield batches.

        Parameters
        ----------
        epoch
            With each another order and, with random crops, other crops.
        shard, shards
            Which part of the light curves is read, of how many; parts are about as large.

        Yields
        ------
        dict
            Columns, shape ``(n, length)``: floats in float32, ``time`` counted from
            ``time_reference`` (float64, ``(n,)``), 0 where ``mask`` is false. ``mask`` is true
            where there is a cadence with time and flux that no flag takes out; there other columns
            may be NaN, and integers that the era lacks are 0. Header values, shape ``(n,)``, as
            the dataset has them, NaN (0 among integers) where there is none; and ``tic_id``,
            ``gaia_dr3_id`` (0: none) and ``sector``. The last batches of a shard may be smaller.

        Raises
        ------
        DatasetError
            A file is damaged.
        """
        random = np.random.default_rng([self.seed, epoch, shard])
        opened: list[OpenBatch | None] = [None] * max(1, round(self.buffer / self.batch_size))
        parts = self._parts(epoch, shard, shards)
        for group in self._row_groups(parts, random, threads=shards == 1):
            numbers = random.integers(len(opened), size=len(group)).tolist()
            for row, number in enumerate(numbers):
                batch = opened[number]
                if batch is None:
                    batch = opened[number] = OpenBatch(group, self.length, self._slots(random))
                batch.add(group, row)
                if batch.is_full:
                    opened[number] = None
                    yield batch.rows()
        yield from self._rest([batch.rows() for batch in opened if batch is not None], random)

    def _slots(self, random: np.random.Generator) -> list[int]:
        """Return the order in which a batch is filled."""
        slots = np.arange(self.batch_size)
        if self.buffer:
            random.shuffle(slots)
        return list(slots.tolist())

    def _rest(self, unfinished: Sequence[Arrays], random: np.random.Generator) -> Iterator[Arrays]:
        """Yield what is left in batches that did not become full."""
        if not unfinished:
            return
        rows = {name: np.concatenate([of[name] for of in unfinished]) for name in unfinished[0]}
        order = np.arange(len(rows["mask"]))
        if self.buffer:
            random.shuffle(order)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield {name: values[chosen] for name, values in rows.items()}

    def _parts(self, epoch: int, shard: int, shards: int) -> Sequence[_Part]:
        parts = [_Part(path, None) for path in self.paths]
        if shards > 1 and len(parts) < _FILES_A_SHARD * shards:
            parts = [_Part(path, n) for path in self.paths for n in range(_row_groups(path))]
        if self.buffer:
            np.random.default_rng([self.seed, epoch]).shuffle(parts)
        return parts[shard::shards]

    def _row_groups(
        self, parts: Sequence[_Part], random: np.random.Generator, *, threads: bool
    ) -> Iterator[RowGroup]:
        windows = self._windows()
        series = (f"{LIGHT_CURVE}.{name}" for name in windows.series)
        names = [*{*id_columns(self.pipeline), *windows.headers}, *series]
        for path, row_group in parts:
            try:
                with parquet_file(path) as file:
                    numbers = range(file.num_row_groups) if row_group is None else [row_group]
                    for number in numbers:
                        table = file.read_row_group(number, names, use_threads=threads)
                        for batch in table.combine_chunks().to_batches():
                            yield RowGroup.of(windows, batch, self._chosen(batch), random)
            except (OSError, pa.ArrowException) as error:
                raise damaged(path, error) from error

    def _chosen(self, batch: pa.RecordBatch) -> npt.NDArray[np.intp]:
        """Return the numbers of the rows that are in the split."""
        if self.split is None:
            return np.arange(len(batch))
        stars = star_identifiers(self.pipeline, batch)
        return np.flatnonzero(self.splits.holds(self.split, stars))

    @property
    def _numbers(self) -> list[str]:
        """The header values that are numbers."""
        return [
            keyword.name
            for keyword in self.pipeline.keywords
            if keyword.name not in _IDS and keyword.dtype != "string"
        ]

    def _windows(self) -> Windows:
        return Windows(
            columns=tuple(name for name in self.columns if name not in self._numbers),
            headers=(*_IDS, *(name for name in self.columns if name in self._numbers)),
            length=self.length,
            at_random=self.crop == "random",
            bits={} if self.mask is None else masked_bits(self.pipeline, self.mask),
            reference=self.reference,
        )


def _row_groups(path: Path) -> int:
    try:
        with parquet_file(path) as file:
            return int(file.num_row_groups)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
