"""The parts of a light curve on one scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tessloom.errors import RequestError

if TYPE_CHECKING:
    from tessloom.reading.light_curve import LightCurve

_CHOICES = ("median", "offset", "none")


def stitched(light_curve: LightCurve, normalise: str | None, column: str) -> LightCurve:
    """Return a light curve with the fluxes of its parts on one scale; see `LightCurve.stitch`."""
    if normalise not in _CHOICES:
        what = "stitch wants to know how" if normalise is None else f"normalise is {normalise!r}"
        raise RequestError(
            f"{what}: choose 'median' (each sector divided by its own), 'offset' (its median "
            "subtracted) or 'none'"
        )
    values = light_curve[column]
    if values.dtype.kind != "f" or column == "time":
        raise RequestError(f"{column} is no flux, which could be put on one scale")
    if normalise == "none":
        return light_curve
    names = [name for name in (column, f"{column}_err") if name in light_curve.columns]
    scaled = {name: light_curve.columns[name].astype(np.float64) for name in names}
    for part, sector in zip(light_curve.slices(), light_curve.sectors, strict=True):
        known = values[part][np.isfinite(values[part])].astype(np.float64)
        if not len(known):
            continue
        median = float(np.median(known))
        if normalise == "offset":
            scaled[column][part] -= median
            continue
        if median <= 0:
            raise RequestError(
                f"the median {column} of sector {sector} is {median:g}, which nothing can be "
                "divided by: leave the sector out, or take normalise='offset'"
            )
        for each in scaled.values():
            each[part] /= median
    stored = {name: each.astype(light_curve.columns[name].dtype) for name, each in scaled.items()}
    return replace(
        light_curve,
        columns={**light_curve.columns, **stored},
        units={**light_curve.units, **(dict.fromkeys(names, "") if normalise == "median" else {})},
        normalised={**light_curve.normalised, column: normalise},
    )
