"""A pipeline's light curves as Hugging Face datasets has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.dataset.identity import id_columns, star_identifiers
from tessloom.dataset.storage import is_local, store_failures
from tessloom.errors import DatasetError, RequestError
from tessloom.reading.extras import extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from datasets import Dataset, IterableDataset

    from tessloom.dataset.splits import Splits
    from tessloom.pipelines import Pipeline


def hugging_face_dataset(
    root: Path,
    pipeline: Pipeline,
    paths: Sequence[Path],
    split: str | None,
    splits: Splits,
    *,
    streaming: bool,
) -> Dataset | IterableDataset:
    """Return the rows of files; see `Catalogue.to_hf`."""
    stars = _load(root, paths, streaming=streaming)
    names = id_columns(pipeline)

    def holds(columns: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        batch = pa.record_batch({name: pa.array(columns[name], pa.int64()) for name in names})
        return splits.holds(split or "", star_identifiers(pipeline, batch))

    if streaming:
        if split is None:
            return stars
        return stars.filter(
            lambda *ids: holds(dict(zip(names, ids, strict=True))).tolist(),
            batched=True,
            input_columns=names,
        )
    chosen = _with_0_for_nulls(stars)
    if split is not None:
        ids = stars.select_columns(names).with_format("arrow")[:]
        chosen = chosen.select(np.flatnonzero(holds(ids.to_pydict())))
    # Each column keeps its own type: else numpy's format turns doubles into float32.
    return chosen.with_format("numpy", dtype=None)


def _load(root: Path, paths: Sequence[Path], *, streaming: bool) -> Any:
    datasets = extra("datasets", "huggingface")
    files = [str(path) for path in paths]
    how: dict[str, Any] = {}
    if not is_local(root):
        if datasets.config.HF_HUB_OFFLINE:
            raise RequestError(
                f"Hugging Face datasets asks no store while HF_HUB_OFFLINE is set: unset it, or "
                f"copy {root} to a local disk"
            )
        stored: Any = root
        files, options = [path.as_uri() for path in paths], dict(stored.storage_options)
        # By itself it takes an earlier copy for the file, whatever has become of that since.
        how["download_config"] = datasets.DownloadConfig(
            cache_dir=datasets.config.DOWNLOADED_DATASETS_PATH,
            use_etag=True,
            storage_options=options,
        )
        how["storage_options"] = options
    try:
        with store_failures(root):
            return datasets.load_dataset(
                "parquet",
                data_files={"light_curves": files},
                split="light_curves",
                streaming=streaming,
                **how,
            )
    except (OSError, pa.ArrowException, datasets.exceptions.DatasetGenerationError) as error:
        if isinstance(error, OSError) and not is_local(root):
            raise
        raise DatasetError(
            f"{root} can't be copied to {datasets.config.HF_DATASETS_CACHE} "
            f"({error.__cause__ or error!r}): make room there if there is none; tessloom verify "
            "names what is damaged"
        ) from error


def _with_0_for_nulls(stars: Dataset) -> Dataset:
    """Put 0 where a whole number is missing: numpy's format would make doubles of all of them."""
    names = stars.column_names
    for field in stars.data.schema:
        column = stars.data.column(field.name)
        if pa.types.is_integer(field.type) and column.null_count:
            filled = np.asarray(column.fill_null(0))
            stars = stars.remove_columns(field.name).add_column(field.name, filled)
    return stars.select_columns(names)
