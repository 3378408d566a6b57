"""Light curves of one length, cut out of a row group of a dataset, or padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.dataset.nulls import filled
from tessloom.dataset.schema import LIGHT_CURVE
from tessloom.dataset.splits import star_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    # Arrays of equal first axes, by name.
    Arrays = dict[str, npt.NDArray[Any]]

# Cadences whose flags are looked at together: what is computed stays in a processor's cache.
_AT_A_TIME = 2**15


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How a window is taken out of a light curve.

    Attributes
    ----------
    columns
        Of the light curve.
    headers
        Header values that go with it.
    length
        Cadences.
    at_random
        Whether a window may lie anywhere in a longer light curve; else at its start.
    bits
        What takes cadences out, by the columns of flags.
    min_cadences
        That are to be used in a window; with fewer it is left out.
    reference
        BTJD from which times are counted; None: the first time in each window.
    """

    columns: tuple[str, ...]
    headers: tuple[str, ...]
    length: int
    at_random: bool
    bits: Mapping[str, int]
    min_cadences: int
    reference: float | None

    @property
    def series(self) -> tuple[str, ...]:
        """The columns of the light curve that are read."""
        return tuple(dict.fromkeys(["time", "flux", *self.columns, *self.bits]))


@dataclass(frozen=True)
class RowGroup:
    """The light curves of a row group, and where their windows are.

    Attributes
    ----------
    series
        The columns that were asked for, and ``mask``, which is true where a cadence is to be used;
        one light curve after the other.
    starts, stops
        Of each window, in elements of `series`.
    headers
        What there is one of for each window, and ``time_reference``: from when its times are
        counted.
    """

    series: Arrays
    starts: list[int]
    stops: list[int]
    headers: Arrays

    @classmethod
    def of(
        cls, windows: Windows, batch: pa.RecordBatch, chosen: npt.NDArray[np.intp], key: int
    ) -> RowGroup:
        """Place windows in the `chosen` rows of a batch.

        Parameters
        ----------
        key
            Places windows at random: each star in each sector where the key has it.
        """
        light_curves = batch.column(LIGHT_CURVE)
        lists = {of.name: light_curves.field(number) for number, of in enumerate(light_curves.type)}
        series = {name: filled(of.values) for name, of in lists.items()}
        headers = {name: filled(batch.column(name))[chosen] for name in windows.headers}
        # All lists of a light curve are equally long.
        offsets = lists["time"].offsets.to_numpy().astype(np.int64)
        starts, stops = offsets[:-1][chosen], offsets[1:][chosen]
        if windows.at_random:
            free = np.maximum(stops - starts - windows.length, 0) + 1
            starts += (_fractions(headers, key) * free).astype(np.int64)
        stops = np.minimum(stops, starts + windows.length)
        has_time = np.isfinite(series["time"])
        mask = _usable(windows, series, has_time)
        if windows.reference is None:
            headers["time_reference"] = _first_times(series["time"], has_time, starts, stops)
        else:
            headers["time_reference"] = np.full(len(starts), float(windows.reference))
        places = zip(starts.tolist(), stops.tolist(), strict=True)
        used = [
            np.count_nonzero(mask[start:stop]) >= windows.min_cadences for start, stop in places
        ]
        return cls(
            {name: series[name] for name in windows.columns} | {"mask": mask},
            starts[used].tolist(),
            stops[used].tolist(),
            {name: values[used] for name, values in headers.items()},
        )

    def __len__(self) -> int:
        return len(self.starts)


def _usable(
    windows: Windows, series: Arrays, has_time: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return which cadences have a time and a flux, and no flag that takes them out."""
    usable = np.empty_like(has_time)
    for start in range(0, len(usable), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        good = np.isfinite(series["flux"][some], out=usable[some])
        good &= has_time[some]
        for column, bits in windows.bits.items():
            flags = series[column][some]
            good &= (flags & np.int64(bits).astype(flags.dtype)) == 0
    return usable


def _first_times(
    time: npt.NDArray[np.float64],
    known: npt.NDArray[np.bool_],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the first time that is known in each window; 0 where there is none."""
    first, with_end = starts.copy(), np.append(known, False)
    for row in np.flatnonzero(~with_end[starts]).tolist():
        first[row] += with_end[starts[row] : stops[row] + 1].argmax()
    inside = (first < stops) & with_end[first]
    times = np.zeros(len(starts))
    times[inside] = time[first[inside]]
    return times


def _fractions(headers: Arrays, key: int) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each star and sector."""
    stars = np.where(headers["tic_id"] > 0, headers["tic_id"], headers["gaia_dr3_id"])
    return star_fractions(stars ^ (key ^ headers["sector"].astype(np.int64) << 48))
