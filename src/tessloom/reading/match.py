"""The stars that several pipelines share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.reading.identifiers import parse_identifier
from tessloom.reading.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tessloom.reading.catalogue import Catalogue, SectorChoice
    from tessloom.reading.dataset import Dataset
    from tessloom.reading.light_curve import LightCurve


class Match(Mapping[int, "dict[str, LightCurve]"], Tabular):
    """The same stars from several pipelines, side by side.

    A mapping: ``match[217639630]["qlp"]`` is the light curve of a TIC id from a pipeline, read when
    it is asked for. It iterates over the TIC ids.

    Attributes
    ----------
    tic_ids
        Sorted, as an Arrow array.
    pipelines
        Names of those that have them all.
    """

    def __init__(
        self, dataset: Dataset, tic_ids: pa.Array, pipelines: tuple[str, ...], sector: SectorChoice
    ) -> None:
        self._dataset = dataset
        self._sector = sector
        self.tic_ids = tic_ids
        self.pipelines = pipelines

    def __getitem__(self, tic: SupportsIndex | str) -> dict[str, LightCurve]:
        if tic not in self:
            raise NotInDatasetError(
                f"TIC {tic} is none of the {len(self):,} stars that are in "
                f"{', '.join(self.pipelines)}"
            )
        number = _number(tic)
        try:
            found = self._dataset.light_curves(
                tic=number, sector=self._sector, pipelines=self.pipelines
            )
        except NotInDatasetError:
            found = {}
        gone = [name for name in self.pipelines if name not in found]
        if gone:
            raise DatasetError(
                f"{self._dataset.root} lists TIC {number} in {', '.join(gone)}, but its light "
                "curves are not there: files are missing; tessloom verify tells which"
            )
        return found

    def __contains__(self, tic: object) -> bool:
        number = _number(tic)
        if number is None or not 0 <= number < 2**63:
            return False
        start, stop = np.searchsorted(self._sorted, [number, number + 1])
        return bool(stop > start)

    def __iter__(self) -> Iterator[int]:
        return iter(self.tic_ids.to_pylist())

    def __len__(self) -> int:
        return len(self.tic_ids)

    def __repr__(self) -> str:
        return f"<{len(self):,} stars that are in {', '.join(self.pipelines)}>"

    def to_arrow(self) -> pa.Table:
        """Return the ids as an Arrow table of one column, ``tic_id``."""
        return pa.table({"tic_id": self.tic_ids})

    @cached_property
    def _sorted(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.tic_ids)


def _number(tic: Any) -> int | None:
    """Return an id as Python has it, or None for what is no id."""
    try:
        return parse_identifier(tic, "tic").number
    except RequestError:
        return None


def shared_ids(catalogues: Sequence[Catalogue], sector: SectorChoice) -> pa.Array:
    """Return the TIC ids that all catalogues have, or have in one of some sectors, sorted.

    Raises
    ------
    NotInDatasetError
        One has nothing of these sectors.
    """
    shared = catalogues[0].index("tic_id").identifiers()
    for catalogue in catalogues if sector is not None else catalogues[1:]:
        ids = catalogue.index("tic_id").identifiers() if sector is None else _ids(catalogue, sector)
        shared = shared.filter(pc.is_in(shared, value_set=ids))
    return shared


def _ids(catalogue: Catalogue, sector: SectorChoice) -> pa.Array:
    selection = catalogue.select(["tic_id"], sector=sector)
    return selection.to_arrow()["tic_id"].unique()
