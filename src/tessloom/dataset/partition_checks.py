"""Whether one partition's file is as it was written, and says so of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.checksum import is_intact
from tessloom.dataset.identity import file_identifiers
from tessloom.dataset.opening import damaged
from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE
from tessloom.dataset.verification import Problem
from tessloom.errors import DatasetError
from tessloom.healpix import coarser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline

# What tells one light curve of a partition from another: (id, camera, CCD); 0 for what the
# file does not tell.
Key = tuple[str, int, int]


@dataclass
class CheckedFile:
    """One file, and what was found in it.

    Attributes
    ----------
    pixel, sector
        What it should be of.
    receipt
        None for a file that can't be read.
    rows
        Light curves in it.
    keys
        How often it has each of them; to be given up when they have been compared.
    by_object_id
        Whether the keys have the ``object_id``, for want of the id that file names carry.
    identifiers
        What stands in the columns by which the dataset is indexed.
    """

    path: Path
    pixel: int
    sector: int
    receipt: Receipt | None = None
    rows: int = 0
    keys: Counter[Key] = field(default_factory=Counter)
    by_object_id: bool = False
    identifiers: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def readable(self) -> bool:
        """Whether what it holds is known."""
        return self.receipt is not None


def check_file(
    dataset_format: DatasetFormat, pipeline: Pipeline, pixel: int, sector: int, path: Path
) -> CheckedFile:
    """Read the file of a (pixel, sector) whole and check all that it says of itself."""
    checked = CheckedFile(path, pixel, sector)
    try:
        receipt = dataset_format.read_receipt(path)
        problem = _changed(path, receipt)
        if problem is None:
            written_with = dataset_format.written_with(path, pipeline, known_only=True)
            structure = written_with.check_structure(path, pipeline)
            _read_rows(checked, written_with, pipeline)
            checked.receipt = receipt
            found = [*structure, *_place(checked, pipeline, receipt), *_counts(checked, receipt)]
            checked.problems += [Problem(path=path, what=what) for what in found]
        else:
            checked.problems.append(Problem(path=path, what=problem))
    except DatasetError as error:
        checked.problems.append(Problem.of(path, error))
    except OSError as error:
        what = f"can't be read ({error.strerror or error})"
        checked.problems.append(Problem(path=path, what=what))
    return checked


def row_keys(pipeline: Pipeline, batch: pa.RecordBatch) -> tuple[list[Key], bool]:
    """Return what tells the rows of a batch apart, and whether by ``object_id``.

    The id is the one that the file's name carries, where the batch has it for every row.
    """
    identifiers = file_identifiers(pipeline, batch)
    by_object_id = identifiers.null_count > 0
    names = batch.column("object_id") if by_object_id else identifiers.cast(pa.string())
    camera, ccd = (pc.fill_null(batch.column(n), 0).to_pylist() for n in ("camera", "ccd"))
    return list(zip(names.to_pylist(), camera, ccd, strict=True)), by_object_id


def _changed(path: Path, receipt: Receipt) -> str | None:
    if not receipt.checksum or is_intact(path, receipt.checksum):
        return None
    return "has changed since it was written: its bytes do not agree with its check sum"


def _place(checked: CheckedFile, pipeline: Pipeline, receipt: Receipt) -> Iterator[str]:
    said = (receipt.pipeline, receipt.sector, receipt.pixel)
    if said != (pipeline.name, checked.sector, checked.pixel):
        yield (
            f"belongs elsewhere: its receipt is of {receipt.pipeline}, sector {receipt.sector}, "
            f"pixel {receipt.pixel}"
        )


def _counts(checked: CheckedFile, receipt: Receipt) -> Iterator[str]:
    if checked.rows != receipt.written:
        yield f"has {checked.rows} light curves, its receipt says {receipt.written}"
    if receipt.written + len(receipt.failures) != receipt.asked:
        yield (
            f"has a receipt of {receipt.asked} targets, of which {receipt.written} were written "
            f"and {len(receipt.failures)} failed"
        )


def _read_rows(checked: CheckedFile, dataset_format: DatasetFormat, pipeline: Pipeline) -> None:
    """Read the rows, a piece at a time, and add up what is wrong with them."""
    elsewhere = others = uneven = 0
    chunks: dict[str, list[pa.Array]] = {column: [] for column in pipeline.indexes}
    for batch in dataset_format.read_rows(checked.path, pipeline):
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            raise damaged(checked.path, error) from error
        checked.rows += len(batch)
        keys, by_object_id = row_keys(pipeline, batch)
        checked.keys.update(keys)
        checked.by_object_id |= by_object_id
        for column, found in chunks.items():
            found.append(batch.column(column))
        elsewhere += _elsewhere(checked, pipeline, batch)
        others += _other_sectors(checked, batch)
        uneven += _uneven(batch)
    checked.identifiers = {c: pa.chunked_array(found, pa.int64()) for c, found in chunks.items()}
    for count, what in (
        (elsewhere, "are in another pixel than the file"),
        (others, "are of another sector than the file"),
        (uneven, "are not lists of one length, of one cadence at least"),
    ):
        if count:
            checked.problems.append(
                Problem(path=checked.path, what=f"has {count} light curves that {what}")
            )


def _elsewhere(checked: CheckedFile, pipeline: Pipeline, batch: pa.RecordBatch) -> int:
    pixels = coarser(batch.column(HEALPIX).to_numpy(), pipeline.healpix_order)
    return int(np.count_nonzero(pixels != checked.pixel))


def _other_sectors(checked: CheckedFile, batch: pa.RecordBatch) -> int:
    sectors = batch.column("sector").drop_null().to_numpy()
    return int(np.count_nonzero(sectors[sectors != 0] != checked.sector))


def _uneven(batch: pa.RecordBatch) -> int:
    """Count the light curves that are not lists of one length, of one cadence at least."""
    light_curves = batch.column(LIGHT_CURVE)
    lengths = [
        pc.fill_null(pc.list_value_length(light_curves.field(position)), 0).to_numpy()
        for position in range(light_curves.type.num_fields)
    ]
    uneven = lengths[0] < 1
    for others in lengths[1:]:
        uneven |= others != lengths[0]
    return int(uneven.sum())
