"""Which partitions there are and which are still to do: pure, without any I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.errors import FileTimeoutError, FileUnavailableError, NotFitsError
from tessloom.healpix import coarser

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline


@dataclass(frozen=True)
class Partition:
    """The targets of one (pipeline, sector, HEALPix pixel), which become one file.

    Attributes
    ----------
    targets
        Rows of the listing, sorted by order-29 pixel, id, camera and CCD.
    digest
        Equal for equal requests; the receipt keeps it.
    known
        Which targets were asked for when its file was written, shape ``(n,)``: what the file has
        of them is kept, and only the others are fetched. None: all are fetched.
    kept
        How many light curves the file has of what is `known`.
    path
        Where its file is put; None: where the format puts it.
    """

    pipeline: Pipeline
    sector: int
    pixel: int
    targets: pa.Table
    digest: str
    known: npt.NDArray[np.bool_] | None = field(default=None, compare=False)
    kept: int = 0
    path: Path | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # Pickled as it is, a slice would carry the whole sector's table.
        return self.__dict__ | {"targets": _to_stream(self.targets)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"targets": pa.ipc.open_stream(state["targets"]).read_all()})


def in_partition_order(listing: pa.Table) -> pa.Table:
    """Return a listing sorted by order-29 pixel, id, camera and CCD; last what has no position."""
    placed = pc.is_null(listing["reason"]).to_numpy()
    # The last key is the first to sort by.
    keys = [listing[name].to_numpy() for name in ("ccd", "camera", "id")]
    keys += [pc.fill_null(listing["healpix_29"], 0).to_numpy(), ~placed]
    order = np.lexsort(keys)
    del keys
    if (order[1:] > order[:-1]).all():
        return listing
    positions = pa.array(order)
    columns = [
        # Most columns of text are null throughout, and 14 million nulls take 56 MB.
        column if column.null_count == len(column) else column.take(positions)
        for column in listing.columns
    ]
    return pa.table(columns, schema=listing.schema).combine_chunks()


def make_partitions(
    pipeline: Pipeline, sector: int, listing: pa.Table, key: str = ""
) -> list[Partition]:
    """Divide the targets that have a position into partitions, sorted by pixel.

    Parameters
    ----------
    listing
        `in_partition_order`.
    key
        What the files' contents depend on beside the targets (`DatasetFormat.request_key`).
    """
    placed = len(listing) - pc.sum(pc.is_valid(listing["reason"])).as_py() if len(listing) else 0
    targets = listing.slice(0, placed)
    pixel_of = coarser(targets["healpix_29"].to_numpy(), pipeline.healpix_order)
    starts = np.flatnonzero(np.diff(pixel_of, prepend=-1))
    pixels, stops = pixel_of[starts], np.append(starts, placed)[1:]
    return [
        Partition(
            pipeline,
            sector,
            pixel,
            targets.slice(start, stop - start),
            _digest(targets.slice(start, stop - start), key),
        )
        for pixel, start, stop in zip(pixels.tolist(), starts.tolist(), stops.tolist(), strict=True)
    ]


def still_to_do(
    partitions: list[Partition], receipts: Mapping[int, Receipt], *, retry_failed: bool
) -> list[Partition]:
    """Return the partitions whose file is missing, was made for other targets, or can be mended.

    It can be if the archive failed to answer for one of its targets.

    Parameters
    ----------
    receipts
        Of the files that are there, by pixel.
    retry_failed
        Also return those with any other failure.
    """
    return [
        partition
        for partition in partitions
        if (receipt := receipts.get(partition.pixel)) is None
        or receipt.digest != partition.digest
        or any(retry_failed or may_pass(failure.reason) for failure in receipt.failures)
    ]


def keep_what_is_there(
    to_do: list[Partition], earlier: Iterable[Partition], receipts: Mapping[int, Receipt]
) -> list[Partition]:
    """Return partitions with what is `known` of their files.

    Parameters
    ----------
    earlier
        The partitions as they were asked for when the files were written.
    """
    by_pixel = {partition.pixel: partition for partition in earlier}
    kept = []
    for partition in to_do:
        before, receipt = by_pixel.get(partition.pixel), receipts.get(partition.pixel)
        if before is not None and receipt is not None and receipt.digest == before.digest:
            known = np.isin(_keys(partition.targets), _keys(before.targets))
            kept.append(replace(partition, known=known, kept=receipt.written))
        else:
            kept.append(partition)
    return kept


def _keys(targets: pa.Table) -> npt.NDArray[np.str_]:
    """Return a text for each target, equal for equal files."""
    names = ("id", "camera", "ccd", "version")
    texts = [pc.fill_null(targets[name].cast(pa.string()), "") for name in names]
    joined = pc.binary_join_element_wise(*texts, " ").to_numpy(zero_copy_only=False)
    return np.asarray(joined).astype(np.str_)


def may_pass(reason: str) -> bool:
    """Return whether a failure is the archive's and may have passed by the next build.

    A web page in place of a file may mean that it is missing, or that the archive is maintained.
    """
    return reason in (FileUnavailableError.reason, FileTimeoutError.reason, NotFitsError.reason)


def merge_listings(old: pa.Table, new: pa.Table) -> pa.Table:
    """Return the targets of either listing, each (id, camera, CCD) once.

    What the new one says is taken, but a target that had a position keeps it, so that it stays in
    its partition.
    """
    old = _without_answered(old, new)
    both = pa.concat_tables([old, new]).combine_chunks()
    keys = [both[name].to_numpy() for name in ("ccd", "camera", "id")]
    order = np.lexsort([np.arange(len(both)), *keys])
    changes = np.zeros(max(len(both) - 1, 0), bool)
    for key in keys:
        changes |= np.diff(key[order]) != 0
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))[: len(both)]
    stops = np.append(starts, len(both))[1:]
    first, last = order[starts], order[stops - 1]
    by_appearance = np.argsort(first)
    return _with_positions(both, first[by_appearance], last[by_appearance])


def _with_positions(
    both: pa.Table, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
) -> pa.Table:
    earlier, merged = both.take(pa.array(first)), both.take(pa.array(last))
    kept = pc.is_valid(earlier["healpix_29"])
    for name in ("ra", "dec", "healpix_29", "reason", "detail"):
        index = merged.column_names.index(name)
        values = pc.if_else(kept, earlier[name], merged[name])
        merged = merged.set_column(index, merged.schema.field(name), values)
    return merged.combine_chunks()


def _without_answered(old: pa.Table, new: pa.Table) -> pa.Table:
    """Leave out targets that had no file when they were asked for and have one now."""
    answered = pc.or_(
        pc.is_in(old["id"], new["id"].combine_chunks()),
        pc.is_in(old["id"], new["tic_id"].combine_chunks().drop_null()),
    )
    return old.filter(pc.invert(pc.and_(pc.is_valid(old["reason"]), answered)))


def _to_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _digest(targets: pa.Table, key: str) -> str:
    digest = hashlib.sha256(key.encode())
    for name in ("id", "camera", "ccd", "healpix_29"):
        digest.update(targets[name].to_numpy().tobytes())
    digest.update("\n".join(targets["version"].to_pylist()).encode())
    return digest.hexdigest()
