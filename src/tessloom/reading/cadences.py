"""Cadences that are chosen as those of an array are: by a slice, a mask, or their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.errors import RequestError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tessloom.reading.light_curve import LightCurve


def chosen_cadences(light_curve: LightCurve, chosen: Any) -> LightCurve:
    """Return some cadences of a light curve, and the parts in which they are.

    Parameters
    ----------
    chosen
        A slice, an array of as many booleans as there are cadences, or one of numbers.

    Raises
    ------
    RequestError
        It is none of these, names a cadence that is not there, or mixes up the parts.
    """
    taken = take_cadences(light_curve, _numbers(chosen, len(light_curve)))
    left = [number for number, length in enumerate(taken.lengths) if length]
    if not left:  # there is always a header
        return taken
    return replace(
        taken,
        headers=tuple(taken.headers[number] for number in left),
        lengths=tuple(taken.lengths[number] for number in left),
    )


def take_cadences(light_curve: LightCurve, numbers: npt.NDArray[np.intp]) -> LightCurve:
    """Return some cadences of a light curve by their numbers; all its parts stay."""
    lengths = light_curve.lengths
    part = np.repeat(np.arange(len(lengths)), lengths)[numbers]
    if (np.diff(part) < 0).any():
        raise RequestError(
            "the order of the sectors would not be kept: choose cadences of single parts()"
        )
    return replace(
        light_curve,
        columns={name: values[numbers] for name, values in light_curve.columns.items()},
        lengths=tuple(np.bincount(part, minlength=len(lengths)).tolist()),
    )


def _numbers(chosen: Any, length: int) -> npt.NDArray[np.intp]:
    try:
        if isinstance(chosen, slice):
            return np.arange(length)[chosen]
        values = np.asarray(None if isinstance(chosen, tuple) else chosen)
    except (TypeError, ValueError) as error:
        raise RequestError(f"no cadences can be chosen by {chosen!r}: {error}") from error
    if values.ndim == 0 and values.dtype.kind in "iu":
        raise RequestError(
            f"for a single cadence take a slice, as light_curve[{chosen}:{int(chosen) + 1}], or "
            f"an array, as light_curve.flux[{chosen}]"
        )
    if values.ndim == 1 and not len(values):
        return np.zeros(0, np.intp)
    if values.ndim != 1 or values.dtype.kind not in "biu":
        raise RequestError(
            "a light curve takes the name of a column; or a slice, a mask of booleans or an array "
            f"of numbers, for some of its cadences; not {chosen!r}"
        )
    if values.dtype.kind == "b":
        if len(values) != length:
            raise RequestError(
                f"the mask has {len(values):,} values, the light curve {length:,} cadences"
            )
        return np.flatnonzero(values)
    try:
        numbers: npt.NDArray[np.intp] = np.arange(length)[values]
    except IndexError as error:
        raise RequestError(f"the light curve has {length:,} cadences: {error}") from error
    return numbers
