"""Whole numbers as libraries give them: numpy's, Arrow's, and the floats that pandas makes."""

from __future__ import annotations

import numpy as np


def plain(value: object) -> object:
    """Return Python's own value of one of numpy's or Arrow's scalars; others as they are."""
    if hasattr(value, "as_py"):
        return value.as_py()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    # A float of fewer digits stays what it is: its digits tell how far it counts.
    return value.item() if isinstance(value, np.generic) and value.dtype.kind != "f" else value


def whole_number(value: object) -> int | None:
    """Return the whole number that a value is; None if it is none.

    A float is one if it has no fraction, and is so small that no other integer is the same float.
    """
    value = plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value) if abs(value) < 2 ** (np.finfo(type(value)).nmant + 1) else None
    return None
