"""Index by id: in which pixels a star's light curves are, so that a search reads one partition."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tessloom.dataset.layout import index_directory, write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.pipelines import Pipeline

_PART = "index/part.0.parquet"
_ROW_GROUP = 1_000_000


def write_index(
    root: Path, pipeline: Pipeline, column: str, found: list[tuple[int, int, Path]]
) -> None:
    """Write the index by `column` over partitions ``(pixel, sector, file)``."""
    tables = []
    for pixel, _, path in found:
        with pq.ParquetFile(path) as file:
            identifiers = file.read([column])[column].drop_null()
        tables.append(
            pa.table(
                {
                    column: identifiers,
                    "Norder": pa.repeat(
                        pa.scalar(pipeline.healpix_order, pa.uint8()), len(identifiers)
                    ),
                    "Npix": pa.repeat(pa.scalar(pixel, pa.uint64()), len(identifiers)),
                }
            )
        )
    names = [column, "Norder", "Npix"]
    index = pa.concat_tables(tables).group_by(names).aggregate([])
    index = index.sort_by([(name, "ascending") for name in names])

    directory = index_directory(root, pipeline, column) / "dataset"
    part, metadata, common = io.BytesIO(), io.BytesIO(), io.BytesIO()
    collected: list[pq.FileMetaData] = []
    pq.write_table(
        index, part, row_group_size=_ROW_GROUP, compression="zstd", metadata_collector=collected
    )
    collected[0].set_file_path(_PART)
    collected[0].write_metadata_file(metadata)
    pq.write_metadata(index.schema, common)
    write_bytes(directory / _PART, part.getvalue())
    write_bytes(directory / "_metadata", metadata.getvalue())
    write_bytes(directory / "_common_metadata", common.getvalue())
