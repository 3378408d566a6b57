"""Places and angles in degrees, as numbers or as astropy's objects, without importing astropy."""

from __future__ import annotations

import math
import numbers
from typing import Any

from tessloom.errors import RequestError
from tessloom.whole_number import plain


def degrees(name: str, value: Any) -> float:
    """Return an angle in degrees.

    Parameters
    ----------
    name
        What the error calls it.
    value
        A number of degrees, or an `~astropy.units.Quantity` in any unit of angles.

    Raises
    ------
    RequestError
        It is none.
    """
    given = value
    if hasattr(value, "to_value"):
        try:
            value = value.to_value("deg")
        except (ValueError, TypeError) as error:
            raise RequestError(f"{name} is {given}, which is no angle: {error}") from error
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise RequestError(f"{name} is {given!r}: give a number of degrees, or an astropy Quantity")
    if not math.isfinite(value):
        raise RequestError(f"{name} is {given!r}: no circle is there")
    return float(value)


def circle(ra: Any, dec: Any, radius: Any) -> tuple[float, float, float]:
    """Return centre and radius in degrees, ICRS; see `Catalogue.cone`.

    Raises
    ------
    RequestError
        They are none.
    """
    if hasattr(ra, "transform_to"):
        if dec is not None and radius is not None:
            raise RequestError("give a SkyCoord and a radius, or ra, dec and a radius")
        if not ra.isscalar:
            raise RequestError(f"the SkyCoord has {len(ra)} places: give one")
        radius = dec if radius is None else radius
        place = getattr(ra, "icrs", ra)  # a bare frame that is ICRS has no such attribute
        ra, dec = place.ra, place.dec
    return degrees("ra", ra), degrees("dec", dec), degrees("radius", radius)
