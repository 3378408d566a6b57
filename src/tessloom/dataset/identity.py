"""Which file a stored light curve is from, and which star it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy.typing as npt

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


def id_columns(pipeline: Pipeline) -> list[str]:
    """Return the columns in which ids of stars are."""
    return [keyword.name for keyword in pipeline.keywords if keyword.name.endswith("_id")]


def star_identifiers(pipeline: Pipeline, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return what splits go by, shape ``(n,)``: TIC ids, or Gaia ids of stars without one."""
    found = pc.coalesce(batch.column("tic_id"), file_identifiers(pipeline, batch), 0)
    return np.asarray(found)
