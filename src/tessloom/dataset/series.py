"""A light curve's columns: FITS records → elements of Arrow lists, copied once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.dataset.schema import ARROW_TYPES
from tessloom.errors import FitsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tessloom.pipelines import Column, Pipeline


@dataclass(frozen=True, slots=True)
class Source:
    """The FITS column that fills one of ours.

    Attributes
    ----------
    seen_as
        The type as which the FITS column's bytes are taken; None: its own.
    """

    name: str
    seen_as: np.dtype[Any] | None


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What fills the light curve's columns from one kind of table; each is equal to itself alone.

    Attributes
    ----------
    dtype
        Of the table's records.
    columns
        One for each column that is wanted; None where the table has nothing for it.
    unknown
        The FITS columns that the declaration does not know.
    """

    dtype: np.dtype[np.void]
    columns: tuple[Source | None, ...]
    unknown: tuple[str, ...]

    def pairs(self, series: Sequence[npt.NDArray[Any]]) -> list[tuple[Source, npt.NDArray[Any]]]:
        """Return what fills each of the `series`, one for each column; nothing for what lacks."""
        return [
            (source, elements)
            for source, elements in zip(self.columns, series, strict=True)
            if source is not None
        ]


def find_sources(pipeline: Pipeline, wanted: Sequence[Column], dtype: np.dtype[np.void]) -> Sources:
    """Return what fills the columns that are `wanted`.

    Raises
    ------
    FitsError
        A column that can't be done without is missing, or one has an unexpected type.
    """
    available = {name.upper(): name for name in dtype.names or ()}
    twice = Counter(name.upper() for name in dtype.names or ())
    found: dict[str, Source] = {}
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
            seen_as = _bits(dtype[name]) if column.flags else None
            found[column.name] = Source(name, seen_as)
    known = {source.name for source in found.values()}
    unknown = tuple(name for name in available.values() if name not in known)
    return Sources(dtype, tuple(found.get(column.name) for column in wanted), unknown)


def _check_type(column: Column, name: str, actual: np.dtype[Any]) -> None:
    # numpy takes 64-bit integers into doubles, which have 53 bits for them.
    rounded = actual.kind in "iu" and actual.itemsize == 8 and np.dtype(column.dtype).kind == "f"
    if actual.subdtype is not None or rounded or not np.can_cast(actual, column.dtype, "safe"):
        raise FitsError(
            f"column {name} has the type {actual}, which does not fit into {column.dtype}"
        )


def _bits(flags: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return as what flags are seen so that the highest bit of a narrow integer is no sign."""
    return np.dtype(flags.str.replace("i", "u")) if flags.itemsize < 4 else None


def end_to_end(
    tables: Sequence[tuple[npt.NDArray[np.void], Sources]],
    columns: Sequence[Column],
    lengths: npt.NDArray[np.int64],
) -> Iterator[pa.Array]:
    """Yield each column of all tables end to end; null where a table lacks it.

    Parameters
    ----------
    tables
        Records, and what fills the columns from them.
    lengths
        Of the tables, shape ``(n,)``.
    """
    count = int(lengths.sum())
    kinds = {sources for _, sources in tables}
    lacking = [[kind for kind in kinds if kind.columns[at] is None] for at in range(len(columns))]
    # From Arrow's memory, which keeps its pages: a new page costs more than what is copied to it.
    buffers = [pa.allocate_buffer(count * np.dtype(column.dtype).itemsize) for column in columns]
    series = [np.frombuffer(*of) for of in zip(buffers, (c.dtype for c in columns), strict=True)]
    _copy(tables, lengths, {kind: kind.pairs(series) for kind in kinds})
    for column, lack, buffer, elements in zip(columns, lacking, buffers, series, strict=True):
        arrow_type = ARROW_TYPES[column.dtype]
        if len(lack) == len(kinds):
            yield pa.nulls(count, arrow_type)
        elif lack:
            absent = np.repeat([sources in lack for _, sources in tables], lengths)
            elements[absent] = 0
            yield pa.array(elements, arrow_type, mask=absent)
        else:
            yield pa.Array.from_buffers(arrow_type, count, [None, buffer])


def _copy(
    tables: Sequence[tuple[npt.NDArray[np.void], Sources]],
    lengths: npt.NDArray[np.int64],
    pairs: Mapping[Sources, Sequence[tuple[Source, npt.NDArray[Any]]]],
) -> None:
    """Copy the columns of tables end to end; to where, `pairs` tells for each kind of table.

    Table by table, so that its records come out of main memory once and then from the caches.
    """
    stops = np.cumsum(lengths).tolist()
    for (records, kind), start, stop in zip(tables, [0, *stops[:-1]], stops, strict=True):
        for source, elements in pairs[kind]:
            values = records[source.name]
            elements[start:stop] = values if source.seen_as is None else values.view(source.seen_as)


def repeated(
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
