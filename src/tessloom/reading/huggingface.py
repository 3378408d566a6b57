"""A pipeline's light curves as Hugging Face datasets has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tessloom.dataset.storage import is_local, store_failures
from tessloom.errors import DatasetError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datasets import Dataset, IterableDataset


def hugging_face_dataset(
    root: Path, paths: Sequence[Path], *, streaming: bool
) -> Dataset | IterableDataset:
    """Return the rows of files; see `Catalogue.to_hf`."""
    import datasets  # noqa: PLC0415 - the extra

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
            stars = datasets.load_dataset(
                "parquet",
                data_files={"light_curves": files},
                split="light_curves",
                streaming=streaming,
                **how,
            )
    except (pa.ArrowException, datasets.exceptions.DatasetGenerationError) as error:
        raise DatasetError(
            f"{root} can't be copied to {datasets.config.HF_DATASETS_CACHE} "
            f"({error.__cause__ or error!r}): make room there if there is none; tessloom verify "
            "names what is damaged"
        ) from error
    # Each column keeps its own type: else numpy's format turns doubles into float32.
    return stars if streaming else stars.with_format("numpy", dtype=None)
