"""The files of a catalogue: which there are, and which may have what is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tessloom.dataset.layout import partition_path, partitions
from tessloom.dataset.storage import matching, store_failures
from tessloom.errors import NotInDatasetError
from tessloom.sectors import parse_sectors

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.pipelines import Pipeline
    from tessloom.reading.catalogue import SectorChoice
    from tessloom.reading.cone import Cone
    from tessloom.sectors import Sectors


class Partitions:
    """A pipeline's files, each of one pixel and one sector. They are listed once.

    Parameters
    ----------
    root
        The dataset's directory.
    """

    def __init__(self, root: Path, pipeline: Pipeline) -> None:
        self._root = root
        self._pipeline = pipeline

    @cached_property
    def sectors(self) -> tuple[int, ...]:
        """The sectors of which there is something."""
        return tuple(sorted({sector for _, sector, _ in self._all}))

    def chosen(self, sectors: Sectors | None, cone: Cone | None = None) -> list[Path]:
        """Return the files of some sectors, and of pixels that a cone may touch.

        Raises
        ------
        NotInDatasetError
            There is nothing of a sector that is named, or of all in a range.
        """
        places = self._all
        if sectors is not None:
            wanted = set(sectors.among(self.sectors))
            absent = sorted(wanted - set(self.sectors))
            if absent or not wanted:
                raise NotInDatasetError(
                    f"{self._root} has nothing of sector {_listed(absent) or sectors} "
                    f"from {self._pipeline.title}; it has {_listed(self.sectors)}"
                )
            places = [place for place in places if place[1] in wanted]
        if cone is not None:
            pixels = np.array([pixel for pixel, *_ in places], np.int64)
            touched = cone.may_touch(self._pipeline.healpix_order, pixels).tolist()
            places = [place for place, is_so in zip(places, touched, strict=True) if is_so]
        return [path for *_, path in places]

    def of_pixel(self, pixel: int) -> dict[int, Path]:
        """Return the files of a pixel by sector, which a listing of its directory tells."""
        directory = partition_path(self._root, self._pipeline, pixel, 0).parent
        with store_failures(self._root):
            found = matching(directory, "s[0-9][0-9][0-9][0-9].parquet")
            return {int(path.stem[1:]): path for path in found}

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _all(self) -> list[tuple[int, int, Path]]:
        with store_failures(self._root):
            return list(partitions(self._root, self._pipeline))


def asked(sector: SectorChoice) -> Sectors | None:
    """Return the sectors that are asked for; None: all."""
    return None if sector is None else parse_sectors(sector)


def _listed(sectors: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, sectors))
