"""Stars of a build that has not ended: their light curves are there, and the index lacks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from tessloom.dataset.layout import listing_path, partition_path
from tessloom.dataset.listing_file import read_listing_file
from tessloom.dataset.storage import present
from tessloom.errors import NotInDatasetError
from tessloom.healpix import coarser
from tessloom.reading.rows import rows_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tessloom.pipelines import Pipeline


class NotBuiltYetError(NotInDatasetError):
    """The light curve was asked for, and its partition is still to be built."""


def unfinished_rows(
    root: Path, pipeline: Pipeline, column: str, identifier: int, unfinished: Iterable[int]
) -> list[Mapping[str, Any]]:
    """Return a star's rows of some sectors that the index lacks; see `rows.rows_where`.

    What was asked for tells the star's partition, so that few files are read.

    Raises
    ------
    NotBuiltYetError
        The star was asked for, and its partition is still to be built.
    """
    rows: list[Mapping[str, Any]] = []
    to_build = []
    for sector in unfinished:
        for pixel in _pixels_asked_for(root, pipeline, sector, column, identifier):
            path = partition_path(root, pipeline, pixel, sector)
            if present(path.parent, [path]):
                rows += rows_where(path, column, identifier)
            else:
                to_build.append(sector)
    if to_build and not rows:
        raise NotBuiltYetError(
            f"{root} does not have the light curve of {column} {identifier} from {pipeline.title} "
            f"yet, because sector {', '.join(map(str, to_build))} is not finished: run the same "
            "build again"
        )
    return rows


def _pixels_asked_for(
    root: Path, pipeline: Pipeline, sector: int, column: str, identifier: int
) -> list[int]:
    name = "id" if column == pipeline.id_name else column
    path = listing_path(root, pipeline, sector)
    targets = read_listing_file(path, columns=[name, "healpix_29"]).targets
    own = targets.filter(pc.equal(targets[name], identifier))["healpix_29"].drop_null()
    pixels: list[int] = np.unique(coarser(own.to_numpy(), pipeline.healpix_order)).tolist()
    return pixels
