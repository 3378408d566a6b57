"""Which file a stored light curve is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from tessloom.pipelines import Pipeline


def file_identifiers(pipeline: Pipeline, batch: pa.RecordBatch) -> pa.Array:
    """Return the ids that the files' names carry, shape ``(n,)``; null where none was kept."""
    columns = [
        batch.column(keyword.name)
        for card in pipeline.identity
        for keyword in pipeline.keywords
        if card in keyword.fits
    ]
    return pc.coalesce(*columns) if columns else pa.nulls(len(batch), pa.int64())
