"""A cone finds all stars in a circle on the sky, at poles and across the first meridian too."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from cdshealpix.nested import lonlat_to_healpix
from hypothesis import given
from hypothesis import strategies as st

from tessloom.reading.cone import Cone

ORDER = 5
_RANDOM = np.random.default_rng(3)
RA = _RANDOM.uniform(0, 360, 4000)
DEC = np.degrees(np.arcsin(_RANDOM.uniform(-1, 1, 4000)))
SKY = SkyCoord(RA, DEC, unit="deg")
PIXELS = lonlat_to_healpix(SKY.ra, SKY.dec, ORDER).astype(np.int64)

circles = st.tuples(
    st.floats(-10, 370),
    st.floats(-90, 90) | st.sampled_from([-90.0, -89.5, 0.0, 89.5, 90.0]),
    st.floats(0, 180) | st.floats(0, 5),
)


@given(circle=circles)
def test_a_cone_holds_what_astropy_finds_and_looks_at_all_of_it(
    circle: tuple[float, float, float],
) -> None:
    ra, dec, radius = circle
    cone = Cone(ra, dec, radius)
    inside = SKY.separation(SkyCoord(ra, dec, unit="deg")).deg
    held = cone.holds(RA, DEC)
    border = np.abs(inside - radius) < 1e-9
    np.testing.assert_array_equal(held[~border], (inside <= radius)[~border])
    # Neither files nor row groups with such stars are passed over.
    assert cone.may_touch(ORDER, PIXELS)[held].all()
    table = pa.table({"ra": RA, "dec": DEC, "number": np.arange(len(RA))})
    looked_at = table.filter(cone.box())["number"].to_numpy()
    assert np.isin(np.flatnonzero(held), looked_at).all()


@pytest.mark.parametrize("radius", [0.0, 0.1, 3.0])
def test_a_star_lies_in_each_circle_around_it(radius: float) -> None:
    for ra, dec in zip(RA[:200], DEC[:200], strict=True):
        cone = Cone(ra, dec, radius)
        table = pa.table({"ra": [ra, ra - 360, ra + 360], "dec": [dec] * 3})
        assert cone.holds(np.array([ra]), np.array([dec])).all()
        assert len(table.filter(cone.box())) == 3


def test_a_small_circle_touches_few_pixels() -> None:
    every = np.arange(12 * 4**ORDER)
    assert 1 <= Cone(10.0, 20.0, 0.1).may_touch(ORDER, every).sum() <= 30
