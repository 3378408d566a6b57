"""Ids of stars as people and libraries give them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tessloom.errors import RequestError
from tessloom.whole_number import plain, whole_number

_TEXT = re.compile(r"\s*(?:(tic)|(gaia)(?:\s*(e?dr\d))?)?\s*(\d{1,19})\s*", re.IGNORECASE)
_GAIA_RELEASES = ("dr3", "edr3")  # their ids are the same


class Identifier(NamedTuple):
    """A star's id.

    Attributes
    ----------
    catalogue
        ``tic`` or ``gaia`` (DR3), where that is said; None: it may be of either.
    number
        The id.
    """

    catalogue: str | None
    number: int


def parse_identifier(value: object, name: str = "object_id") -> Identifier:
    """Return the id that is meant.

    Parameters
    ----------
    value
        An integer of Python, numpy or Arrow, a float that is one, or a text: ``217639630``,
        ``TIC 217639630``, ``Gaia DR3 3650000000000000000``.
    name
        The argument's: ``tic`` and ``gaia`` want an id of that catalogue, ``object_id`` takes any.

    Raises
    ------
    RequestError
        It is no id, or one of another catalogue, or a float that may have been another id.
    """
    value = plain(value)
    number, catalogue = whole_number(value), None
    if isinstance(value, str) and (match := _TEXT.fullmatch(value)):
        number = int(match[4])
        catalogue = "tic" if match[1] else "gaia" if match[2] else None
        if (match[3] or "dr3").lower() not in _GAIA_RELEASES:
            raise RequestError(f"{name} is {value!r}: stars are found by their ids of Gaia DR3")
    if number is None and isinstance(value, float | np.floating) and float(value).is_integer():
        raise RequestError(
            f"{name} is the float {value!r}, which can't hold all digits of an id so long, so that "
            "it may have been another star's: give an integer or a text"
        )
    if number is None or not 0 <= number < 2**63:
        raise RequestError(f"{name} is {value!r}, which is no id: give 123 or 'TIC 123'")
    if name not in {catalogue or name, "object_id"}:
        raise RequestError(f"{name} is {value!r}, an id of another catalogue: give {catalogue}=")
    return Identifier(catalogue if name == "object_id" else name, number)


def parse_identifiers(values: object, name: str) -> list[int]:
    """Return many ids of one catalogue, sorted, each once.

    Raises
    ------
    RequestError
        They are no list, array or column, or one of them is no id.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise RequestError(f"{name} is {values!r}: give a list, an array or a column of ids")
    given = values.to_pylist() if hasattr(values, "to_pylist") else values
    return sorted({parse_identifier(value, name).number for value in given})
