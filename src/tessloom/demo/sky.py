"""The demo's stars, and which camera and CCD see them in a sector."""

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tessloom.demo.sectors import Floats, Sector
from tessloom.demo.variability import KINDS, Kind, Parameters
from tessloom.healpix import coarser, healpix_29

_SEED = 20181108
# About 1,400 stars lie in a sector's field of view.
_STARS = 26_000
_OBLIQUITY = np.radians(23.4392911)
# The four cameras are squares of 24 degrees; the strip begins 6 degrees from the ecliptic.
_CAMERA_WIDTH = 24.0
_STRIP_BEGINS = 6.0
_PIXELS = 2048
# A star this close to the border of two CCDs, in degrees, is found on both.
_BORDER = 0.1


class Star(NamedTuple):
    """One star. Angles in degrees, proper motions in mas/yr, the rest in solar units.

    Attributes
    ----------
    tic_id
        0 for a star that the TESS Input Catalog lacks.
    lon, lat
        Ecliptic coordinates.
    mh
        NaN where the metallicity is unknown.
    kind
        Index into `tessloom.demo.variability.KINDS`.
    """

    tic_id: int
    gaia_dr3_id: int
    ra: float
    dec: float
    lon: float
    lat: float
    tess_mag: float
    colour: float
    mass: float
    radius: float
    teff: float
    logg: float
    mh: float
    pmra: float
    pmdec: float
    kind: int
    period: float
    epoch: float
    amplitude: float
    shape: float

    @property
    def tic(self) -> str:
        """The TIC id as text, empty where there is none."""
        return str(self.tic_id or "")

    @property
    def variability(self) -> Kind:
        """The star's class."""
        return KINDS[self.kind]

    def variation(self, time: Floats) -> Floats:
        """Return the relative flux minus 1 at barycentric times, BTJD."""
        parameters = Parameters(
            self.gaia_dr3_id, self.period, self.epoch, self.amplitude, self.shape
        )
        return self.variability.model(parameters, time)

    def ra_at(self, year: float) -> float:
        """Right ascension at an epoch other than J2000."""
        return float(self.ra + self.pmra * (year - 2000) / 3.6e6 / np.cos(np.radians(self.dec)))

    def dec_at(self, year: float) -> float:
        """Declination at an epoch other than J2000."""
        return self.dec + self.pmdec * (year - 2000) / 3.6e6


class Target(NamedTuple):
    """One star on one CCD in one sector; `column` and `row` are pixels of the CCD."""

    star: Star
    camera: int
    ccd: int
    column: float
    row: float


@functools.cache
def stars() -> list[Star]:
    """Return all stars of the sky."""
    generator = np.random.Generator(np.random.PCG64(_SEED))
    lon = generator.uniform(0, 360, _STARS)
    lat = np.degrees(np.arcsin(generator.uniform(-1, 1, _STARS)))
    ra, dec = _equatorial(lon, lat)
    tess_mag = np.round(5.5 + 10.5 * generator.beta(3.6, 1.9, _STARS), 4)
    kind = generator.choice(len(KINDS), _STARS, p=[each.share for each in KINDS])
    mass = np.clip(_of(kind, "mass") * np.exp(0.2 * generator.normal(size=_STARS)), 0.12, 2.6)
    radius = mass**0.9
    teff = 5772 * mass**0.55
    mh = np.where(generator.random(_STARS) < 0.6, np.nan, generator.normal(-0.1, 0.25, _STARS))
    columns: dict[str, npt.NDArray[Any]] = {
        "tic_id": _tic_ids(generator, lat, tess_mag),
        "gaia_dr3_id": _gaia_ids(generator, ra, dec),
        "ra": ra.round(10),
        "dec": dec.round(10),
        "lon": lon,
        "lat": lat,
        "tess_mag": tess_mag,
        "colour": np.clip(0.82 * (5772 / teff) ** 2.2, -0.1, 4.5),
        "mass": mass.round(4),
        "radius": radius.round(4),
        "teff": teff.round(),
        "logg": (4.438 + np.log10(mass / radius**2)).round(4),
        "mh": mh.round(3),
        "pmra": generator.normal(0, 25, _STARS).round(3),
        "pmdec": generator.normal(0, 25, _STARS).round(3),
        "kind": kind,
        "period": _between(generator, kind, "periods"),
        "epoch": generator.uniform(1300, 1315, _STARS),
        "amplitude": _between(generator, kind, "amplitudes"),
        "shape": np.asarray(generator.uniform(*_of(kind, "shapes").T)),
    }
    return [
        Star(*row) for row in zip(*(columns[name].tolist() for name in Star._fields), strict=True)
    ]


def _of(kind: npt.NDArray[np.int64], name: str) -> Floats:
    return np.array([getattr(each, name) for each in KINDS])[kind]


def _between(generator: np.random.Generator, kind: npt.NDArray[np.int64], name: str) -> Floats:
    """Draw from the kind's range, evenly in the logarithm."""
    low, high = np.log(_of(kind, name)).T
    return np.asarray(np.exp(generator.uniform(low, high)))


def _equatorial(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    lon, lat = np.radians(lon), np.radians(lat)
    x = np.cos(lat) * np.cos(lon)
    y = np.cos(lat) * np.sin(lon) * np.cos(_OBLIQUITY) - np.sin(lat) * np.sin(_OBLIQUITY)
    z = np.cos(lat) * np.sin(lon) * np.sin(_OBLIQUITY) + np.sin(lat) * np.cos(_OBLIQUITY)
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))


def _tic_ids(
    generator: np.random.Generator,
    lat: Floats,
    tess_mag: Floats,
) -> npt.NDArray[np.int64]:
    """Return ids that number the stars outwards from the ecliptic.

    So the first targets of a list sorted by TIC id lie on camera 1, as do the first of a list
    sorted by camera, and a small build has stars that all pipelines share.
    """
    rank = np.argsort(np.argsort(np.abs(lat) + generator.normal(0, 0.5, len(lat))))
    numbers = 1_500_000 + np.cumsum(generator.integers(1, 150_000, len(lat)))
    faintest = tess_mag > np.quantile(tess_mag, 0.85)
    missing = faintest & (generator.random(len(lat)) < 0.35)
    return np.where(missing, 0, numbers[rank])


def _gaia_ids(
    generator: np.random.Generator,
    ra: Floats,
    dec: Floats,
) -> npt.NDArray[np.int64]:
    """Return ids whose upper bits are the HEALPix pixel of order 12, as Gaia's are."""
    low = generator.integers(1, 1 << 35, len(ra))
    return coarser(healpix_29(ra, dec), 12) << 35 | low


def sector_targets(sector: Sector) -> list[Target]:
    """Return all stars that a sector's cameras see, in no particular order.

    The strip of four cameras is described by two angles: across it, and along it from the
    ecliptic over the pole. CCDs 1 and 2 are a camera's half on the ecliptic's side. A star on
    the border of two CCDs is listed for both.
    """
    sky = stars()
    lon = np.radians([star.lon - sector.longitude for star in sky])
    lat = np.radians([-star.lat if sector.south else star.lat for star in sky])
    across = np.degrees(np.arcsin(np.cos(lat) * np.sin(lon)))
    along = np.degrees(np.arctan2(np.sin(lat), np.cos(lat) * np.cos(lon))) - _STRIP_BEGINS
    half = _CAMERA_WIDTH / 2
    seen = (np.abs(across) < half) & (along > 0) & (along < 4 * _CAMERA_WIDTH)
    return [
        _target(sky[index], float(across[index]), float(along[index]), right)
        for index in np.flatnonzero(seen)
        for right in (False, True)
        if (across[index] > -_BORDER if right else across[index] < _BORDER)
    ]


def _target(star: Star, across: float, along: float, right: bool) -> Target:
    half = _CAMERA_WIDTH / 2
    camera, within = divmod(along, _CAMERA_WIDTH)
    ccd = 1 + right + 2 * (within >= half)
    column = min(abs(across) / half, 1) * _PIXELS
    return Target(star, int(camera) + 1, int(ccd), column, within % half / half * _PIXELS)
