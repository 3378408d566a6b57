"""Header values → scalars of the dataset: what a card says, as the type that a column has."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tessloom.fits import HeaderValue

if TYPE_CHECKING:
    from tessloom.pipelines import Keyword

Scalar = int | float | bool | str | None
Reader = Callable[[Sequence[HeaderValue]], Scalar]
# Above it a float may stand for another integer than the one that was written.
_LARGEST_EXACT = 2.0**53


def reader(keyword: Keyword, positions: Sequence[int]) -> Reader:
    """Return what gives a keyword's value: the first that can be had as its type, or None.

    Parameters
    ----------
    positions
        Of its cards among the header values that the result is called with, the preferred first.
    """
    dtype = keyword.dtype
    if dtype == "string":
        return lambda values: _first(values, positions, str)
    if dtype == "bool":
        return lambda values: _first(values, positions, _logical)
    if dtype.startswith("float"):
        return _float_reader(keyword.scale, float(np.finfo(dtype).max), positions)
    limits = np.iinfo(dtype)
    return _integer_reader(int(limits.min), int(limits.max), positions)


def _float_reader(scale: float, largest: float, positions: Sequence[int]) -> Reader:
    usual = positions[0] if positions else None

    def read(values: Sequence[HeaderValue]) -> Scalar:
        # In most files the first card is there and is a number.
        value = None if usual is None else values[usual]
        if type(value) is float:
            number = value * scale
            if -largest <= number <= largest:
                return number
        return _first(values, positions, lambda value: _number(value, scale, largest))

    return read


def _integer_reader(smallest: int, largest: int, positions: Sequence[int]) -> Reader:
    usual = positions[0] if positions else None

    def read(values: Sequence[HeaderValue]) -> Scalar:
        value = None if usual is None else values[usual]
        if type(value) is int and smallest <= value <= largest:
            return value
        return _first(values, positions, lambda value: _integer(value, smallest, largest))

    return read


def _first(
    values: Sequence[HeaderValue],
    positions: Sequence[int],
    convert: Callable[[HeaderValue], Scalar],
) -> Scalar:
    for position in positions:
        value = values[position]
        if value is not None and (converted := convert(value)) is not None:
            return converted
    return None


def _logical(value: HeaderValue) -> bool | None:
    return value if isinstance(value, bool) else None


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
