"""TGLC in the embedded archive: errors in the header, 16-bit flags, ids of Gaia DR3."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tessloom.demo.layout import load_layout
from tessloom.demo.photometry import Observation
from tessloom.demo.products._spec import Product
from tessloom.demo.sectors import Sector
from tessloom.demo.sky import Target
from tessloom.pipelines import TGLC

_NAN = "'NaN'"
# The images are worked on in cut-outs of 150 pixels, each overlapping the next by 4.
_CUT_STEP = 146


def _file(sector: Sector, target: Target) -> bytes:
    layout = load_layout("tglc")
    observation = Observation(TGLC.name, sector, target)
    # The PSF fit fails for some stars; then its errors are the text NaN.
    fitted = target.star.gaia_dr3_id % 41 > 0
    table = _table(observation, layout.dtype, fitted=fitted)
    return layout.file(_header(observation, table["time"], fitted=fitted), table)


def _table(
    observation: Observation, dtype: np.dtype[np.void], *, fitted: bool
) -> npt.NDArray[np.void]:
    sector, kept, rate = observation.sector, observation.sector.observed, observation.rate
    noise = observation.noise()
    flux = 1 + observation.variation + 0.3 * observation.systematics
    detrended = 1 + observation.detrended
    background = observation.background(100.0)
    psf_noise = noise + observation.noise(0.5) if fitted else np.full(len(kept), np.nan)
    columns: dict[str, npt.NDArray[Any]] = {
        "time": observation.time,
        "psf_flux": rate * (flux + psf_noise),
        "aperture_flux": rate * (flux + noise),
        "cal_psf_flux": detrended + psf_noise,
        "cal_aper_flux": detrended + noise,
        "background": background,
        "cadence_num": sector.cadences,
        # Bit 15 of the 32-bit flags becomes the sign.
        "TESS_flags": sector.quality.astype(np.int16),
        "TGLC_flags": background > 250,
    }
    table = np.empty(int(kept.sum()), dtype)
    for name, column in columns.items():
        table[name] = column[kept]
    return table


def _header(
    observation: Observation, time: npt.NDArray[np.float64], *, fitted: bool
) -> dict[str, Any]:
    target, star, rate = observation.target, observation.target.star, observation.rate
    start, stop = float(time[0]), float(time[-1])
    psf, aperture = observation.sigma * 1.12, observation.sigma
    return observation.header(start, stop, len(time)) | {
        "tic": star.tic,
        "gaia_g": star.tess_mag + 0.43 * star.colour,
        "gaia_bp": _number(star.tess_mag + 0.92 * star.colour, valid=star.gaia_dr3_id % 29 > 0),
        "gaia_rp": star.tess_mag + 0.05,
        "raw_flux": rate + 800,
        "star_x": target.column % _CUT_STEP % 1 + 2,
        "star_y": target.row % _CUT_STEP % 1 + 2,
        "cut_x": int(target.column // _CUT_STEP),
        "cut_y": int(target.row // _CUT_STEP),
        "mean_step": (stop - start) / (len(time) - 1),
        "psf_err": _number(rate * psf, valid=fitted),
        "aper_err": _number(rate * aperture),
        "cal_psf_err": _number(psf, valid=fitted),
        "cal_aper_err": _number(aperture),
        "near_edge": "T" if min(target.column, target.row) <= 2 else "F",
        "local_background": 1000 + rate * 1e-3,
    }


def _number(value: float, *, valid: bool = True) -> str:
    return f"{value:.15f}"[:18] if valid else _NAN


PRODUCT = Product(
    pipeline=TGLC,
    sectors=(1, 23, 24, 40),
    faintest=16,
    command="curl -f --create-dirs --output '{output}' 'https://archive.stsci.edu/hlsps/{path}'",
    list_header="#GAIADR3_ID,TIC_ID,RA,DEC",
    list_row="{star.gaia_dr3_id},{star.tic},{ra},{dec}",
    order=lambda target: (target.camera, target.ccd, target.star.gaia_dr3_id),
    version=lambda _sector: "v1",
    file=_file,
)
