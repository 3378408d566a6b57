"""A pipeline's light curves as Hugging Face datasets has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.dataset.identity import id_columns, star_identifiers
from tessloom.dataset.storage import is_local
from tessloom.reading.extras import extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from datasets import Dataset, IterableDataset

    from tessloom.dataset.splits import Splits
    from tessloom.pipelines import Pipeline


def hugging_face_dataset(
    pipeline: Pipeline,
    paths: Sequence[Path],
    split: str | None,
    splits: Splits,
    *,
    streaming: bool,
) -> Dataset | IterableDataset:
    """Return the rows of files; see `Catalogue.to_hf`."""
    datasets = extra("datasets", "huggingface")
    files = [str(path) if is_local(path) else path.as_uri() for path in paths]
    stars = datasets.load_dataset(
        "parquet", data_files={"light_curves": files}, split="light_curves", streaming=streaming
    )
    names = id_columns(pipeline)

    def holds(columns: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        batch = pa.record_batch({name: pa.array(columns[name], pa.int64()) for name in names})
        return splits.holds(split or "", star_identifiers(pipeline, batch))

    if streaming:
        if split is None:
            return stars
        return stars.filter(
            lambda *of: holds(dict(zip(names, of, strict=True))).tolist(),
            batched=True,
            input_columns=names,
        )
    chosen = _with_0_for_nulls(stars)
    if split is not None:
        ids = stars.select_columns(names).with_format("arrow")[:]
        chosen = chosen.select(np.flatnonzero(holds(ids.to_pydict())))
    # Each column keeps its own type: else numpy's format turns doubles into float32.
    return chosen.with_format("numpy", dtype=None)


def _with_0_for_nulls(stars: Dataset) -> Dataset:
    """Put 0 where a whole number is missing: numpy's format would make doubles of all of them."""
    names = stars.column_names
    for field in stars.data.schema:
        column = stars.data.column(field.name)
        if pa.types.is_integer(field.type) and column.null_count:
            filled = np.asarray(column.fill_null(0))
            stars = stars.remove_columns(field.name).add_column(field.name, filled)
    return stars.select_columns(names)
