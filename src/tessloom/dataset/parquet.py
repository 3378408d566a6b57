"""The Parquet writer: one partition, one file, put in place when it is whole."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.dataset.layout import cannot_write, partial_path, put_in_place
from tessloom.dataset.schema import HEALPIX, element_paths

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.dataset.receipt import Receipt

# Larger groups are refused by the Hub's viewer and cost readers memory (facts: ecosystem).
MOST_ROWS = 512
MOST_BYTES = 128 * 2**20

_FLOATS = {pa.float32(), pa.float64()}
_INTEGERS = {pa.int16(), pa.int32()}


class ParquetWriter:
    """Writes one partition; nothing stands under its name before `close`.

    A partition without rows becomes a file with a schema, a receipt and no row group, which
    LSDB and Hugging Face datasets read as empty.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._partial = partial_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._partial,
                schema,
                compression="zstd",
                compression_level=1,  # 3 saves 1-5 % of the size for 8-25 % more time
                use_dictionary=["object_id", *element_paths(schema, _INTEGERS)],
                use_byte_stream_split=element_paths(schema, _FLOATS),
                # Only what readers prune by; for the light curves they cost time and are no use.
                write_statistics=[HEALPIX, "ra", "dec", "tic_id", "gaia_dr3_id", "tess_mag"],
            )
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch as one row group.

        Raises
        ------
        DatasetError
            The disk does not take it.
        """
        try:
            self._writer.write_batch(batch, row_group_size=len(batch))
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def close(self, receipt: Receipt) -> None:
        """Finish the file and give it its name."""
        try:
            self._writer.add_key_value_metadata(receipt.to_metadata())
            self._writer.close()
            put_in_place(self._partial, self._path)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def abandon(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):  # the disk is full: what there is goes below
            self._writer.close()
        self._partial.unlink(missing_ok=True)
