"""The stars of a catalogue, one row each, without their light curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.identity import file_identifiers, id_columns
from tessloom.reading.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessloom.pipelines import Pipeline
    from tessloom.reading.selection import Selection

USUAL_COLUMNS = ("object_id", "tic_id", "gaia_dr3_id", "ra", "dec", "tess_mag")


@dataclass(frozen=True, eq=False, repr=False)
class Targets(Tabular):
    """The stars of a catalogue; see `Catalogue.targets`.

    Attributes
    ----------
    pipeline
        Whose catalogue it is.
    columns
        Header values, which are those of a star's first light curve.
    headers
        Header values of all light curves: `columns`, ids and sector.
    """

    pipeline: Pipeline
    columns: Sequence[str]
    headers: Selection

    def to_arrow(self) -> pa.Table:
        """Return one row for each star, sorted by id.

        Beside the header values there are ``sectors``, a list of int16, sorted, and
        ``light_curves``, the number of them; a star on two CCDs has two of one sector.
        """
        table = self.headers.to_arrow().combine_chunks()
        stars = _stars(self.pipeline, table)
        sectors = table["sector"].to_numpy()
        order = np.lexsort((sectors, stars))
        stars, sectors = stars[order], sectors[order]
        is_first = np.diff(stars, prepend=-1) != 0
        is_new = is_first | (np.diff(sectors, prepend=0) != 0)
        starts = np.flatnonzero(is_first)
        firsts = table.select(self.columns).take(pa.array(order[starts]))
        ends = np.append(np.flatnonzero(is_first[is_new]), is_new.sum())
        lists = pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()), pa.array(sectors[is_new], pa.int16())
        )
        numbers = pa.array(np.diff(starts, append=len(stars)), pa.int64())
        return firsts.append_column("sectors", lists).append_column("light_curves", numbers)

    def __len__(self) -> int:
        return len(self.to_arrow())

    def __repr__(self) -> str:
        return f"<{self.pipeline.title}: {', '.join(self.columns)}, sectors, light_curves of stars>"


def identifying_columns(pipeline: Pipeline) -> list[str]:
    """Return the header values that say which star a light curve is of, and of which sector."""
    return ["object_id", *id_columns(pipeline), "sector"]


def _stars(pipeline: Pipeline, table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the id that is a star's own in all its light curves, shape ``(n,)``."""
    own = file_identifiers(pipeline, table)
    return np.asarray(pc.coalesce(own, pc.cast(table["object_id"], pa.int64())))
