"""A pipeline's light curves as Hugging Face datasets has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.storage import is_local

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datasets import Dataset, IterableDataset


def hugging_face_dataset(paths: Sequence[Path], *, streaming: bool) -> Dataset | IterableDataset:
    """Return the rows of files; see `Catalogue.to_hf`."""
    import datasets  # noqa: PLC0415 - the extra

    files = [str(path) if is_local(path) else path.as_uri() for path in paths]
    # Each column keeps its own type: else numpy's format turns doubles into float32.
    stars = datasets.load_dataset(
        "parquet", data_files={"light_curves": files}, split="light_curves", streaming=streaming
    )
    return stars if streaming else stars.with_format("numpy", dtype=None)
