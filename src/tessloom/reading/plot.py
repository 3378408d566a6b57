"""Plots of light curves, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tessloom.reading.light_curve import LightCurve


def plot_light_curve(
    light_curve: LightCurve, axes: Axes | None = None, mask: str | int = "default"
) -> Axes:
    """Plot flux against time, cadences that `mask` leaves out in grey.

    Parameters
    ----------
    axes
        Where to; a new figure's without.
    """
    if axes is None:
        from matplotlib import pyplot as plt  # noqa: PLC0415

        _, axes = plt.subplots(figsize=(10, 3), layout="constrained")
    masked = light_curve.masked(mask)
    known = np.isfinite(light_curve.time) & np.isfinite(light_curve.flux)
    for chosen, colour, label in (
        (known & masked, "0.75", "masked"),
        (~masked, "C0", light_curve.pipeline.name.upper()),
    ):
        time, flux = light_curve.time[chosen], light_curve.flux[chosen]
        axes.plot(time, flux, ".", markersize=2, color=colour, label=label)
    unit = light_curve.units.get("flux")
    axes.set(xlabel="BTJD (days)", ylabel=f"flux ({unit})" if unit else "flux")
    axes.set_title(repr(light_curve).strip("<>"), fontsize="medium", loc="left")
    return axes
