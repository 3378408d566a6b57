"""One star as one pipeline has it, in one sector or several: arrays, header values, units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.errors import RequestError
from tessloom.reading.extras import extra
from tessloom.reading.masks import masked_bits
from tessloom.reading.rows import column_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from astropy.timeseries import TimeSeries
    from lightkurve import LightCurve as LightkurveLightCurve
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from tessloom.pipelines import Pipeline

_NORMALISATIONS = ("median", "offset", "none")
# BTJD is BJD - 2457000, on the scale TDB.
_BTJD = 2_457_000.0


@dataclass(frozen=True, eq=False, repr=False)
class LightCurve:
    """A star's light curve: ``light_curve["background"]`` is a column, ``len`` the cadences.

    Its parts are the light curves of single sectors, and of single CCDs where a star lies on two,
    in the order of time; the columns are theirs, end to end.

    Attributes
    ----------
    pipeline
        Whose it is.
    columns
        Arrays of shape ``(cadences,)``, by the names that the dataset has. Of a column that a part
        lacks, NaN stands in it, or 0 in one of integers; a column that all lack is not there.
    headers
        What the header of each part says.
    lengths
        Cadences of each part.
    units
        Of columns and header values, where they have one.
    """

    pipeline: Pipeline
    columns: Mapping[str, npt.NDArray[Any]]
    headers: tuple[Mapping[str, Any], ...]
    lengths: tuple[int, ...]
    units: Mapping[str, str]

    @property
    def time(self) -> npt.NDArray[np.float64]:
        """BTJD: BJD - 2457000, TDB, days."""
        return self.columns["time"]

    @property
    def flux(self) -> npt.NDArray[np.float32]:
        """What the pipeline recommends; `units` tells in which unit."""
        return self.columns["flux"]

    @property
    def flux_err(self) -> npt.NDArray[np.float32]:
        """Error of `flux`; NaN where there is none."""
        if "flux_err" in self.columns:
            return self.columns["flux_err"]
        return np.full(len(self), np.nan, np.float32)

    @property
    def quality(self) -> npt.NDArray[np.int32]:
        """Raw quality bits."""
        if "quality" in self.columns:
            return self.columns["quality"]
        return np.zeros(len(self), np.int32)

    @property
    def sectors(self) -> tuple[int, ...]:
        """Sectors of the parts; twice where the star lies on two CCDs."""
        return tuple(header["sector"] for header in self.headers)

    @property
    def header(self) -> Mapping[str, Any]:
        """What the header of the only part says.

        Raises
        ------
        RequestError
            There are several; see `headers` and `parts`.
        """
        if len(self.headers) != 1:
            raise RequestError(
                f"the light curve has parts of sectors {', '.join(map(str, self.sectors))}, each "
                "with a header of its own: take one of headers, or of parts()"
            )
        return self.headers[0]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        try:
            return self.columns[name]
        except KeyError:
            raise RequestError(
                f"the light curve has no column {name!r}; it has {', '.join(self.columns)}"
            ) from None

    def __len__(self) -> int:
        return sum(self.lengths)

    def __repr__(self) -> str:
        sectors = sorted(set(self.sectors))
        where = f"sector{'s' * (len(sectors) > 1)} {', '.join(map(str, sectors))}"
        if len(sectors) < len(self.headers):
            where += f" in {len(self.headers)} parts"
        return f"<{self.pipeline.title}: {self.name}, {where}, {len(self):,} cadences>"

    @property
    def name(self) -> str:
        """The star's: its TIC id, or its Gaia DR3 id if it has none."""
        header = self.headers[0]
        return f"TIC {header['tic_id']}" if header["tic_id"] else f"Gaia {header['gaia_dr3_id']}"

    def parts(self) -> list[LightCurve]:
        """Return the light curves of single sectors and CCDs."""
        return [
            replace(
                self,
                columns={name: values[part] for name, values in self.columns.items()},
                headers=(header,),
                lengths=(part.stop - part.start,),
            )
            for part, header in zip(self._slices(), self.headers, strict=True)
        ]

    def masked(self, mask: str | int = "default") -> npt.NDArray[np.bool_]:
        """Return which cadences `clean` leaves out, shape ``(cadences,)``.

        Parameters
        ----------
        mask
            As in `clean`.

        Raises
        ------
        RequestError
            There is no such mask.
        """
        bad = ~(np.isfinite(self.time) & np.isfinite(self.flux))
        for column, bits in masked_bits(self.pipeline, mask).items():
            if column in self.columns:
                bad |= (self.columns[column].astype(np.int64) & bits) != 0
        return bad

    def clean(self, mask: str | int = "default") -> LightCurve:
        """Return the light curve without cadences that are flagged, or have no time or no flux.

        Parameters
        ----------
        mask
            ``default``: what the pipeline recommends; ``hardest``: any bit; or bits of `quality`.

        Raises
        ------
        RequestError
            There is no such mask.
        """
        good = ~self.masked(mask)
        return replace(
            self,
            columns={name: values[good] for name, values in self.columns.items()},
            lengths=tuple(int(good[part].sum()) for part in self._slices()),
        )

    def stitch(self, normalise: str) -> LightCurve:
        """Return the light curve with the parts' fluxes on one scale; `clean` it before.

        Parameters
        ----------
        normalise
            ``median``: the flux of each part, and its error, are divided by the median of the
            flux, which is without a unit then; ``offset``: the median is subtracted, for faint
            stars whose background was overestimated; ``none``: they stay as they are.

        Raises
        ------
        RequestError
            There is no such choice, or a median is not positive, so that nothing can be scaled.
        """
        if normalise not in _NORMALISATIONS:
            raise RequestError(f"normalise is {normalise!r}: choose from {_NORMALISATIONS}")
        if normalise == "none":
            return self
        columns = dict(self.columns)
        flux, error = self.flux.astype(np.float64), self.flux_err.astype(np.float64)
        for part, sector in zip(self._slices(), self.sectors, strict=True):
            known = flux[part][np.isfinite(flux[part])]
            if not len(known):
                continue
            median = float(np.median(known))
            if normalise == "offset":
                flux[part] -= median
                continue
            if median <= 0:
                raise RequestError(
                    f"the median flux of sector {sector} is {median:g}, which nothing can be "
                    "divided by: leave the sector out, or take normalise='offset'"
                )
            flux[part] /= median
            error[part] /= median
        columns |= {"flux": flux.astype(np.float32), "flux_err": error.astype(np.float32)}
        relative = ("flux", "flux_err") if normalise == "median" else ()
        units = {name: unit for name, unit in self.units.items() if name not in relative}
        return replace(self, columns=columns, units=units)

    def to_pandas(self) -> DataFrame:
        """Return the columns, and sector, camera and CCD of each cadence, as a pandas data frame.

        Raises
        ------
        RequestError
            pandas is not installed.
        """
        frame: DataFrame = extra("pandas", "lsdb").DataFrame(dict(self.columns) | self._places())
        return frame

    def to_astropy(self) -> TimeSeries:
        """Return an astropy ``TimeSeries`` on the scale TDB.

        It has columns with units; cadences that have no time are left out.
        """
        from astropy.table import Column  # noqa: PLC0415
        from astropy.time import Time  # noqa: PLC0415
        from astropy.timeseries import TimeSeries  # noqa: PLC0415

        known = np.isfinite(self.time)
        time = Time(self.time[known], _BTJD, format="jd", scale="tdb")
        series = TimeSeries(time=time)
        for name, values in self.columns.items():
            if name != "time":
                series[name] = Column(values[known], unit=self.units.get(name))
        for name, values in self._places().items():
            series[name] = values[known]
        series.meta["headers"] = [dict(header) for header in self.headers]
        return series

    def to_lightkurve(self) -> LightkurveLightCurve:
        """Return lightkurve's ``TessLightCurve`` (``tessloom[lightkurve]``).

        Its ``meta`` has ``SECTORS`` of all parts, and ``SECTOR``, ``CAMERA`` and ``CCD`` where they
        are the same in all: they become cards of a FITS header, which holds one value each.

        Raises
        ------
        RequestError
            It is not installed.
        """
        lightkurve = extra("lightkurve", "lightkurve")
        series = self.to_astropy()
        series["time"].format = "btjd" if "btjd" in series["time"].FORMATS else "jd"
        header = self.headers[0]
        meta = {"LABEL": self.name, "TARGETID": header["tic_id"] or header["gaia_dr3_id"]}
        meta |= {"AUTHOR": self.pipeline.name.upper(), "MISSION": "TESS"}
        meta |= {"RA": header["ra"], "DEC": header["dec"], "SECTORS": list(self.sectors)}
        for name in ("sector", "camera", "ccd"):
            if len({of[name] for of in self.headers}) == 1:
                meta[name.upper()] = header[name]
        meta |= {"NORMALIZED": "flux" not in self.units}
        made: LightkurveLightCurve = lightkurve.TessLightCurve(data=series, meta=meta)
        return made

    def plot(self, axes: Axes | None = None, mask: str | int = "default") -> Axes:
        """Plot flux against time with matplotlib (``tessloom[plot]``); masked cadences are grey.

        Parameters
        ----------
        axes
            To plot into; None: those of a new figure, ``plot().figure``.
        mask
            As in `clean`.

        Raises
        ------
        RequestError
            matplotlib is not installed, or there is no such mask.
        """
        from tessloom.reading.plot import plot_light_curve  # noqa: PLC0415

        return plot_light_curve(self, axes, mask)

    def _places(self) -> dict[str, npt.NDArray[Any]]:
        return {
            name: np.repeat(np.array([header[name] or 0 for header in self.headers]), self.lengths)
            for name in ("sector", "camera", "ccd")
        }

    def _slices(self) -> list[slice]:
        stops = np.cumsum(self.lengths).tolist()
        return [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]


def end_to_end(pipeline: Pipeline, rows: Sequence[Mapping[str, Any]]) -> LightCurve:
    """Return the light curve whose parts are these rows of a dataset, by the order of time.

    Parameters
    ----------
    rows
        Header values by name, and ``lightcurve``: arrays by name, or None for a column that the
        row lacks.
    """
    rows = sorted(rows, key=lambda row: (row["sector"], row["camera"], row["ccd"]))
    parts: list[Mapping[str, npt.NDArray[Any] | None]] = [row["lightcurve"] for row in rows]
    # Lists of no cadences at all are taken for lists of nulls.
    lengths = tuple(max(len(v) for v in (*part.values(), ()) if v is not None) for part in parts)
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in parts[0]:
        known = next((values for part in parts if (values := part[name]) is not None), None)
        if known is None:
            if name not in ("time", "flux"):
                continue
            known = np.zeros(0, np.float64 if name == "time" else np.float32)
        nothing = np.nan if known.dtype.kind == "f" else 0
        columns[name] = np.concatenate(
            [
                np.full(length, nothing, known.dtype) if values is None else values
                for length, values in zip(lengths, (part[name] for part in parts), strict=True)
            ]
        )
    headers = tuple(
        {name: value for name, value in row.items() if name != "lightcurve"} for row in rows
    )
    return LightCurve(pipeline, columns, headers, lengths, column_units(pipeline))
