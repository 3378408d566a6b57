"""Header values → scalars of the dataset: what a card says, as the type that a column has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tessloom.fits import HeaderValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessloom.pipelines import Keyword

Scalar = int | float | bool | str | None
Converter = Callable[[HeaderValue], Scalar]
# Above it a float may stand for another integer than the one that was written.
_LARGEST_EXACT = 2.0**53


def first(values: Sequence[HeaderValue], positions: Sequence[int], convert: Converter) -> Scalar:
    """Return the first value that can be had as the keyword's type, or None."""
    for position in positions:
        value = values[position]
        if value is not None and (converted := convert(value)) is not None:
            return converted
    return None


def converter(keyword: Keyword) -> Converter:
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
