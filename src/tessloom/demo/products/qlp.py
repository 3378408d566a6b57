"""QLP in the embedded archive: normalised flux, cadences without data left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tessloom.demo.layout import load_layout
from tessloom.demo.photometry import Observation
from tessloom.demo.products._spec import Product
from tessloom.demo.sectors import COARSE_POINT, DESATURATION, STRAY_LIGHT, Sector
from tessloom.demo.sky import Target
from tessloom.pipelines import QLP

# At the same cadence QLP's time is later than TESS-SPOC's: seen in sectors 24 and 25.
_DELAY = 1.92 / 86400
# Bits that QLP takes over from TESS-SPOC.
_COMMON_BITS = COARSE_POINT | DESATURATION | STRAY_LIGHT


@dataclass(frozen=True)
class _Era:
    layout: str
    detrended: str
    low_precision: int


_EARLY = _Era("qlp", "KSPSAP_FLUX", 1 << 12)
_FROM_56 = _Era("qlp-s56", "DET_FLUX", 1 << 30)


def _file(sector: Sector, target: Target) -> bytes:
    era = _FROM_56 if sector.number >= 56 else _EARLY
    layout = load_layout(era.layout)
    observation = Observation(QLP.name, sector, target)
    table = _table(observation, era, layout.dtype)
    star, time = target.star, table["TIME"]
    values = observation.header(float(time[0]), float(time[-1]), len(time)) | {
        "mh": -1.0 if np.isnan(star.mh) else star.mh,
        "ra_2015": star.ra_at(2015.5),
        "dec_2015": star.dec_at(2015.5),
    }
    return layout.file(values, table)


def _table(observation: Observation, era: _Era, dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    sector, target, kept = observation.sector, observation.target, observation.sector.observed
    noise = observation.noise()
    detrended = 1 + observation.detrended
    corrected = 1 + observation.variation + noise
    background = observation.background(200.0)
    flux = era.detrended
    columns: dict[str, npt.NDArray[Any]] = {
        "TIME": observation.time + _DELAY,
        "CADENCENO": sector.cadences,
        "SAP_FLUX": corrected + observation.systematics,
        flux: detrended + noise,
        f"{flux}_ERR": np.full(len(kept), observation.sigma),
        "QUALITY": (sector.quality & _COMMON_BITS) | sector.disturbed * era.low_precision,
        "ORBITID": np.where(sector.times < sector.times.mean(), sector.orbit, sector.orbit + 1),
        "SAP_X": target.column + 3 * observation.systematics,
        "SAP_Y": target.row - 5 * observation.systematics,
        "SAP_BKG": background - 200,
        "SAP_BKG_ERR": 300 + background / 4,
        f"{flux}_SML": detrended + noise + observation.noise(0.3),
        f"{flux}_LAG": detrended + noise + observation.noise(0.6),
        "SYS_RM_FLUX": corrected,
    }
    table = np.empty(int(kept.sum()), dtype)
    for name in dtype.names or ():
        table[name] = columns[name][kept]
    return table


PRODUCT = Product(
    pipeline=QLP,
    sectors=(1, 23, 24, 40, 56, 57),
    faintest=13.5,
    command="curl -f --create-dirs --output '{output}' "
    "'https://mast.stsci.edu/api/v0.1/Download/file/?uri=mast:HLSP/{path}'",
    list_header="#TIC_ID,RA,DEC,TMAG",
    list_row="{star.tic_id},{ra},{dec},{star.tess_mag}",
    order=lambda target: (target.star.tic_id,),
    version=lambda sector: "v02" if sector >= 57 else "v01",
    file=_file,
)
