"""Light curves of one length, cut out of a row group of a dataset, or padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.dataset.schema import LIGHT_CURVE
from tessloom.reading.rows import filled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    # Arrays of equal first axes, by name.
    Arrays = dict[str, npt.NDArray[Any]]

IDS = ("tic_id", "gaia_dr3_id", "sector")


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How a window is taken out of a light curve.

    Attributes
    ----------
    columns
        Of the light curve.
    length
        Cadences.
    at_random
        Whether a window may lie anywhere in a longer light curve; else at its start.
    bits
        What takes cadences out, by the columns of flags.
    reference
        BTJD from which times are counted; None: the first time in each window.
    """

    columns: tuple[str, ...]
    length: int
    at_random: bool
    bits: Mapping[str, int]
    reference: float | None

    @property
    def series(self) -> tuple[str, ...]:
        """The columns of the light curve that are read."""
        return tuple(dict.fromkeys(["time", "flux", *self.columns, *self.bits]))


@dataclass(frozen=True)
class RowGroup:
    """The light curves of a row group, and where their windows are to be.

    Attributes
    ----------
    starts, stops
        Of each window, in elements of `series`.
    """

    windows: Windows
    series: Arrays
    ids: Arrays
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        windows: Windows,
        batch: pa.RecordBatch,
        chosen: npt.NDArray[np.intp],
        random: np.random.Generator,
    ) -> RowGroup:
        """Place windows in the `chosen` rows of a batch."""
        light_curves = batch.column(LIGHT_CURVE)
        lists = {of.name: light_curves.field(number) for number, of in enumerate(light_curves.type)}
        # All lists of a light curve are equally long.
        offsets = lists["time"].offsets.to_numpy().astype(np.int64)
        starts, stops = offsets[:-1][chosen], offsets[1:][chosen]
        if windows.at_random:
            starts += random.integers(0, np.maximum(stops - starts - windows.length, 0) + 1)
        return cls(
            windows,
            {name: filled(of.values) for name, of in lists.items()},
            {name: filled(batch.column(name))[chosen].astype(np.int64) for name in IDS},
            starts,
            np.minimum(stops, starts + windows.length),
        )

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, rows: slice) -> Arrays:
        """Return the windows of some rows; see `batches.Batches.draw`."""
        time, flux = self._window("time", rows), self._window("flux", rows)
        has_time = np.isfinite(time)
        lengths = self.stops[rows] - self.starts[rows]
        if lengths.size and lengths.min() < self.windows.length:
            has_time &= np.arange(self.windows.length) < lengths[:, None]
        good = has_time & np.isfinite(flux)
        for column, bits in self.windows.bits.items():
            flags = self._window(column, rows)
            good &= (flags & np.int64(bits).astype(flags.dtype)) == 0
        reference = self._references(time, has_time)
        cut = {"time": time - reference[:, None], "flux": flux}
        bad = ~good
        for name in self.windows.columns:
            values = cut.get(name)
            values = self._window(name, rows) if values is None else values
            if values.dtype == np.float64:
                values = values.astype(np.float32)
            np.copyto(values, 0, where=bad)
            cut[name] = values
        found = {name: cut[name] for name in self.windows.columns}
        found |= {"mask": good, "time_reference": reference}
        return found | {name: values[rows] for name, values in self.ids.items()}

    def _references(
        self, time: npt.NDArray[np.float64], has_time: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        if self.windows.reference is not None:
            return np.full(len(time), float(self.windows.reference))
        first = has_time.argmax(axis=1)[:, None]
        found = np.take_along_axis(has_time, first, 1)[:, 0]
        return np.where(found, np.take_along_axis(time, first, 1)[:, 0], 0.0)

    def _window(self, name: str, rows: slice) -> npt.NDArray[Any]:
        values = self.series[name]
        starts, stops = self.starts[rows].tolist(), self.stops[rows].tolist()
        window = np.zeros((len(starts), self.windows.length), values.dtype)
        for row, start, stop in zip(window, starts, stops, strict=True):
            row[: stop - start] = values[start:stop]
        return window
