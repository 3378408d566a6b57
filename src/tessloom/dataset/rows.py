"""Decoded files → rows of the dataset, as Arrow arrays made from buffers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.dataset.schema import ARROW_TYPES, arrow_schema
from tessloom.errors import FitsError, WrongTargetError
from tessloom.fits import HeaderValue
from tessloom.pipelines import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.fits import LightCurve
    from tessloom.pipelines import Column, Keyword, Pipeline

Scalar = int | float | bool | str | None
_Converter = Callable[[HeaderValue], Scalar]
# A pipeline's eras have a few kinds of tables; those of damaged files are not to fill the memory.
_KINDS_KEPT = 32
# Above it a float may stand for another integer than the one that was written.
_LARGEST_EXACT = 2.0**53


@dataclass(frozen=True, slots=True)
class Row:
    """One light curve that has been checked and is ready to be written.

    Attributes
    ----------
    records
        The FITS table's rows, of shape ``(cadences,)``, at least one.
    object_id
        The TIC id as text, or without one the id of the file's name.
    scalars
        Values of `Pipeline.keywords`, in their order.
    synthetic
        Whether the file says that it is based on simulated data.
    """

    records: npt.NDArray[np.void]
    object_id: str
    scalars: tuple[Scalar, ...]
    synthetic: bool

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
            (index, column)
            for index, column in enumerate(pipeline.columns)
            if columns is None or column.name in columns
        ]
        self._sources: dict[tuple[str, ...], _Sources] = {}
        self._readers = [
            (_converter(keyword), tuple(self._want(keyword.hdu, name) for name in keyword.fits))
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
        scalars = [_first(values, positions, convert) for convert, positions in self._readers]
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
        self._sources_of(curve.records)
        tic_id = scalars[self._tic_id]
        object_id = str(identifier if tic_id is None else tic_id)
        return Row(curve.records, object_id, tuple(scalars), values[0] is True)

    def unknown_columns(self, rows: Sequence[Row]) -> Counter[str]:
        """Count the FITS columns that the declaration does not know."""
        unknown: Counter[str] = Counter()
        for row in rows:
            unknown.update(self._sources_of(row.records).unknown)
        return unknown

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
        lengths = np.array([len(row.records) for row in rows])
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        list_offsets = pa.array(offsets, pa.int32())
        sources = [self._sources_of(row.records) for row in rows]
        light_curve = self.schema.field("lightcurve").type
        lists = []
        for position, (index, column) in enumerate(self._columns):
            if column.repeats:
                elements = _repeated(column, scalars[column.repeats], lengths)
            else:
                names = [source.names[index] for source in sources]
                elements = _gathered(column, rows, names, offsets)
            lists.append(
                pa.ListArray.from_arrays(
                    list_offsets, elements, type=light_curve.field(position).type
                )
            )
        return pa.StructArray.from_arrays(lists, fields=list(light_curve))

    def _sources_of(self, records: npt.NDArray[np.void]) -> _Sources:
        names = records.dtype.names or ()
        sources = self._sources.get(names)
        if sources is None or sources.dtype != records.dtype:
            sources = _find_sources(self._pipeline, records.dtype)
            if len(self._sources) == _KINDS_KEPT:
                self._sources.clear()
            self._sources[names] = sources
        return sources


@dataclass(frozen=True, slots=True)
class _Sources:
    """Which FITS column of one kind of file fills which column of ours."""

    dtype: np.dtype[np.void]
    names: tuple[str | None, ...]  # in the order of Pipeline.columns
    unknown: tuple[str, ...]


def _find_sources(pipeline: Pipeline, dtype: np.dtype[np.void]) -> _Sources:
    available = {name.upper(): name for name in dtype.names or ()}
    twice = Counter(name.upper() for name in dtype.names or ())
    names: list[str | None] = []
    for column in pipeline.columns:
        name = next((available[n.upper()] for n in column.fits if n.upper() in available), None)
        if name is None and column.required:
            raise FitsError(
                f"the table has no column {' or '.join(column.fits)}; "
                f"it has {', '.join(available.values())}"
            )
        if name is not None:
            if twice[name.upper()] > 1:
                raise FitsError(f"the table has more than one column {name}, if case is ignored")
            _check_type(column, name, dtype[name])
        names.append(name)
    unknown = tuple(name for name in available.values() if name not in names)
    return _Sources(dtype, tuple(names), unknown)


def _check_type(column: Column, name: str, actual: np.dtype[Any]) -> None:
    # numpy takes 64-bit integers into doubles, which have 53 bits for them.
    rounded = actual.kind in "iu" and actual.itemsize == 8 and np.dtype(column.dtype).kind == "f"
    if actual.subdtype is not None or rounded or not np.can_cast(actual, column.dtype, "safe"):
        raise FitsError(
            f"column {name} has the type {actual}, which does not fit into {column.dtype}"
        )


def _gathered(
    column: Column,
    rows: Sequence[Row],
    names: Sequence[str | None],
    offsets: npt.NDArray[np.int64],
) -> pa.Array:
    """Return one column of all rows end to end, in the machine's byte order."""
    arrow_type = ARROW_TYPES[column.dtype]
    total = int(offsets[-1])
    if not any(names):
        return pa.nulls(total, arrow_type)
    elements = np.zeros(total, column.dtype)
    absent = None
    for row, name, start, stop in zip(
        rows, names, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True
    ):
        if name is not None:
            elements[start:stop] = _bits(row.records[name]) if column.flags else row.records[name]
        else:
            absent = np.zeros(total, bool) if absent is None else absent
            absent[start:stop] = True
    return pa.array(elements, arrow_type, mask=absent)


def _bits(flags: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return flags.view(flags.dtype.str.replace("i", "u")) if flags.dtype.itemsize < 4 else flags


def _repeated(
    column: Column, values: Sequence[float | None], lengths: npt.NDArray[np.int64]
) -> pa.Array:
    """Return each value as often as its light curve is long; null what the type can't hold."""
    largest = np.finfo(column.dtype).max
    known = np.array([value is not None and not abs(value) > largest for value in values], bool)
    numbers = np.array(
        [value if is_known else 0 for value, is_known in zip(values, known, strict=True)],
        column.dtype,
    )
    mask = None if known.all() else np.repeat(~known, lengths)
    return pa.array(np.repeat(numbers, lengths), ARROW_TYPES[column.dtype], mask=mask)


def _first(values: Sequence[HeaderValue], positions: Sequence[int], convert: _Converter) -> Scalar:
    """Return the first value that can be had as the keyword's type, or None."""
    for position in positions:
        value = values[position]
        if value is not None and (converted := convert(value)) is not None:
            return converted
    return None


def _converter(keyword: Keyword) -> _Converter:
    """Return what turns a header value into the keyword's type, or into None if it can't be."""
    dtype = keyword.dtype
    if dtype == "string":
        return str
    if dtype == "bool":
        return lambda value: value if isinstance(value, bool) else None
    if dtype.startswith("float"):
        largest_float = float(np.finfo(dtype).max)
        return lambda value: _number(value, keyword.scale, largest_float)
    limits = np.iinfo(dtype)
    smallest, largest = int(limits.min), int(limits.max)
    return lambda value: _integer(value, smallest, largest)


def _number(value: HeaderValue, scale: float, largest: float) -> float | None:
    if value is None or isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return None
    try:
        number = float(value) * scale
    except ValueError:
        return None
    return number if -largest <= number <= largest or math.isnan(number) else None


def _integer(value: HeaderValue, smallest: int, largest: int) -> int | None:
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT else None
    if value is None or isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if smallest <= number <= largest else None
