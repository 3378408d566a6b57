"""One partition from rows to a file: answers come in any order, row groups go out in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tessloom._version import SOFTWARE
from tessloom.building.stored_rows import Kept, StoredRow, StoredRows, gather
from tessloom.dataset.receipt import Failure, Receipt
from tessloom.dataset.rows import Row
from tessloom.dataset.schema import HEALPIX
from tessloom.errors import DatasetError
from tessloom.healpix import healpix_29, is_position, pixel_range

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.building.plan import Partition
    from tessloom.dataset._protocol import DatasetFormat, Writer
    from tessloom.dataset.rows import RowFormat

# Most that is written at a time. Larger Parquet row groups are refused by the Hub's viewer, and
# cost readers memory (facts: ecosystem).
MOST_ROWS = 512
MOST_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Result:
    """What became of a partition.

    Attributes
    ----------
    lost
        Number of light curves that an earlier file has and that could not be had again. Where
        there are any, the earlier file was kept and `receipt` is not on disk.
    """

    receipt: Receipt
    lost: int = 0


@dataclass
class RowGroup:
    """Rows that are written together: all within one range of order-29 pixels.

    Attributes
    ----------
    size
        Bytes of their light curves in a dataset.
    nbytes
        Bytes of memory that they take until they are written.
    batch
        What is written, once `PartitionBuilder.lay_out` has taken the rows out.
    moved
        How many of its stars `Receipt.moved` counts, once it is laid out.
    """

    start: int
    stop: int = 0
    slots: list[int] = field(default_factory=list)
    rows: list[Row | Kept] = field(default_factory=list)
    size: int = 0
    nbytes: int = 0
    batch: pa.RecordBatch | None = None
    moved: int = 0

    @property
    def fetched(self) -> bool:
        """Whether all of its rows come from the archive."""
        return all(isinstance(row, Row) for row in self.rows)


class PartitionBuilder:
    """Collects the outcomes of a partition's targets and writes its file.

    A row group takes the next outcomes in the order of the targets, so its rows do not depend
    on the order of arrival, and a build that is repeated writes the same bytes.

    Parameters
    ----------
    row_format
        What `dataset_format` says for the partition's pipeline; shared by all its partitions.

    Attributes
    ----------
    stored
        What is kept of the file that is there; None where all is fetched.
    """

    def __init__(
        self,
        partition: Partition,
        row_format: RowFormat,
        dataset_format: DatasetFormat,
        root: Path,
    ) -> None:
        self.partition = partition
        self._format = row_format
        self._dataset_format = dataset_format
        self._path = partition.path or dataset_format.partition_path(
            root, partition.pipeline, partition.pixel, partition.sector
        )
        self._writer: Writer | None = None
        self._listed = {
            name: partition.targets[name].to_numpy() for name in ("ra", "dec", "healpix_29")
        }
        self._waiting: dict[int, Row | Kept | Failure] = {}
        self._next = 0  # the first slot whose outcome is in no row group yet
        first, self._end = pixel_range(partition.pipeline.healpix_order, partition.pixel)
        self._group = RowGroup(first)
        self._cadence_size = sum(
            np.dtype(column.dtype).itemsize for column in partition.pipeline.columns
        )
        self._failures: list[Failure] = []
        self._unknown: Counter[str] = Counter()
        self._object_ids: Counter[str] = Counter()
        self._written = 0
        self._moved = 0
        self._synthetic = False
        self.stored: StoredRows | None = None
        if partition.known is not None:
            self.stored = StoredRows(partition, dataset_format, self._path)
            if len(self.stored):
                # What the file's receipt counts beside the light curves themselves.
                self._unknown.update(self.stored.receipt.unknown_columns)
                self._synthetic = self.stored.receipt.synthetic

    @property
    def complete(self) -> bool:
        """Whether every target has an outcome."""
        return self._next == len(self.partition.targets)

    def put(self, slot: int, outcome: Row | Kept | Failure) -> list[RowGroup]:
        """Take the outcome of target number `slot`; return the row groups that it completes."""
        self._waiting[slot] = outcome
        ready: list[RowGroup] = []
        while (following := self._waiting.pop(self._next, None)) is not None:
            if isinstance(following, Failure):
                self._failures.append(following)
            else:
                ready += self._append(self._next, following)
            self._next += 1
        if self.complete:
            ready.append(self._cut(self._end))
        return [group for group in ready if group.rows]

    def write(self, group: RowGroup) -> None:
        """Write a row group. Groups must be written in the order in which `put` returned them."""
        batch = self._laid_out(group) if group.batch is None else group.batch
        group.batch = None
        self._open().write(batch)
        self._written += len(batch)
        self._moved += group.moved
        self._object_ids.update(batch["object_id"].to_pylist())

    def lay_out(self, group: RowGroup) -> None:
        """Make a row group's batch, in which nothing of the files is left.

        Another one may be written meanwhile.
        """
        group.batch = self._laid_out(group)

    def _laid_out(self, group: RowGroup) -> pa.RecordBatch:
        unsorted = [self._loaded(row) for row in group.rows]
        group.rows.clear()
        ra, dec = self._positions(unsorted)
        listed = {name: values[group.slots] for name, values in self._listed.items()}
        missing = ~is_position(ra, dec)
        ra[missing], dec[missing] = listed["ra"][missing], listed["dec"][missing]
        healpix = healpix_29(ra, dec)
        # The list and the header disagree about a star on a border. The list has placed it, and
        # to stay in the range keeps the rows sorted from one row group to the next.
        moved = (healpix < group.start) | (healpix >= group.stop)
        healpix[moved] = listed["healpix_29"][moved]
        order = np.argsort(healpix, kind="stable")
        rows = [unsorted[position] for position in order.tolist()]
        group.moved = int(moved.sum())
        return self._batch(rows, healpix[order], ra[order], dec[order])

    def _loaded(self, row: Row | Kept) -> Row | StoredRow:
        if isinstance(row, Row):
            return row
        assert self.stored is not None  # noqa: S101 - who handed out what is kept
        return self.stored.row(row.slot)

    def _positions(
        self, rows: Sequence[Row | StoredRow]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return ra and dec, NaN where a header has none."""
        fresh, stored = _fresh(rows), _stored(rows)
        ra, dec = np.empty(len(rows)), np.empty(len(rows))
        ra[list(fresh)], dec[list(fresh)] = self._format.positions(list(fresh.values()))
        for at, row in stored.items():
            ra[at], dec[at] = row.position
        return ra, dec

    def _batch(
        self,
        rows: Sequence[Row | StoredRow],
        healpix: npt.NDArray[np.int64],
        ra: npt.NDArray[np.float64],
        dec: npt.NDArray[np.float64],
    ) -> pa.RecordBatch:
        fresh, stored = _fresh(rows), _stored(rows)
        if not stored:
            return self._format.batch(list(fresh.values()), healpix, ra, dec)
        parts = gather(list(stored.values()))
        if fresh:
            at = list(fresh)
            batch = self._format.batch(list(fresh.values()), healpix[at], ra[at], dec[at])
            parts.append(batch)
        in_order = pa.array(np.argsort([*stored, *fresh]))
        table = pa.Table.from_batches(parts).combine_chunks().take(in_order)
        # A row group that is cut elsewhere than in the earlier file has other borders.
        index = table.column_names.index(HEALPIX)
        table = table.set_column(index, table.schema.field(HEALPIX), pa.array(healpix))
        return table.combine_chunks().to_batches()[0]

    def finish(self) -> Result:
        """Put the file in place, unless it would take light curves away that are there."""
        receipt = Receipt(
            pipeline=self.partition.pipeline.name,
            sector=self.partition.sector,
            pixel=self.partition.pixel,
            digest=self.partition.digest,
            asked=len(self.partition.targets),
            written=self._written,
            failures=tuple(self._failures),
            moved=self._moved,
            unknown_columns=dict(sorted(self._unknown.items())),
            synthetic=self._synthetic,
            software=SOFTWARE,
        )
        if receipt.written + len(receipt.failures) != receipt.asked:
            self.abandon()
            raise DatasetError(f"not every row group of {self._path} could be written")
        lost = (self._earlier() - self._object_ids).total()
        if lost:
            self.abandon()
        else:
            receipt = self._open().close(receipt)
        return Result(receipt, lost)

    def abandon(self) -> None:
        """Leave nothing half written."""
        if self._writer is not None:
            self._writer.abandon()

    def _append(self, slot: int, row: Row | Kept) -> list[RowGroup]:
        size = row.cadences * self._cadence_size
        ready = []
        if self._group.rows and (
            len(self._group.rows) == MOST_ROWS or self._group.size + size > MOST_BYTES
        ):
            ready.append(self._cut(int(self._listed["healpix_29"][slot])))
        self._group.slots.append(slot)
        self._group.rows.append(row)
        self._group.size += size
        if isinstance(row, Row):
            self._group.nbytes += row.nbytes
            self._synthetic |= row.synthetic
            self._unknown.update(row.sources.unknown)
        return ready

    def _cut(self, stop: int) -> RowGroup:
        group, self._group = self._group, RowGroup(stop)
        group.stop = stop
        return group

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = self._dataset_format.writer(self._path, self.partition.pipeline)
        return self._writer

    def _earlier(self) -> Counter[str]:
        if not self._path.exists():
            return Counter()
        return self._dataset_format.object_ids(self._path)


def _fresh(rows: Sequence[Row | StoredRow]) -> dict[int, Row]:
    """Return the rows that were fetched, by their positions."""
    return {at: row for at, row in enumerate(rows) if isinstance(row, Row)}


def _stored(rows: Sequence[Row | StoredRow]) -> dict[int, StoredRow]:
    """Return the rows that were there, by their positions."""
    return {at: row for at, row in enumerate(rows) if isinstance(row, StoredRow)}
