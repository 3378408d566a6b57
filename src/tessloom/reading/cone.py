"""Circles on the sky: which pixels they touch, and which stars lie in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import healpix
import numpy as np
import pyarrow.compute as pc

from tessloom.errors import RequestError

if TYPE_CHECKING:
    import numpy.typing as npt

_ROUNDING = 1e-9  # degrees


class Cone:
    """A circle on the sky.

    Parameters
    ----------
    ra, dec
        Of its centre, degrees, ICRS.
    radius
        Degrees.

    Raises
    ------
    RequestError
        It is none.
    """

    def __init__(self, ra: float, dec: float, radius: float) -> None:
        if not (np.isfinite([ra, dec, radius]).all() and abs(dec) <= 90 and 0 <= radius <= 180):
            raise RequestError(
                f"no circle has the centre ({ra}, {dec}) and the radius {radius}: all are in "
                "degrees, dec from -90 to 90, the radius from 0 to 180"
            )
        self._centre = np.array([float(ra)]), np.array([float(dec)])
        self._radius = float(radius)

    def may_touch(self, order: int, pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which pixels the circle may touch; not one that it does touch is left out."""
        if not len(pixels):
            return np.zeros(0, bool)
        ra, dec = healpix.pix2ang(2**order, pixels, nest=True, lonlat=True)
        return self._distance(ra, dec) <= self._radius + _largest_reach(order)

    def holds(
        self, ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Return which positions lie in the circle."""
        return self._distance(ra, dec) <= self._radius

    def box(self) -> pc.Expression:
        """Return a condition on ``ra`` and ``dec`` that holds for all positions in the circle.

        Statistics of row groups can tell where it does not hold.
        """
        ((ra,), (dec,)), radius = self._centre, self._radius + _ROUNDING
        east, north = pc.field("ra"), pc.field("dec")
        band = (north >= dec - radius) & (north <= dec + radius)
        if abs(dec) + radius >= 90:
            return band  # a pole lies in the circle, and all meridians meet there
        sine = np.sin(np.radians(radius)) / np.cos(np.radians(dec))
        width = float(np.degrees(np.arcsin(min(1.0, sine)))) + _ROUNDING
        start, stop = (ra - width) % 360, (ra + width) % 360
        inside = (east >= start) & (east <= stop)
        if start > stop:
            inside = (east >= start) | (east <= stop)
        # Who counts meridians otherwise is looked at too.
        return band & (inside | (east < 0) | (east >= 360))

    def _distance(
        self, ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return distances from the centre in degrees, exact for small ones too (haversine)."""
        own_ra, own_dec, ra, dec = (np.radians(values) for values in (*self._centre, ra, dec))
        square = np.sin((dec - own_dec) / 2) ** 2
        square += np.cos(own_dec) * np.cos(dec) * np.sin((ra - own_ra) / 2) ** 2
        return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(square, 0, 1)))))


def _largest_reach(order: int) -> float:
    """Return degrees that no point of a pixel is farther from its centre than.

    Of the pixels of order 0 it is 48 degrees, 0.84 radians, and of finer ones about half as much
    with each order: so 2 / nside radians are enough at every order, and few pixels too many.
    """
    return float(np.degrees(2.0 / 2**order))
