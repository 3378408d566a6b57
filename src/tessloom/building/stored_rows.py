"""Light curves that a partition's file has already: they are kept, not fetched again."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.identity import file_identifiers
from tessloom.dataset.schema import LIGHT_CURVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tessloom.building.plan import Partition
    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.receipt import Receipt


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One light curve of a finished file.

    Attributes
    ----------
    batch, index
        Where it is: row number `index` of a batch of `RowFormat.schema`.
    object_id, position
        What the file has: ra and dec in degrees.
    """

    batch: pa.RecordBatch
    index: int
    object_id: str
    position: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Kept:
    """Stands for a stored row until its row group is written, so that few are in memory.

    Attributes
    ----------
    slot
        Of its target.
    cadences
        Length of its lists.
    """

    slot: int
    cadences: int


def gather(rows: Sequence[StoredRow]) -> list[pa.RecordBatch]:
    """Return rows in their order."""
    return [
        batch.take(pa.array([row.index for row in of_batch])) for batch, of_batch in _by_batch(rows)
    ]


def _by_batch(rows: Sequence[StoredRow]) -> Iterator[tuple[pa.RecordBatch, list[StoredRow]]]:
    """Yield runs of rows that are of one batch."""
    for _, run in itertools.groupby(rows, key=lambda row: id(row.batch)):
        of_batch = list(run)
        yield of_batch[0].batch, of_batch


class _Place(NamedTuple):
    """Where a light curve is: number of the batch, and row in it."""

    batch: int
    row: int
    cadences: int


class StoredRows:
    """The light curves of one file, by the slot of their target in a partition.

    The file is read twice, a batch at a time: once to see whose light curves it has, and then along
    with the targets.

    Attributes
    ----------
    receipt
        The file's.
    """

    def __init__(self, partition: Partition, dataset_format: DatasetFormat, path: Path) -> None:
        self._read = dataset_format.read_rows
        self._path = path
        self._pipeline = partition.pipeline
        self.receipt: Receipt = dataset_format.read_receipt(path)
        self._places = self._find(partition)
        self._left = Counter(number for number, *_ in self._places.values())
        self._batches = enumerate(self._read(path, self._pipeline))
        self._loaded: dict[int, tuple[StoredRow, ...]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, slot: int) -> bool:
        return slot in self._places

    def kept(self, slot: int) -> Kept:
        """Return what stands for the light curve of target number `slot`."""
        return Kept(slot, self._places[slot].cadences)

    def row(self, slot: int) -> StoredRow:
        """Return the light curve of target number `slot`; each can be had once."""
        number, index, _ = self._places.pop(slot)
        while number not in self._loaded:
            following, batch = next(self._batches)
            if self._left[following]:
                self._loaded[following] = tuple(_rows(batch))
        row = self._loaded[number][index]
        self._left[number] -= 1
        if not self._left[number]:
            del self._loaded[number]
        return row

    def _find(self, partition: Partition) -> dict[int, _Place]:
        """Return where the light curves are, by slot.

        Nothing, where the receipt counts what can't be told row by row and not all are found.
        """
        slots = _slots(partition)
        places = {
            slot: place for key, place in self._keys() if (slot := slots.get(key)) is not None
        }
        if self.receipt.unknown_columns and len(places) < self.receipt.written:
            return {}
        return places

    def _keys(self) -> Iterator[tuple[tuple[int | None, int, int], _Place]]:
        """Yield id, camera and CCD of each light curve, and its place."""
        names = ("camera", "ccd") if self._pipeline.names_ccd else ()
        for number, batch in enumerate(self._read(self._path, self._pipeline)):
            lists = pc.struct_field(batch.column(LIGHT_CURVE), [0])
            columns = [pc.list_value_length(lists), file_identifiers(self._pipeline, batch)]
            columns += [batch.column(name) for name in names]
            values = zip(*(column.to_pylist() for column in columns), strict=True)
            for index, (cadences, identifier, *pointing) in enumerate(values):
                camera, ccd = pointing or (0, 0)
                yield (identifier, camera or 0, ccd or 0), _Place(number, index, cadences)


def _rows(batch: pa.RecordBatch) -> Iterator[StoredRow]:
    columns = [batch.column(name).to_pylist() for name in ("object_id", "ra", "dec")]
    for index, (object_id, ra, dec) in enumerate(zip(*columns, strict=True)):
        yield StoredRow(batch, index, object_id, (ra, dec))


def _slots(partition: Partition) -> dict[tuple[int | None, int, int], int]:
    """Return the slots of targets that the file was asked for, by id, camera and CCD.

    A file that does not keep camera and CCD has zeros there: those stand for an id that is
    unique.
    """
    known = partition.known
    targets = partition.targets
    rows = zip(*(targets[name].to_pylist() for name in ("id", "camera", "ccd")), strict=True)
    slots = {row: slot for slot, row in enumerate(rows) if known is not None and known[slot]}
    times = Counter(identifier for identifier, *_ in slots)
    alone = {(row[0], 0, 0): slot for row, slot in slots.items() if times[row[0]] == 1}
    return alone | slots
