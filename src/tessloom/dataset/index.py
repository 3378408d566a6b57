"""Index by id: in which pixels a star's light curves are, so that a search reads one partition."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.dataset.layout import write_bytes
from tessloom.dataset.opening import open_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PART = "index/part.0.parquet"
_ROW_GROUP = 1_000_000


def write_index(
    directory: Path, order: int, column: str, identifiers: Mapping[int, pa.ChunkedArray]
) -> int:
    """Write the index by `column`, and return its number of rows; see `index_table`."""
    index = index_table(order, column, identifiers)
    dataset = directory / "dataset"
    part, metadata, common = io.BytesIO(), io.BytesIO(), io.BytesIO()
    collected: list[pq.FileMetaData] = []
    pq.write_table(
        index, part, row_group_size=_ROW_GROUP, compression="zstd", metadata_collector=collected
    )
    collected[0].set_file_path(_PART)
    collected[0].write_metadata_file(metadata)
    pq.write_metadata(index.schema, common)
    write_bytes(index_part(directory), part.getvalue())
    write_bytes(dataset / "_metadata", metadata.getvalue())
    write_bytes(dataset / "_common_metadata", common.getvalue())
    return len(index)


def index_part(directory: Path) -> Path:
    """Return the file of the index in its directory."""
    return directory / "dataset" / _PART


def read_index(directory: Path) -> pa.Table:
    """Read what `write_index` has written."""
    with open_parquet(index_part(directory)) as file:
        return file.read().replace_schema_metadata()


def index_table(order: int, column: str, identifiers: Mapping[int, pa.ChunkedArray]) -> pa.Table:
    """Return the index by `column`: in which pixels each id is, sorted by id.

    Parameters
    ----------
    order
        HEALPix order of the pixels.
    identifiers
        What the column holds in each pixel; nulls are left out.
    """
    tables = []
    for pixel, values in identifiers.items():
        known = values.drop_null()
        tables.append(
            pa.table(
                {
                    column: known,
                    "Norder": pa.repeat(pa.scalar(order, pa.uint8()), len(known)),
                    "Npix": pa.repeat(pa.scalar(pixel, pa.uint64()), len(known)),
                }
            )
        )
    names = [column, "Norder", "Npix"]
    index = pa.concat_tables(tables).group_by(names).aggregate([])
    return index.sort_by([(name, "ascending") for name in names])
