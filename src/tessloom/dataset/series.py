"""A light curve's columns: FITS records → arrays of the machine's own → elements of Arrow lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tessloom.dataset.schema import ARROW_TYPES
from tessloom.errors import FitsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.pipelines import Column, Pipeline

    Series = npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Source:
    """The FITS column that fills one of ours.

    Attributes
    ----------
    seen_as
        The type as which the FITS column's bytes are taken; None: its own.
    dtype
        Of our column.
    """

    name: str
    seen_as: np.dtype[Any] | None
    dtype: np.dtype[Any]

    def read(self, records: npt.NDArray[np.void]) -> npt.NDArray[Any]:
        """Return the column in the machine's byte order, as a copy."""
        values = records[self.name]
        return (values if self.seen_as is None else values.view(self.seen_as)).astype(self.dtype)


@dataclass(frozen=True, slots=True)
class Sources:
    """What fills the light curve's columns from one kind of table.

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

    def read(self, records: npt.NDArray[np.void]) -> tuple[Series, ...]:
        """Return the columns as `Row.series` has them."""
        return tuple([None if source is None else source.read(records) for source in self.columns])


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
            found[column.name] = Source(name, seen_as, np.dtype(column.dtype))
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


def joined(column: Column, series: Sequence[Series], lengths: npt.NDArray[np.int64]) -> pa.Array:
    """Return one column of all rows end to end; null where a row lacks it."""
    arrow_type = ARROW_TYPES[column.dtype]
    absent = np.array([values is None for values in series], bool)
    if absent.all():
        return pa.nulls(int(lengths.sum()), arrow_type)
    filled = [
        np.zeros(length, column.dtype) if values is None else values
        for values, length in zip(series, lengths.tolist(), strict=True)
    ]
    mask = np.repeat(absent, lengths) if absent.any() else None
    return pa.array(np.concatenate(filled), arrow_type, mask=mask)


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
