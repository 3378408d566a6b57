"""HEALPix numbers of positions, NESTED, at order 29: what HATS sorts and prunes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    # Imported late: it brings astropy along, which costs half a second.
    from astropy.coordinates import Latitude, Longitude  # noqa: PLC0415
    from cdshealpix.nested import lonlat_to_healpix  # noqa: PLC0415

    if not len(ra):
        return np.empty(0, np.int64)
    pixels = lonlat_to_healpix(
        Longitude(ra, "deg", copy=False), Latitude(dec, "deg", copy=False), ORDER
    )
    return np.asarray(pixels).astype(np.int64)


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
