"""TESS-SPOC in the embedded archive: fluxes in e-/s, a row for every cadence."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from tessloom.demo.layout import load_layout
from tessloom.demo.photometry import LIVE, Observation
from tessloom.demo.products._spec import Product
from tessloom.demo.sectors import (
    COARSE_POINT,
    DESATURATION,
    EARTH_POINT,
    INSUFFICIENT_TARGETS,
    MANUAL_EXCLUDE,
    SCATTERED_LIGHT,
    Sector,
    isoformat,
)
from tessloom.demo.sky import Target
from tessloom.pipelines import SPOC

# Cadences for which no flux is given: by simple aperture photometry, and by PDC.
_NO_PHOTOMETRY = COARSE_POINT | EARTH_POINT | DESATURATION
_NO_CORRECTION = _NO_PHOTOMETRY | MANUAL_EXCLUDE | SCATTERED_LIGHT | INSUFFICIENT_TARGETS
# Share of the star's light that the aperture captures, and of the captured light that is its own.
_CAPTURED = 0.91
_CROWDING = 0.97
# Values of the aperture image: collected and read through output A; the background's pixels;
# those of the optimal aperture, which also give the centroid.
_COLLECTED, _BACKGROUND, _OPTIMAL = 65, 69, 75


def _file(sector: Sector, target: Target) -> bytes:
    layout = load_layout("spoc")
    observation = Observation(SPOC.name, sector, target)
    table = _table(observation, layout.dtype)
    image = _aperture(round(target.star.tess_mag))
    values = _header(observation) | {"pixels": int((image == _OPTIMAL).sum())}
    return layout.file(values, table, image.tobytes())


def _table(observation: Observation, dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    sector, target = observation.sector, observation.target
    rate, seconds = observation.rate, observation.seconds
    relative = 1 + observation.variation + observation.noise()
    background = observation.background(800.0)
    aperture = rate * _CAPTURED * (relative + observation.systematics)
    centroid_error = 0.8 * observation.sigma
    columns: dict[str, npt.NDArray[Any]] = {
        "TIME": observation.time,
        "SAP_FLUX": aperture,
        "SAP_FLUX_ERR": np.sqrt((aperture.clip(0) + background) / seconds),
        "SAP_BKG": background,
        "SAP_BKG_ERR": np.sqrt(background / seconds),
        "PDCSAP_FLUX": rate * relative,
        "PDCSAP_FLUX_ERR": np.sqrt((rate * relative.clip(0) + background) / seconds) / _CAPTURED,
        "MOM_CENTR1": target.column + 0.5 + 3 * observation.systematics,
        "MOM_CENTR1_ERR": np.full(len(relative), centroid_error),
        "MOM_CENTR2": target.row + 0.5 - 5 * observation.systematics,
        "MOM_CENTR2_ERR": np.full(len(relative), 1.1 * centroid_error),
        "POS_CORR1": 3 * observation.systematics,
        "POS_CORR2": -5 * observation.systematics,
    }
    table = np.empty(len(relative), dtype)
    measured = sector.quality & _NO_PHOTOMETRY == 0
    corrected = sector.quality & _NO_CORRECTION == 0
    given = {"TIME": sector.observed, "PDCSAP_FLUX": corrected, "PDCSAP_FLUX_ERR": corrected}
    for name, column in columns.items():
        table[name] = np.where(given.get(name, measured), column, np.nan)
    for name in ("PSF_CENTR1", "PSF_CENTR1_ERR", "PSF_CENTR2", "PSF_CENTR2_ERR"):
        table[name] = np.nan
    table["TIMECORR"] = observation.correction * sector.observed
    table["CADENCENO"] = sector.cadences
    table["QUALITY"] = sector.quality
    return table


def _header(observation: Observation) -> dict[str, Any]:
    sector, target, star = observation.sector, observation.target, observation.target.star
    start, stop = observation.time[0] - sector.step / 2, observation.time[-1] + sector.step / 2
    return observation.header(float(start), float(stop), len(observation.time)) | {
        "date": sector.processed,
        "date_start": isoformat(start),
        "date_stop": isoformat(stop),
        "ra_now": star.ra_at(2014.93 + start / 365.25),
        "pm_total": float(np.hypot(star.pmra, star.pmdec)),
        "teff": f"{star.teff:.8f}",
        "logg": f"{star.logg:.8f}",
        "mh": "" if np.isnan(star.mh) else f"{star.mh:.8f}",
        "radius": f"{star.radius:.8f}",
        # The catalogue's version was written as a number in 2019 and 2020.
        "tic_version": "8" if sector.exposure == 1800 and not sector.south else "'8.2'",
        "live": LIVE * float(stop - start),
        "frames": sector.exposure // 2,
        "readouts": sector.exposure * 2 // 5,
        "cdpp": 1e6 * observation.sigma * (sector.exposure / 7200) ** 0.5,
        "crowding": _CROWDING,
        "captured": _CAPTURED,
        "column": int(target.column) - 5,
        "row": int(target.row) - 5,
    }


@functools.cache
def _aperture(tess_mag: int) -> npt.NDArray[np.int32]:
    """Return the 11 by 11 image: a round aperture, larger for brighter stars."""
    row, column = np.mgrid[-5:6, -5:6]
    distance = np.hypot(row, column)
    radius = np.clip(4.5 - 0.25 * tess_mag, 1, 3)
    image = np.where(distance > 4.5, _BACKGROUND, _COLLECTED)
    return np.where(distance <= radius, _OPTIMAL, image).astype(">i4")


PRODUCT = Product(
    pipeline=SPOC,
    sectors=(1, 23, 24, 40, 56),
    faintest=11.9,
    command="curl -f --create-dirs -C - --output '{output}' "
    "'https://mast.stsci.edu/api/v0.1/Download/file/?uri=mast:HLSP/{path}'",
    list_header="#TIC_ID,RA,DEC",
    list_row="{star.tic_id:016d},{ra},{dec}",
    order=lambda target: (target.star.tic_id,),
    version=lambda _sector: "v1",
    file=_file,
)
