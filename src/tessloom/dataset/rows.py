"""Decoded files → rows of the dataset, as Arrow arrays made from buffers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.dataset.header_values import reader
from tessloom.dataset.schema import ARROW_TYPES, arrow_schema
from tessloom.dataset.series import end_to_end, find_sources, repeated
from tessloom.errors import FitsError, WrongTargetError
from tessloom.pipelines import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.dataset.header_values import Scalar
    from tessloom.dataset.series import Sources
    from tessloom.fits import LightCurve
    from tessloom.pipelines import Pipeline

# A pipeline's eras have a few kinds of tables; those of damaged files are not to fill the memory.
_KINDS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Row:
    """One light curve that has been checked and is ready to be written.

    Attributes
    ----------
    records
        The file's table, of shape ``(cadences,)`` with at least one, as it is in the file.
    sources
        Which of its columns fill those of the dataset.
    object_id
        The TIC id as text, or without one the id of the file's name.
    scalars
        Values of `Pipeline.keywords`, in their order.
    synthetic
        Whether the file says that it is based on simulated data.
    nbytes
        Bytes of memory that the light curve takes.
    """

    records: npt.NDArray[np.void]
    sources: Sources
    object_id: str
    scalars: tuple[Scalar, ...]
    synthetic: bool
    nbytes: int

    @property
    def cadences(self) -> int:
        """Length of the light curve."""
        return len(self.records)


class RowFormat:
    """How one pipeline's files become rows.

    Parameters
    ----------
    columns
        Names of the light curve's columns that batches shall have. None: all.

    Attributes
    ----------
    schema
        Of the batches.
    wanted
        Header cards that `fits.Decoder` must read for `row`.
    """

    def __init__(self, pipeline: Pipeline, columns: frozenset[str] | None = None) -> None:
        self.schema = arrow_schema(pipeline, columns)
        self.wanted: list[tuple[int, str]] = [(0, SIMULATED)]
        self._pipeline = pipeline
        self._columns = [
            column for column in pipeline.columns if columns is None or column.name in columns
        ]
        self._copied = [column for column in self._columns if not column.repeats]
        self._sources: dict[tuple[str, ...], Sources] = {}
        self._readers = [
            reader(keyword, [self._want(keyword.hdu, name) for name in keyword.fits])
            for keyword in pipeline.keywords
        ]
        self._identity_positions = [self._want(0, name) for name in pipeline.identity]
        self._names = [keyword.name for keyword in pipeline.keywords]
        self._id, self._tic_id, self._sector, self._camera, self._ccd = (
            self._names.index(name)
            for name in (pipeline.id_name, "tic_id", "sector", "camera", "ccd")
        )

    def row(self, curve: LightCurve, sector: int, identifier: int, camera: int, ccd: int) -> Row:
        """Check a decoded file and return its row.

        Parameters
        ----------
        sector, identifier, camera, ccd
            What the file's name says; camera and CCD are 0 where it does not.

        Raises
        ------
        WrongTargetError
            The file's header names another star, sector or CCD.
        FitsError
            A column that can't be done without is missing, or one has an unexpected type, or the
            light curve has no cadence (LSDB can't hold an empty list).
        """
        values = curve.values
        scalars = [read(values) for read in self._readers]
        found = next(
            (values[position] for position in self._identity_positions if values[position]), None
        )
        if found is not None and str(found) != str(identifier):
            raise WrongTargetError(f"the file is of star {found}, its name says {identifier}")
        if found is None:
            scalars[self._id] = identifier
        for what, index, named in (
            ("sector", self._sector, sector),
            ("camera", self._camera, camera),
            ("CCD", self._ccd, ccd),
        ):
            scalar = scalars[index]
            if scalar is None:
                scalars[index] = named or None
            elif named and scalar != named:
                raise WrongTargetError(f"the file is of {what} {scalar}, its name says {named}")
        if not len(curve.records):
            raise FitsError("the light curve has no cadences")
        tic_id = scalars[self._tic_id]
        object_id = str(identifier if tic_id is None else tic_id)
        return Row(
            records=curve.records,
            sources=self._sources_of(curve.records),
            object_id=object_id,
            scalars=tuple(scalars),
            synthetic=values[0] is True,
            nbytes=curve.nbytes,
        )

    def positions(self, rows: Sequence[Row]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return ra and dec of the headers, shape ``(n,)``; NaN where a header has none."""
        ra, dec = (
            np.array([row.scalars[self._names.index(name)] for row in rows], np.float64)
            for name in ("ra", "dec")
        )
        return ra, dec

    def batch(
        self,
        rows: Sequence[Row],
        healpix: npt.NDArray[np.int64],
        ra: npt.NDArray[np.float64],
        dec: npt.NDArray[np.float64],
    ) -> pa.RecordBatch:
        """Return rows as a batch of `schema`.

        Parameters
        ----------
        healpix, ra, dec
            Arrays of shape ``(n,)``.
        """
        columns = zip(*(row.scalars for row in rows), strict=True)
        scalars: dict[str, Any] = dict(zip(self._names, columns, strict=True))
        scalars |= {"ra": ra, "dec": dec}
        arrays = [
            pa.array(healpix),
            pa.array([row.object_id for row in rows], pa.string()),
            *(
                pa.array(scalars[keyword.name], ARROW_TYPES[keyword.dtype])
                for keyword in self._pipeline.keywords
            ),
            self._light_curves(rows, scalars),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _want(self, hdu: int, keyword: str) -> int:
        if (hdu, keyword) not in self.wanted:
            self.wanted.append((hdu, keyword))
        return self.wanted.index((hdu, keyword))

    def _light_curves(self, rows: Sequence[Row], scalars: dict[str, Any]) -> pa.StructArray:
        lengths = np.array([row.cadences for row in rows])
        offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
        light_curve = self.schema.field("lightcurve").type
        tables = [(row.records, row.sources) for row in rows]
        copied = end_to_end(tables, self._copied, lengths)
        lists = []
        for column, field in zip(self._columns, light_curve, strict=True):
            elements = (
                repeated(column, scalars[column.repeats], lengths)
                if column.repeats
                else next(copied)
            )
            lists.append(pa.ListArray.from_arrays(offsets, elements, type=field.type))
        return pa.StructArray.from_arrays(lists, fields=list(light_curve))

    def _sources_of(self, records: npt.NDArray[np.void]) -> Sources:
        names = records.dtype.names or ()
        sources = self._sources.get(names)
        if sources is None or sources.dtype != records.dtype:
            sources = find_sources(self._pipeline, self._copied, records.dtype)
            if len(self._sources) == _KINDS_KEPT:
                self._sources.clear()
            self._sources[names] = sources
        return sources
