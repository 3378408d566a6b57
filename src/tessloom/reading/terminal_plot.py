"""Plots of light curves as text, in the size of a terminal.

Characters of Braille have two by four dots each, so 80 columns show 160 points in time.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessloom.reading.plot import (
    TIME_LABEL,
    cadences,
    flux_label,
    flux_range,
    known,
    time_spans,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from tessloom.reading.light_curve import LightCurve
    from tessloom.reading.masks import Mask
    from tessloom.reading.plot import Range

_BRAILLE = 0x2800
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_MASKED = "x"
# Of a panel: its title, its axis, the labels below it.
_AROUND = 3
_LEAST_ROWS = 5
_LEAST_COLUMNS = 8
# Where there is no room for more.
_SHORT_TIME_LABEL = "BTJD, days"
_PLAIN = str.maketrans({"│": "|", "┤": "+", "└": "+", "─": "-", "┴": "+", "·": "-", "┊": ":"})


def text_plot(
    light_curves: Mapping[str, LightCurve],
    title: str,
    *,
    mask: Mask = "default",
    column: str = "flux",
    width: int = 80,
    height: int = 48,
    plain: bool = False,
) -> str:
    """Return a plot of one star's light curves, a panel each, on a common axis of time.

    Parameters
    ----------
    width, height
        Of the whole in characters; where panels would be too flat, it is higher.
    plain
        Whether to do with ASCII.
    """
    curves = list(light_curves.values())
    rows = max(_LEAST_ROWS, (height - 2) // max(len(curves), 1) - _AROUND)
    spans = time_spans(curves) or [(0.0, 1.0)]
    lines = textwrap.wrap(title, width)
    for curve in curves:
        lines += _panel(curve, column, mask, spans, (width, rows), plain=plain)
    label = TIME_LABEL if len(TIME_LABEL) <= width else _SHORT_TIME_LABEL
    lines.append(label.rjust(width))
    text = "\n".join(line.rstrip() for line in lines)
    return text.translate(_PLAIN).encode("ascii", "replace").decode() if plain else text


@dataclass(frozen=True)
class _Columns:
    """Where times are on an axis from which the long gaps are left out.

    Attributes
    ----------
    spans
        What is shown.
    starts, widths
        Columns of each.
    """

    spans: Sequence[Range]
    starts: Sequence[int]
    widths: Sequence[int]

    @classmethod
    def of(cls, spans: Sequence[Range], width: int) -> _Columns:
        free = max(width - (len(spans) - 1), 2 * len(spans))
        lengths = np.array([stop - start for start, stop in spans])
        widths = np.maximum((free * lengths / lengths.sum()).astype(int), 2)
        widest = int(np.argmax(widths))
        widths[widest] = max(widths[widest] - max(widths.sum() - free, 0), 2)
        starts = np.cumsum([0, *(widths[:-1] + 1)])
        return cls(spans, starts.tolist(), widths.tolist())

    @property
    def width(self) -> int:
        return self.starts[-1] + self.widths[-1]

    def place(self, time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the column of each time, with its fraction."""
        found = np.zeros(len(time))
        for (start, stop), first, width in zip(self.spans, self.starts, self.widths, strict=True):
            inside = (time >= start) & (time <= stop)
            share = (time[inside] - start) / (stop - start)
            found[inside] = first + np.clip(share * width, 0, width - 0.01)
        return found

    def axis(self) -> tuple[str, str]:
        """Return the axis and the labels below it."""
        line, below = ["─"] * self.width, [" "] * self.width
        free = 0
        for (start, stop), first, width in zip(self.spans, self.starts, self.widths, strict=True):
            if first:
                line[first - 1] = "┊"
            for tick, label in _ticks(start, stop, max(width // 12, 1 + (width > 10))):
                column = int(self.place(np.array([tick]))[0])
                begin = max(min(column - len(label) // 2, self.width - len(label)), 0)
                if begin < free or begin + len(label) > self.width or column >= first + width:
                    continue
                line[column] = "┴"
                below[begin : begin + len(label)] = label
                free = begin + len(label) + 1
        return "".join(line), "".join(below)


def _panel(
    curve: LightCurve,
    column: str,
    mask: Mask,
    spans: Sequence[Range],
    size: tuple[int, int],
    *,
    plain: bool,
) -> Iterator[str]:
    width, rows = size
    masked = curve.masked(mask, column)
    counts, label = cadences(curve, masked, column, _MASKED), flux_label(curve, column)
    yield from textwrap.wrap(f"{curve.pipeline.title} · {counts} · {label}", width)
    low, high = flux_range(curve, masked, column)
    ticks = {
        min(int((high - tick) / (high - low) * rows), rows - 1): label
        for tick, label in _ticks(low, high, max(rows // 4, 2))
    }
    margin = max(map(len, ticks.values()), default=0) + 1
    columns = _Columns.of(spans, max(width - margin - 1, _LEAST_COLUMNS))
    shape, limits = (rows, columns), (low, high)
    for row, line in enumerate(_canvas(curve, masked, column, shape, limits, plain=plain)):
        label = ticks.get(row, "")
        yield f"{label:>{margin}}{'┤' if label else '│'}{line}"
    line, labels = columns.axis()
    yield f"{'':{margin}}└{line}"
    yield f"{'':{margin}} {labels}"


def _canvas(
    curve: LightCurve,
    masked: npt.NDArray[np.bool_],
    column: str,
    shape: tuple[int, _Columns],
    limits: Range,
    *,
    plain: bool,
) -> list[str]:
    """Return the points; masked ones where there are no others; ^ and v for those beyond."""
    (rows, columns), (low, high) = shape, limits
    there = known(curve, column)
    down, across = _DOTS.shape
    dots = np.zeros((rows * down, columns.width * across), bool)
    letters = np.full((rows, columns.width), " ")
    if not there.any():
        middle = f"no {column}".center(columns.width)[: columns.width]
        letters[rows // 2] = list(middle)
    at = columns.place(np.where(there, curve.time, 0))
    height = (high - curve[column].astype(np.float64)) / (high - low)
    inside = there & (height >= 0) & (height < 1)
    shown = inside & masked
    letters[(height[shown] * rows).astype(int), at[shown].astype(int)] = _MASKED
    shown = inside & ~masked
    dots[(height[shown] * rows * down).astype(int), (at[shown] * across).astype(int)] = True
    cells = (dots.reshape(rows, down, -1, across) * _DOTS[None, :, None, :]).sum(axis=(1, 3))
    for beyond, row, letter in ((height < 0, 0, "^"), (height >= 1, rows - 1, "v")):
        there_too = at[there & ~masked & beyond].astype(int)
        letters[row, there_too] = letter
        cells[row, there_too] = 0
    drawn = np.array([["." if plain else chr(_BRAILLE + cell) for cell in row] for row in cells])
    return ["".join(row) for row in np.where(cells > 0, drawn, letters)]


def _ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Return round numbers of a range, `most` of them or a few less, as numbers and as text."""
    least = (high - low) / most
    power = 10.0 ** np.floor(np.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    numbers = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return [(float(number), f"{number:.{decimals}f}") for number in numbers]
