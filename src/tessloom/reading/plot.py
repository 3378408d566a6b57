"""Plots of light curves, by matplotlib; and what they have in common with plots as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.errors import RequestError
from tessloom.reading.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tessloom.reading.light_curve import LightCurve

    Range = tuple[float, float]

FIGURES = (".pdf", ".png", ".svg")
TIME_LABEL = "time (BJD - 2457000, days)"
_COLOURS = ("#1f5fa8", "#b0521c", "#2f7d4f")
_MASKED = "0.78"
# Days without a cadence that a plot leaves out. A sector lasts 27, and they follow in a few days.
_GAP = 10.0
# Events that last as long as this, in days, count for the range of the flux, however deep they are.
_SHORT = 0.5 / 24
# More points than these are one picture in a PDF or SVG file.
_MANY = 10_000


def plot_light_curve(
    light_curve: LightCurve, axes: Axes | None = None, mask: str | int = "default"
) -> Axes:
    """Plot flux against time, cadences that `mask` leaves out in grey.

    Parameters
    ----------
    axes
        Where to; a new figure's without.

    Raises
    ------
    RequestError
        There is no such mask, or no matplotlib.
    """
    masked = light_curve.masked(mask)
    if axes is None:
        pyplot = extra("matplotlib.pyplot", "plot")
        _, axes = pyplot.subplots(figsize=(10, 3), layout="constrained")
        assert axes is not None  # noqa: S101 - pyplot is Any here
    _draw(axes, light_curve, masked, _COLOURS[0])
    axes.set_xlabel(TIME_LABEL)
    axes.set_title(repr(light_curve).strip("<>"), fontsize="medium", loc="left")
    return axes


def figure(light_curves: Mapping[str, LightCurve], title: str, mask: str | int) -> Figure:
    """Return a figure of one star's light curves, a panel each, on a common axis of time.

    Time without cadences of any is left out, so that sectors that are years apart can be seen.
    """
    curves = list(light_curves.values())
    spans = time_spans(curves) or [(0.0, 1.0)]
    shape = (10.0, 0.9 + 2.3 * len(curves))
    made: Figure = extra("matplotlib.figure", "plot").Figure(figsize=shape, layout="constrained")
    lengths = np.array([stop - start for start, stop in spans])
    shares = np.maximum(lengths / lengths.sum(), 0.06)
    panels: npt.NDArray[Any] = made.subplots(
        len(curves),
        len(spans),
        sharex="col",
        sharey="row",
        squeeze=False,
        gridspec_kw={"width_ratios": shares, "wspace": 0.02},
    )
    for row, curve in enumerate(curves):
        masked = curve.masked(mask)
        for column, (start, stop) in enumerate(spans):
            axes = panels[row, column]
            _draw(axes, curve, masked, _COLOURS[row % len(_COLOURS)])
            margin = 0.02 * (stop - start)
            axes.set_xlim(start - margin, stop + margin)
            axes.locator_params(axis="x", nbins=max(2, int(9 * shares[column])))
            _join(axes, first=column == 0, last=column == len(spans) - 1)
        panels[row, 0].set_title(curve.pipeline.title, loc="left", fontsize="medium")
        panels[row, -1].set_title(
            cadences(curve, masked, "grey"), loc="right", fontsize="small", color="0.4"
        )
    made.suptitle(title)
    made.supxlabel(TIME_LABEL, fontsize="medium")
    return made


def check_figure_path(path: Path) -> None:
    """Check that a figure can be saved under a name.

    Raises
    ------
    RequestError
        It ends otherwise than figures do, or its directory is not there.
    """
    if path.suffix.lower() not in FIGURES:
        raise RequestError(f"{path} is no name of a figure: it ends in {', '.join(FIGURES)}")
    if not path.parent.is_dir():
        raise RequestError(f"there is no directory {path.parent} for the figure {path.name}")


def time_spans(light_curves: Iterable[LightCurve]) -> list[Range]:
    """Return when there are cadences: first and last time of each stretch without a long gap."""
    time = np.concatenate([curve.time for curve in light_curves])
    time = np.unique(time[np.isfinite(time)])
    stretches = np.split(time, np.flatnonzero(np.diff(time) > _GAP) + 1)
    return [(float(part[0]), float(part[-1]) + 1e-3) for part in stretches if len(part)]


def flux_range(light_curve: LightCurve, masked: npt.NDArray[np.bool_]) -> Range:
    """Return the range of flux that a plot shows: dips and flares are in it, stray points not.

    Without cadences that are not masked it is that of the others.
    """
    time, flux = _ordered(light_curve, ~masked)
    if not len(flux):
        time, flux = _ordered(light_curve, masked)
    if not len(flux):
        return 0.0, 1.0
    scatter = 0.0
    low = high = float(flux[0])
    if len(flux) >= 3:
        scatter = 1.05 * float(np.median(np.abs(np.diff(flux))))  # of white noise its sigma
        width = 2 * int(max(_SHORT / max(np.median(np.diff(time)), 1e-6), 2) / 2) + 1
        windows = np.lib.stride_tricks.sliding_window_view(flux, min(width, len(flux)))
        smooth = np.median(windows, axis=1)
        low, high = float(smooth.min()), float(smooth.max())
    else:
        low, high = float(flux.min()), float(flux.max())
    margin = 3 * scatter + 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    return low - margin, high + margin


def cadences(light_curve: LightCurve, masked: npt.NDArray[np.bool_], shown: str) -> str:
    """Return how many cadences there are, and how many of them are masked."""
    known = np.isfinite(light_curve.time) & np.isfinite(light_curve.flux)
    return f"{known.sum():,} cadences, {(known & masked).sum():,} masked ({shown})"


def flux_label(light_curve: LightCurve) -> str:
    """Return what flux is measured in."""
    unit = light_curve.units.get("flux")
    return f"flux ({unit})" if unit else "relative flux"


def _ordered(
    light_curve: LightCurve, chosen: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    known = chosen & np.isfinite(light_curve.time) & np.isfinite(light_curve.flux)
    time, flux = light_curve.time[known], light_curve.flux[known].astype(np.float64)
    order = np.argsort(time, kind="stable")
    return time[order], flux[order]


def _draw(axes: Axes, light_curve: LightCurve, masked: npt.NDArray[np.bool_], colour: str) -> None:
    low, high = flux_range(light_curve, masked)
    time, flux = _ordered(light_curve, ~masked)
    dots: dict[str, Any] = {"linestyle": "none", "rasterized": len(light_curve) > _MANY}
    size = 3.0 if len(light_curve) < _MANY else 1.5
    axes.plot(
        *_ordered(light_curve, masked), marker=".", markersize=size, color=_MASKED, label="masked",
        zorder=1, **dots,
    )  # fmt: skip
    axes.plot(
        time, flux, marker=".", markersize=size, color=colour,
        label=light_curve.pipeline.name.upper(), zorder=2, **dots,
    )  # fmt: skip
    # Those beyond the range stand at its edge.
    for beyond, edge, marker in ((flux > high, high, 6), (flux < low, low, 7)):
        axes.plot(
            time[beyond], np.full(beyond.sum(), edge), marker=marker, markersize=4, color=colour,
            alpha=0.6, clip_on=True, zorder=3, linestyle="none",
        )  # fmt: skip
    axes.set_ylim(low, high)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.set_ylabel(flux_label(light_curve))
    axes.tick_params(direction="in", top=True, right=True)


def _join(axes: Axes, *, first: bool, last: bool) -> None:
    """Let a panel that is cut in time look like one."""
    cut: dict[str, Any] = {
        "transform": axes.transAxes, "clip_on": False, "linestyle": "none", "color": "0.3",
        "marker": [(-0.5, -1), (0.5, 1)], "markersize": 8, "markeredgewidth": 0.8,
    }  # fmt: skip
    if not first:
        axes.spines["left"].set_visible(False)
        axes.tick_params(left=False, labelleft=False)
        axes.set_ylabel("")
        axes.plot([0, 0], [0, 1], **cut)
    if not last:
        axes.spines["right"].set_visible(False)
        axes.tick_params(right=False)
        axes.plot([1, 1], [0, 1], **cut)
