"""When the demo's sectors were observed: cadences, gaps, quality bits, scattered light.

Start times and cadence numbers are those of the real sectors, so that a demo light curve lies
where a user of TESS expects it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

# Length of a sector's observations and of the pause for the downlink in its middle, in days.
_LENGTH = 26.5
_PAUSE = 0.94

# Bits of the SPOC quality flags (TESS Science Data Products Description Document).
COARSE_POINT, EARTH_POINT, DESATURATION, MANUAL_EXCLUDE = 4, 8, 32, 128
STRAY_LIGHT, SCATTERED_LIGHT, INSUFFICIENT_TARGETS = 2048, 4096, 32768


@dataclass(frozen=True)
class Sector:
    """One sector's observations.

    Attributes
    ----------
    number
        The sector.
    start
        Mid-time of the first cadence at the spacecraft, days since JD 2457000.
    exposure
        Time from one full-frame image to the next, seconds.
    first_cadence
        Number of the first cadence; numbers run on from sector to sector within an era.
    south
        Whether the cameras pointed south of the ecliptic.
    """

    number: int
    start: float
    exposure: int
    first_cadence: int
    south: bool = False

    @property
    def step(self) -> float:
        """Time between two cadences, days."""
        return self.exposure / 86400

    @property
    def orbit(self) -> int:
        """Number of the first of the sector's two orbits."""
        return 2 * self.number + 7

    @property
    def longitude(self) -> float:
        """Ecliptic longitude at which the cameras point, degrees: away from the Sun."""
        return (316 + (self.start - 1325.3) * 360 / 365.25) % 360

    @cached_property
    def times(self) -> Floats:
        """Mid-times of all cadences at the spacecraft, days since JD 2457000."""
        return np.asarray(self.start + np.arange(round(_LENGTH / self.step)) * self.step)

    @cached_property
    def cadences(self) -> Integers:
        """Cadence numbers."""
        return (self.first_cadence + np.arange(len(self.times))).astype(np.int32)

    @cached_property
    def observed(self) -> Mask:
        """Which cadences have data: all but those of the downlink."""
        return np.abs(self.times - self.start - _LENGTH / 2) > _PAUSE / 2

    @cached_property
    def orbit_time(self) -> Floats:
        """Days since the start of the cadence's orbit."""
        elapsed = self.times - self.start
        return np.where(elapsed < _LENGTH / 2, elapsed, elapsed - (_LENGTH + _PAUSE) / 2)

    @cached_property
    def scattered(self) -> Floats:
        """Scattered light of Earth and Moon, 0 to 1: bright when an orbit begins and ends."""
        end = (_LENGTH - _PAUSE) / 2
        scattered = np.exp(-self.orbit_time / 0.35)
        scattered += 0.6 * np.exp((self.orbit_time - end) / 0.3)
        return np.asarray(scattered * self.observed)

    @cached_property
    def disturbed(self) -> Mask:
        """Cadences at which photometry is poor."""
        return self.scattered > 0.25

    @cached_property
    def quality(self) -> Integers:
        """Quality bits as TESS-SPOC gives them."""
        quality = np.zeros(len(self.times), np.int32)
        quality[~self.observed] |= EARTH_POINT
        quality[self.disturbed & (self.orbit_time < 1)] |= SCATTERED_LIGHT
        quality[self.disturbed & (self.orbit_time > 1)] |= STRAY_LIGHT
        second_orbit = np.flatnonzero(self.observed & (self.times > self.start + _LENGTH / 2))
        quality[second_orbit[: round(0.2 / self.step)]] |= INSUFFICIENT_TARGETS
        quality[-round(0.1 / self.step) :] |= MANUAL_EXCLUDE
        wheels = np.diff(np.floor(self.orbit_time / 4.2), prepend=0) > 0
        quality[wheels & self.observed] |= DESATURATION
        quality[np.flatnonzero(wheels & self.observed)[1:2]] |= COARSE_POINT
        return quality

    @property
    def processed(self) -> str:
        """Date on which the files claim to have been made."""
        return f"{_calendar(self.start + 60):%Y-%m-%d}"


def isoformat(time: float) -> str:
    """Return a time in days since JD 2457000 as a FITS date."""
    return _calendar(time).isoformat(timespec="milliseconds")


def _calendar(time: float) -> datetime:
    # JD 2457000.0 is noon of 2014-12-08; the minute between TDB and UTC doesn't matter here.
    return datetime(2014, 12, 8, 12) + timedelta(days=time)  # noqa: DTZ001 - FITS dates are naive


SECTORS = {
    sector.number: sector
    for sector in (
        Sector(1, 1325.3237, 1800, 4697, south=True),
        Sector(23, 1928.1070, 1800, 33631),
        Sector(24, 1955.8021, 1800, 34960),
        Sector(40, 2390.6561, 600, 167500),
        Sector(56, 2825.2520, 200, 690247),
        Sector(57, 2853.3550, 200, 702387),
    )
}
