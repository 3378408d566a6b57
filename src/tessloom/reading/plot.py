"""Plots of light curves, by matplotlib; and what they have in common with plots as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES
from tessloom.reading.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tessloom.reading.light_curve import LightCurve
    from tessloom.reading.masks import Mask

    Range = tuple[float, float]

FIGURES = (".pdf", ".png", ".svg")
TIME_LABEL = "time (BJD - 2457000, days)"
# Of a pipeline, wherever it is plotted.
_COLOURS = dict(zip(PIPELINES, ("#1f5fa8", "#b0521c", "#2f7d4f"), strict=True))
_MASKED = "0.78"
# Days without a cadence that a plot leaves out. A sector lasts 27, and they follow in a few days.
_GAP = 10.0
# Events that last as long as this, in days, count for the range of the flux, however deep they are.
_SHORT = 0.5 / 24
# More points than these are one picture in a PDF or SVG file.
_MANY = 10_000


def plot_light_curve(
    light_curve: LightCurve,
    axes: Axes | None = None,
    mask: Mask = "default",
    column: str = "flux",
) -> Axes:
    """Plot a column against time, cadences that `mask` leaves out in grey.

    Parameters
    ----------
    axes
        Where to; a new figure's without.

    Raises
    ------
    RequestError
        There is no such mask or column, or no matplotlib.
    """
    masked = light_curve.masked(mask, column)
    if axes is None:
        pyplot = extra("matplotlib.pyplot", "plot")
        _, axes = pyplot.subplots(figsize=(10, 3), layout="constrained")
        assert axes is not None  # noqa: S101 - pyplot is Any here
    _draw(axes, light_curve, masked, column)
    if not known(light_curve, column).any():
        _say_nothing_there(axes, column)
    axes.set_xlabel(TIME_LABEL)
    axes.set_title(repr(light_curve).strip("<>"), fontsize="medium", loc="left")
    return axes


def figure(
    light_curves: Mapping[str, LightCurve], title: str, mask: Mask, column: str = "flux"
) -> Figure:
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
        masked = curve.masked(mask, column)
        for number, (start, stop) in enumerate(spans):
            axes = panels[row, number]
            _draw(axes, curve, masked, column)
            margin = 0.02 * (stop - start)
            axes.set_xlim(start - margin, stop + margin)
            axes.locator_params(axis="x", nbins=max(2, int(9 * shares[number])))
            _join(axes, first=number == 0, last=number == len(spans) - 1)
        panels[row, 0].set_title(curve.pipeline.title, loc="left", fontsize="medium")
        panels[row, -1].set_title(
            cadences(curve, masked, column, "grey"), loc="right", fontsize="small", color="0.4"
        )
        if not known(curve, column).any():
            _say_nothing_there(panels[row, len(spans) // 2], column)
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


def flux_range(
    light_curve: LightCurve, masked: npt.NDArray[np.bool_], column: str = "flux"
) -> Range:
    """Return the range of flux that a plot shows: dips and flares are in it, stray points not.

    Without cadences that are not masked it is that of the others.
    """
    time, flux = _ordered(light_curve, ~masked, column)
    if not len(flux):
        time, flux = _ordered(light_curve, masked, column)
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


def known(light_curve: LightCurve, column: str) -> npt.NDArray[np.bool_]:
    """Return which cadences have a time and something in a column."""
    there: npt.NDArray[np.bool_] = np.isfinite(light_curve[column])
    return there & np.isfinite(light_curve.time)


def cadences(
    light_curve: LightCurve, masked: npt.NDArray[np.bool_], column: str, shown: str
) -> str:
    """Return how many cadences there are, how many have no flux, and how many are masked."""
    there = known(light_curve, column)
    lacking = f"{(~there).sum():,} without {column}, " if not there.all() else ""
    return f"{len(there):,} cadences, {lacking}{(there & masked).sum():,} masked ({shown})"


def flux_label(light_curve: LightCurve, column: str = "flux") -> str:
    """Return what a column is, and in which unit."""
    unit, normalised = light_curve.units[column], light_curve.normalised.get(column)
    name = f"{column} - median" if normalised == "offset" else column
    if unit:
        return f"{name} ({unit})"
    return f"relative {name}" if column == "flux" or normalised == "median" else name


def _ordered(
    light_curve: LightCurve, chosen: npt.NDArray[np.bool_], column: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    shown = chosen & known(light_curve, column)
    time, flux = light_curve.time[shown], light_curve[column][shown].astype(np.float64)
    order = np.argsort(time, kind="stable")
    return time[order], flux[order]


def _say_nothing_there(axes: Axes, column: str) -> None:
    axes.text(0.5, 0.5, f"no {column}", transform=axes.transAxes, ha="center", va="center")


def _draw(axes: Axes, light_curve: LightCurve, masked: npt.NDArray[np.bool_], column: str) -> None:
    colour = _COLOURS[light_curve.pipeline.name]
    low, high = flux_range(light_curve, masked, column)
    time, flux = _ordered(light_curve, ~masked, column)
    dots: dict[str, Any] = {"linestyle": "none", "rasterized": len(light_curve) > _MANY}
    size = 3.0 if len(light_curve) < _MANY else 1.5
    axes.plot(
        *_ordered(light_curve, masked, column), marker=".", markersize=size, color=_MASKED,
        label="masked", zorder=1, **dots,
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
    axes.set_ylabel(flux_label(light_curve, column))
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
