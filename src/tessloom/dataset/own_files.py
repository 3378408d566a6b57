"""Which files of a directory are its dataset's own: what builds, margins and splits write.

The directory is the user's as well: notes, notebooks and checkpoints come to lie in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tessloom.dataset.croissant import CROISSANT
from tessloom.dataset.layout import CARD, catalogue_directory, index_directory
from tessloom.dataset.margins import COLLECTION
from tessloom.dataset.splits import SPLITS_FILE
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.pipelines import Pipeline

_AT_THE_TOP = {CARD, CROISSANT, SPLITS_FILE}
_PROPERTIES = ("hats.properties", "properties")
_CATALOGUE = (*_PROPERTIES, "partition_info.csv", "dataset/_common_metadata")
_INDEX = (
    *_PROPERTIES,
    "dataset/_metadata",
    "dataset/_common_metadata",
    "dataset/index/part.0.parquet",
)
_MARGIN = re.compile(r"([^/]+)/margin_[0-9.e-]+arcs/")


def own_files(root: Path, dataset_format: DatasetFormat, names: Iterable[str]) -> list[str]:
    """Return those of some files that tessloom writes under these names.

    Parameters
    ----------
    names
        Their paths below `root`, with slashes.
    """
    pipelines = [dataset_format.declare(pipeline) for pipeline in PIPELINES.values()]
    owners = {dataset_format.directory(root, each).name: each for each in pipelines}
    beside = {path for each in pipelines for path in _beside(root, dataset_format, each)}

    def is_own(name: str) -> bool:
        owner = owners.get(name.partition("/")[0])
        if owner is None:
            return name in _AT_THE_TOP
        # A margin is laid out as the catalogue is.
        path = root / _MARGIN.sub(r"\1/catalog/", name, count=1)
        return path in beside or dataset_format.place(root, owner, path) is not None

    return [name for name in names if is_own(name)]


def _beside(root: Path, dataset_format: DatasetFormat, pipeline: Pipeline) -> Iterator[Path]:
    """Yield what may stand beside the light curves; only Parquet files have all of it."""
    for sector in dataset_format.sectors(root, pipeline):
        yield dataset_format.listing_path(root, pipeline, sector)
    yield root / pipeline.name / COLLECTION
    yield from (catalogue_directory(root, pipeline) / name for name in _CATALOGUE)
    for column in pipeline.indexes:
        yield from (index_directory(root, pipeline, column) / name for name in _INDEX)
