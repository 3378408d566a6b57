"""One star in one sector, before a pipeline has made a light curve of it."""

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

from tessloom.demo.sectors import Floats, Sector
from tessloom.demo.sky import Target

# Light needs this many days for the distance from the Sun to the Earth.
_LIGHT_TIME = 499.005 / 86400
# A star of this magnitude gives one electron a second (TESS Instrument Handbook).
_ZERO_POINT = 20.44
# Cosmic-ray mitigation on board and readout leave this share of the time for the exposure.
LIVE = 0.792
# Background in the whole aperture, e-/s, and the noise floor from the pointing's jitter.
_BACKGROUND = 1500.0
_JITTER = 6e-5


class Observation:
    """What the cameras recorded of a target.

    Parameters
    ----------
    pipeline
        Name of the pipeline. Each pipeline's noise is its own, the star's variation is not.
    sector, target
        What is observed.

    Attributes
    ----------
    rate
        Mean flux, e-/s.
    seconds
        Exposure that a cadence adds up.
    sigma
        Relative error of a cadence's flux.
    """

    def __init__(self, pipeline: str, sector: Sector, target: Target) -> None:
        self.sector = sector
        self.target = target
        seed = f"{pipeline} {sector.number} {target.ccd} {target.star.gaia_dr3_id}".encode()
        digest = hashlib.blake2b(seed, digest_size=8).digest()
        self._generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        self.rate = 10 ** (0.4 * (_ZERO_POINT - target.star.tess_mag))
        self.seconds = LIVE * sector.exposure
        photons = ((self.rate + _BACKGROUND) / self.seconds) ** 0.5 / self.rate
        self.sigma = float(np.hypot(photons, _JITTER))

    @cached_property
    def correction(self) -> Floats:
        """Barycentric correction at every cadence, days."""
        star, sector = self.target.star, self.sector
        # Away from the Sun, where the cameras point, is also where the Earth is.
        earth = sector.longitude + (sector.times - sector.start) * (360 / 365.25)
        towards = np.cos(np.radians(star.lat)) * np.cos(np.radians(earth - star.lon))
        return np.asarray(_LIGHT_TIME * towards)

    @cached_property
    def time(self) -> Floats:
        """Barycentric time of every cadence, BTJD."""
        return self.sector.times + self.correction

    @cached_property
    def variation(self) -> Floats:
        """Relative flux minus 1, free of noise."""
        return self.target.star.variation(self.time)

    @property
    def detrended(self) -> Floats:
        """`variation` without what a detrending window of a day removes."""
        return self.variation * (not self.target.star.variability.slow)

    @cached_property
    def systematics(self) -> Floats:
        """Relative drift that the pipelines remove: focus and pointing settle in each orbit."""
        settling, drift = self._generator.normal(0, (0.004, 0.0006), 2)
        orbit = self.sector.orbit_time
        return np.asarray(settling * np.exp(-orbit / 1.5) + drift * (orbit / 5 - 1))

    def noise(self, scale: float = 1.0) -> Floats:
        """Return fresh relative noise, stronger where photometry is poor."""
        noise = self._generator.standard_normal(len(self.sector.times))
        noise *= self.sigma * scale
        noise[self.sector.disturbed] *= 4
        return noise

    def background(self, mean: float) -> Floats:
        """Return the background, e-/s: `mean` and the scattered light."""
        return mean * (1 + 4 * self.sector.scattered + 20 * self.noise() * self.sector.scattered)

    def header(self, start: float, stop: float, rows: int) -> dict[str, Any]:
        """Return the header values that all pipelines give.

        Parameters
        ----------
        start, stop
            First and last time of the file, BTJD.
        rows
            Length of the table.
        """
        return {
            **self.target.star._asdict(),
            "sector": self.sector.number,
            "camera": self.target.camera,
            "ccd": self.target.ccd,
            "exposure": self.sector.exposure,
            "step": self.sector.step,
            "rows": rows,
            "start": start,
            "stop": stop,
            "elapsed": stop - start,
            "start_mjd": start + 56999.5,
            "stop_mjd": stop + 56999.5,
        }
