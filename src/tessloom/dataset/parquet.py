"""The Parquet writer: one partition, one file, put in place when it is whole."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.dataset.checksum import BLANK, seal
from tessloom.dataset.layout import cannot_write, discard, partial_path, put_in_place
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.schema import HEALPIX, element_paths
from tessloom.dataset.storage import make_directory
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessloom.dataset.receipt import Receipt

_FLOATS = {pa.float32(), pa.float64()}


class ParquetWriter:
    """Writes one partition; nothing stands under its name before `close`.

    A partition without rows becomes a file with a schema, a receipt and no row group, which
    LSDB and Hugging Face datasets read as empty.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._partial = partial_path(path)
        self._writer: pq.ParquetWriter | None = None
        self._failure: DatasetError | None = None
        with self._failing_for_good():
            make_directory(path.parent)
            self._writer = pq.ParquetWriter(
                self._partial,
                schema,
                compression="zstd",
                compression_level=1,  # 3 saves 1-5 % of the size for 8-25 % more time
                # Integers repeat from star to star rather than within one: zstd finds that.
                use_dictionary=["object_id"],
                use_byte_stream_split=element_paths(schema, _FLOATS),
                # Pages as large as a column of a row group, and values handed on many at a time.
                data_page_size=4 * 2**20,
                write_batch_size=65_536,
                # Only what readers prune by; for the light curves they cost time and are no use.
                write_statistics=[HEALPIX, "ra", "dec", "tic_id", "gaia_dr3_id", "tess_mag"],
            )

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch as one row group.

        Raises
        ------
        DatasetError
            The disk does not take it. Then the file is given up: each further call raises too.
        """
        with self._failing_for_good() as writer:
            writer.write_batch(batch, row_group_size=len(batch))

    def close(self, receipt: Receipt) -> Receipt:
        """Finish the file and give it its name; return the receipt with the check sum."""
        with self._failing_for_good() as writer:
            writer.add_key_value_metadata(replace(receipt, checksum=BLANK).to_metadata())
            writer.close()
            checksum = seal(self._partial)
            put_in_place(self._partial, self._path)
        return replace(receipt, checksum=checksum)

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            with contextlib.suppress(OSError):  # the disk is full: what there is goes below
                self._writer.close()
        discard(self._partial)

    @contextlib.contextmanager
    def _failing_for_good(self) -> Iterator[pq.ParquetWriter]:
        if self._failure is not None:
            raise self._failure
        try:
            yield self._writer
        except OSError as error:
            self._failure = cannot_write(self._path, error)
            self.abandon()
            raise self._failure from error


def read_parquet_rows(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the light curves of a Parquet partition, a row group at a time.

    Raises
    ------
    DatasetError
        The file is damaged or has other columns than `schema`.
    """
    with parquet_file(path) as file:
        if not file.schema_arrow.equals(schema):
            raise other_columns(path)
        for number in range(file.num_row_groups):
            for batch in file.read_row_group(number).combine_chunks().to_batches():
                # Read from a file, the schema has Parquet's numbers of fields as metadata.
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def is_sorted(path: Path) -> bool:
    """Return whether the rows of a Parquet partition are sorted by ``_healpix_29``.

    Raises
    ------
    DatasetError
        The file is damaged.
    """
    with parquet_file(path) as file:
        healpix = file.read([HEALPIX])[HEALPIX].to_numpy()
    return bool((healpix[1:] >= healpix[:-1]).all())


def other_columns(path: Path) -> DatasetError:
    """Return the error for a partition with another schema than the pipeline's."""
    return DatasetError(
        f"{path} was written with other columns than this tessloom writes: "
        "build that sector anew, or into another directory"
    )
