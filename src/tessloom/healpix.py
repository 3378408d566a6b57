"""HEALPix numbers of positions, NESTED, at order 29: what HATS sorts and prunes by.

But for rounding on borders the library gives the pixels of cdshealpix, which hats uses and a test
compares with; that one brings astropy along, two thirds of a second at each start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import healpix
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

ORDER = 29


def healpix_29(ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the order-29 pixels of positions.

    Parameters
    ----------
    ra, dec
        Arrays of shape ``(n,)``, degrees. All must satisfy `is_position`.
    """
    if not len(ra):
        return np.empty(0, np.int64)
    pixels = healpix.ang2pix(2**ORDER, ra, dec, nest=True, lonlat=True)
    return np.asarray(pixels, np.int64)


def is_position(ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which of the positions are positions: finite, and the declination on the sphere."""
    return np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)


def coarser(pixels: npt.NDArray[np.int64], order: int) -> npt.NDArray[np.int64]:
    """Return the pixels of `order` in which order-29 pixels lie."""
    return pixels >> (2 * (ORDER - order))


def pixel_range(order: int, pixel: int) -> tuple[int, int]:
    """Return the first order-29 pixel of a pixel, and the one after its last."""
    shift = 2 * (ORDER - order)
    return pixel << shift, (pixel + 1) << shift
