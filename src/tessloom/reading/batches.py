"""Light curves of one length, in batches, for training: cropped or padded, shuffled, shared out.

Nothing here knows PyTorch. Several batches are filled at a time, and each window is copied once:
out of its row group into one of them.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tessloom.dataset.identity import id_columns, star_identifiers
from tessloom.dataset.schema import LIGHT_CURVE, arrow_schema
from tessloom.dataset.splits import Splits
from tessloom.errors import RequestError
from tessloom.reading.masks import masked_bits
from tessloom.reading.open_batch import OpenBatch
from tessloom.reading.parts import count_wanted, evenly_shared_out, read_parts, shared_out
from tessloom.reading.windows import RowGroup, Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow.compute as pc

    from tessloom.pipelines import Pipeline
    from tessloom.reading.parts import Part
    from tessloom.reading.windows import Arrays

_CROPS = ("random", "start")
_IDS = ("tic_id", "gaia_dr3_id", "sector")
_SHUFFLE_BUFFER = 4096
# Beyond any time that TESS will see; whoever gives JD is told so.
_LATEST_BTJD = 20_000.0


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What is drawn from a pipeline's files; see `Catalogue.torch` for the choices.

    Attributes
    ----------
    columns
        Of the light curve, and header values that are numbers.
    where
        Condition on header values.
    """

    pipeline: Pipeline
    paths: Sequence[Path]
    columns: tuple[str, ...] = ("time", "flux", "flux_err")
    where: pc.Expression | None = None
    split: str | None = None
    splits: Splits = field(default_factory=Splits)
    length: int = 1024
    batch_size: int = 64
    crop: str | None = None
    mask: str | int | None = "default"
    min_cadences: int = 1
    time_reference: float | None = None
    shuffle_buffer: int | None = None
    drop_last: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        series = [column.name for column in self.pipeline.columns]
        if unknown := set(self.columns) - {*series, *self._numbers, *_IDS}:
            raise RequestError(
                f"the light curve has no {', '.join(sorted(map(str, unknown)))}: choose from "
                f"{', '.join(series)}, and of the header values from {', '.join(self._numbers)}"
            )
        for name, least in (("length", 1), ("batch_size", 1), ("min_cadences", 0), ("seed", 0)):
            _check_count(name, getattr(self, name), least)
        if self.min_cadences > self.length:
            raise RequestError(
                f"min_cadences is {self.min_cadences}, of windows of {self.length} cadences"
            )
        if self.shuffle_buffer is not None:
            _check_count("shuffle_buffer", self.shuffle_buffer, 0)
        if self.crop not in (None, *_CROPS):
            raise RequestError(f"crop is {self.crop!r}: choose from {_CROPS}")
        reference = self.time_reference
        if reference is not None and not abs(reference) <= _LATEST_BTJD:  # NaN neither
            raise RequestError(
                f"time can't be counted from {reference}: give BTJD, which is BJD - 2457000"
            )
        if not isinstance(self.splits, Splits):
            raise RequestError(f"splits is {self.splits!r}: give tessloom.Splits(train=0.8, ...)")
        if self.split is not None:
            self.splits.check(self.split)
        self._windows  # noqa: B018 - it checks the mask

    @property
    def is_for_learning(self) -> bool:
        """Whether order and crops are drawn at random unless something else is said."""
        return self.split in (None, "train")

    def count(self) -> int:
        """Return how many light curves there are, of which only the header values are read.

        Those that `min_cadences` will leave out are among them.
        """
        return sum(count for _, count in self._counts)

    def draw(
        self, epoch: int = 0, shard: int = 0, shards: int = 1, *, even: bool = False
    ) -> Iterator[Arrays]:
        """Yield batches.

        Parameters
        ----------
        epoch
            With each another order and, with random crops, other crops.
        shard, shards
            Which part of the light curves is read, of how many; parts are about as large.
        even
            Whether every shard yields as many batches, all full: those with fewer light curves
            yield some twice.

        Yields
        ------
        dict
            Columns, shape ``(n, length)``: floats in float32, ``time`` counted from
            ``time_reference`` (float64, ``(n,)``), 0 where ``mask`` is false. ``mask`` is true
            where there is a cadence with time and flux that no flag takes out; there other columns
            may be NaN, and integers that the era lacks are 0. Header values, shape ``(n,)``, as
            the dataset has them, NaN (0 among integers) where there is none; and ``tic_id``,
            ``gaia_dr3_id`` (0: none) and ``sector``. The last batch of a shard may be smaller.

        Raises
        ------
        DatasetError
            A file is damaged.
        """
        random = np.random.default_rng([self.seed, epoch, 1, shard])
        order = np.random.default_rng([self.seed, epoch, 0])
        if even:
            yield from self._draw_evenly(epoch, shard, shards, order, random)
            return
        parts = shared_out(self.paths, shards, order if self._buffer else None)[shard]
        for batch in self._fill(self._row_groups(parts, epoch, random, shards), random):
            if not self.drop_last or len(batch["mask"]) == self.batch_size:
                yield batch

    def _draw_evenly(
        self,
        epoch: int,
        shard: int,
        shards: int,
        order: np.random.Generator,
        random: np.random.Generator,
    ) -> Iterator[Arrays]:
        shares = evenly_shared_out(self._counts, shards, order if self._buffer else None)
        counts = [sum(count for _, count in share) for share in shares]
        lacking = math.ceil(max(counts) / self.batch_size)
        own = [part for part, _ in shares[shard] or shares[0]]
        # What comes first comes again where there is not enough.
        again: list[Arrays] = []
        enough = 1 + lacking - counts[shard] // self.batch_size
        for batch in self._fill(self._row_groups(own, epoch, random, shards), random):
            if len(again) < enough or len(batch["mask"]) < self.batch_size:
                again.append({name: values.copy() for name, values in batch.items()})
            if len(batch["mask"]) == self.batch_size:
                lacking -= 1
                yield batch
        if lacking:
            if not again:
                raise RequestError(
                    f"no light curve of shard {shard} of {shards} has {self.min_cadences} cadences "
                    "that are to be used: use fewer workers, or another min_cadences"
                )
            # The last comes first: it has not been yielded yet if it is not full.
            rows = {name: np.concatenate([of[name] for of in again[::-1]]) for name in again[0]}
            for start in range(0, lacking * self.batch_size, self.batch_size):
                chosen = np.arange(start, start + self.batch_size) % len(rows["mask"])
                yield {name: values[chosen] for name, values in rows.items()}

    def _fill(self, groups: Iterable[RowGroup], random: np.random.Generator) -> Iterator[Arrays]:
        """Yield batches, each as soon as it is full, and in the end what is left."""
        opened: list[OpenBatch | None] = [None] * max(1, round(self._buffer / self.batch_size))
        for group in groups:
            numbers = random.integers(len(opened), size=len(group)).tolist()
            for row, number in enumerate(numbers):
                batch = opened[number]
                if batch is None:
                    batch = opened[number] = OpenBatch(group, self.length, self._slots(random))
                batch.add(group, row)
                if batch.is_full:
                    opened[number] = None
                    yield batch.rows()
            del group
        unfinished = [batch.rows() for batch in opened if batch is not None]
        if not unfinished:
            return
        rows = {name: np.concatenate([of[name] for of in unfinished]) for name in unfinished[0]}
        order = np.arange(len(rows["mask"]))
        if self._buffer:
            random.shuffle(order)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield {name: values[chosen] for name, values in rows.items()}

    def _slots(self, random: np.random.Generator) -> list[int]:
        """Return the order in which a batch is filled."""
        slots = random.permutation(self.batch_size) if self._buffer else range(self.batch_size)
        return list(map(int, slots))

    def _row_groups(
        self, parts: Sequence[Part], epoch: int, random: np.random.Generator, shards: int
    ) -> Iterator[RowGroup]:
        """Yield the row groups of parts, with what is wanted of them."""
        names = [*self._header_columns, *(f"{LIGHT_CURVE}.{n}" for n in self._windows.series)]
        mixed = random if self._buffer else None
        key = int(np.random.default_rng([self.seed, epoch, 2]).integers(2**63))
        for table in read_parts(parts, names, mixed, threads=shards == 1):
            batches = table.to_batches()
            del table  # memory that is given back is used for the next row group
            while batches:
                yield self._row_group(batches.pop(0), key)

    def _row_group(self, batch: pa.RecordBatch, key: int) -> RowGroup:
        return RowGroup.of(self._windows, batch, self._chosen(batch), key)

    def _chosen(self, batch: pa.RecordBatch) -> npt.NDArray[np.intp]:
        """Return the numbers of the rows that are wanted."""
        rows = np.arange(len(batch))
        if self.where is not None:
            headers = pa.table(batch).drop_columns(
                [LIGHT_CURVE] * (LIGHT_CURVE in batch.schema.names)
            )
            numbered = headers.append_column("row", pa.array(rows))
            try:
                rows = numbered.filter(self.where)["row"].to_numpy()
            except pa.ArrowException as error:
                raise RequestError(
                    f"the condition can't be computed for all rows: {error}"
                ) from error
        if self.split is None:
            return rows
        stars = star_identifiers(self.pipeline, batch)[rows]
        return rows[self.splits.holds(self.split, stars)]

    @cached_property
    def _counts(self) -> list[tuple[Part, int]]:
        return count_wanted(
            self.paths,
            self._header_columns,
            lambda table: sum(len(self._chosen(batch)) for batch in table.to_batches()),
        )

    @property
    def _buffer(self) -> int:
        if self.shuffle_buffer is not None:
            return self.shuffle_buffer
        return _SHUFFLE_BUFFER if self.is_for_learning else 0

    @property
    def _numbers(self) -> list[str]:
        """The header values that are numbers."""
        return [
            keyword.name
            for keyword in self.pipeline.keywords
            if keyword.name not in _IDS and keyword.dtype != "string"
        ]

    @property
    def _header_columns(self) -> list[str]:
        """What is read beside the light curves."""
        names = arrow_schema(self.pipeline).names if self.where is not None else []
        asked = [name for name in names if name != LIGHT_CURVE]
        return list(dict.fromkeys([*id_columns(self.pipeline), *self._windows.headers, *asked]))

    @cached_property
    def _windows(self) -> Windows:
        crop = self.crop or ("random" if self.is_for_learning else "start")
        return Windows(
            columns=tuple(name for name in self.columns if name not in (*self._numbers, *_IDS)),
            headers=(*_IDS, *(name for name in self.columns if name in self._numbers)),
            length=self.length,
            at_random=crop == "random",
            bits={} if self.mask is None else masked_bits(self.pipeline, self.mask),
            min_cadences=self.min_cadences,
            reference=self.time_reference,
        )


def _check_count(name: str, value: object, least: int) -> None:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise RequestError(f"{name} is {value!r}: give a whole number, at least {least}")
