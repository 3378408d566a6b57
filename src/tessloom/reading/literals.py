"""Numbers and texts of a condition in the type of the column that they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tessloom.errors import RequestError
from tessloom.whole_number import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

_Literal = bool | int | float | str


def literal_for(name: str, of: pa.DataType, value: _Literal) -> pa.Scalar:
    """Return a value that a column can be compared with.

    A float becomes as short as the column's are: among float32, 9.8377 is what is stored of it.

    Raises
    ------
    RequestError
        The column can't have such values.
    """
    kind = pa.int64() if pa.types.is_integer(of) else of
    found: _Literal | None
    if pa.types.is_boolean(of):
        found, kinds = bool(value) if value in (0, 1) else None, "true or false"
    elif pa.types.is_string(of):
        found, kinds = _as_text(value), "text"
    elif pa.types.is_integer(of):
        found, kinds = _as_integer(value), "whole numbers of 64 bits"
    else:
        found, kinds = _as_float(value), "numbers"
    if found is None:
        raise RequestError(f"{name} is compared with {value!r}, but it is {kinds}")
    return pa.scalar(found, kind)


def literals_for(name: str, of: pa.DataType, values: Iterable[_Literal]) -> pa.Array:
    """Return values among which a column's may be; see `literal_for`."""
    kind = pa.int64() if pa.types.is_integer(of) else of
    return pa.array([literal_for(name, of, value).as_py() for value in values], kind)


def _as_text(value: _Literal) -> str | None:
    if isinstance(value, str):
        return value
    number = whole_number(value)
    return None if number is None else str(number)


def _as_integer(value: _Literal) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    whole = isinstance(value, str) or number == value
    return number if whole and -(2**63) <= number < 2**63 else None


def _as_float(value: _Literal) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
