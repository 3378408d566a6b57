"""Pixels are those that hats computes, by another library."""

import numpy as np
from astropy.coordinates import Latitude, Longitude
from cdshealpix.nested import lonlat_to_healpix

from tessloom.healpix import ORDER, coarser, healpix_29, pixel_range


def test_pixels_are_those_of_cdshealpix_but_for_rounding_at_borders() -> None:
    generator = np.random.default_rng(7)
    ra = generator.uniform(0, 360, 300_000)
    dec = np.degrees(np.arcsin(generator.uniform(-1, 1, len(ra))))
    dec[:1000] = generator.uniform(89.99, 90, 1000)  # around the poles
    dec[1000:2000] = generator.uniform(-90, -89.99, 1000)
    expected = lonlat_to_healpix(Longitude(ra, "deg"), Latitude(dec, "deg"), ORDER)
    found = healpix_29(ra, dec)
    assert found.dtype == np.int64
    other = found != expected.astype(np.int64)
    assert other.sum() <= 3
    # These lie on a border of their pixels: a thousandth of a second of arc brings them across.
    np.testing.assert_array_equal(
        coarser(found[other], 24), coarser(expected[other].astype(np.int64), 24)
    )


def test_every_position_has_a_pixel_also_poles_and_full_turns() -> None:
    ra = np.array([0.0, 360.0, -10.0, 350.0, 0.0, 0.0])
    dec = np.array([0.0, 0.0, 5.0, 5.0, 90.0, -90.0])
    pixels = healpix_29(ra, dec)
    assert pixels[0] == pixels[1]
    assert pixels[2] == pixels[3]
    assert ((pixels >= 0) & (pixels < 12 * 4**ORDER)).all()


def test_a_coarser_pixel_holds_a_range_of_fine_ones() -> None:
    pixels = healpix_29(np.array([10.0, 200.0]), np.array([-30.0, 60.0]))
    for pixel, coarse in zip(pixels.tolist(), coarser(pixels, 5).tolist(), strict=True):
        first, end = pixel_range(5, coarse)
        assert first <= pixel < end
