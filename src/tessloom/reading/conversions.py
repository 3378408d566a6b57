"""Light curves as other packages have them: pandas, astropy, lightkurve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.reading.extras import extra

if TYPE_CHECKING:
    from astropy.timeseries import TimeSeries
    from lightkurve import LightCurve as LightkurveLightCurve
    from pandas import DataFrame

    from tessloom.reading.light_curve import LightCurve

# BTJD is BJD - 2457000, on the scale TDB.
_BTJD = 2_457_000.0


def to_pandas(light_curve: LightCurve) -> DataFrame:
    """Return a light curve as a data frame; see `LightCurve.to_pandas`."""
    frame: DataFrame = extra("pandas", "pandas").DataFrame(
        dict(light_curve.columns) | light_curve.places()
    )
    header = light_curve.headers[0]
    frame.attrs = {
        "pipeline": light_curve.pipeline.name,
        "tic_id": header["tic_id"],
        "gaia_dr3_id": header["gaia_dr3_id"],
        "units": {name: light_curve.units[name] for name in light_curve.columns},
    }
    return frame


def to_astropy(light_curve: LightCurve) -> TimeSeries:
    """Return a light curve as a time series; see `LightCurve.to_astropy`."""
    from astropy.table import Column  # noqa: PLC0415
    from astropy.time import Time  # noqa: PLC0415
    from astropy.timeseries import TimeSeries  # noqa: PLC0415

    known = np.isfinite(light_curve.time)
    time = Time(light_curve.time[known], _BTJD, format="jd", scale="tdb")
    series = TimeSeries(time=time)
    for name, values in light_curve.columns.items():
        if name != "time":
            series[name] = Column(values[known], unit=light_curve.units[name] or None)
    for name, values in light_curve.places().items():
        series[name] = values[known]
    series.meta |= _cards(light_curve)
    return series


def to_lightkurve(light_curve: LightCurve) -> LightkurveLightCurve:
    """Return a light curve as lightkurve's; see `LightCurve.to_lightkurve`."""
    lightkurve = extra("lightkurve", "lightkurve")
    series = to_astropy(light_curve)
    series["time"].format = "btjd" if "btjd" in series["time"].FORMATS else "jd"
    first, shared = light_curve.headers[0], light_curve.header
    # There ``sector`` is the value in meta, or else the column.
    series.remove_columns([name for name in light_curve.places() if name in shared])
    offset = light_curve.normalised.get("flux") == "offset"
    meta = series.meta | {
        "LABEL": light_curve.name,
        "TARGETID": first["tic_id"] or first["gaia_dr3_id"],
        "AUTHOR": light_curve.pipeline.name.upper(),
        "MISSION": "TESS",
        # Its to_fits takes one number, or none.
        "SECTOR": shared.get("sector"),
        "SECTORS": list(light_curve.sectors),
        "CAMERA": shared.get("camera"),
        "CCD": shared.get("ccd"),
        "RA": first["ra"],
        "DEC": first["dec"],
        "NORMALIZED": not light_curve.units["flux"] and not offset,
    }
    made: LightkurveLightCurve = lightkurve.TessLightCurve(data=series, meta=meta)
    return made


def _cards(light_curve: LightCurve) -> dict[str, Any]:
    """Return the header values that FITS can hold, by the archive's names of their cards."""
    cards: dict[str, Any] = {"OBJECT": light_curve.name, "TELESCOP": "TESS"}
    for keyword in light_curve.pipeline.keywords:
        value = light_curve.header.get(keyword.name)
        if not keyword.fits or value is None:
            continue
        if isinstance(value, float):
            if not math.isfinite(value):
                continue
            value /= keyword.scale
        cards[keyword.fits[0]] = value
    return cards
