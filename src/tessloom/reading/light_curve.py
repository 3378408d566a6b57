"""One star as one pipeline has it, in one sector or several: arrays, header values, units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np

from tessloom.errors import RequestError, UnknownNameError
from tessloom.reading import conversions
from tessloom.reading.cadences import chosen_cadences, take_cadences
from tessloom.reading.header import Header
from tessloom.reading.masks import masked_bits
from tessloom.reading.names import unknown_name
from tessloom.reading.stitching import stitched

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from astropy.timeseries import TimeSeries
    from lightkurve import LightCurve as LightkurveLightCurve
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from tessloom.pipelines import Pipeline
    from tessloom.reading.masks import Mask

_PLACES = ("sector", "camera", "ccd")


@dataclass(frozen=True, eq=False, repr=False)
class LightCurve:
    """A star's light curve: ``light_curve["background"]`` is a column, ``len`` the cadences.

    Its parts are the light curves of single sectors, and of single CCDs where a star lies on two,
    by sector, camera and CCD; the columns are theirs, end to end. ``light_curve["sector"]``,
    ``camera`` and ``ccd`` are the values at each cadence. ``light_curve[:100]``,
    ``light_curve[light_curve.quality == 0]`` or an array of numbers takes these cadences of all
    columns, and the parts that they are of. To iterate, take `columns`, or `parts`.

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
        Of columns and header values; empty where there is none.
    normalised
        What `stitch` did, by the name of the column: ``median`` or ``offset``.
    """

    pipeline: Pipeline
    columns: Mapping[str, npt.NDArray[Any]]
    headers: tuple[Mapping[str, Any], ...]
    lengths: tuple[int, ...]
    units: Mapping[str, str]
    normalised: Mapping[str, str] = field(default_factory=dict)

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

    @cached_property
    def header(self) -> Header:
        """The header values in which all parts agree: ids, place, magnitude.

        Asking for another is an `UnknownNameError`, and a `KeyError`; see `headers`.
        """
        return Header(self.headers)

    @overload
    def __getitem__(self, name: str) -> npt.NDArray[Any]: ...

    @overload
    def __getitem__(self, name: Any) -> LightCurve: ...

    def __getitem__(self, name: Any) -> Any:
        if not isinstance(name, str):
            return chosen_cadences(self, name)
        if name in self.columns:
            return self.columns[name]
        if name in _PLACES:
            return self.places()[name]
        if name in self.headers[0]:
            raise UnknownNameError(f"{name} is a header value, no column: take header[{name!r}]")
        raise unknown_name("column", name, (*self.columns, *_PLACES))

    def __contains__(self, name: object) -> bool:
        return name in self.columns or name in _PLACES

    def __iter__(self) -> NoReturn:
        raise RequestError(
            "a light curve has columns, cadences and parts: iterate over light_curve.columns, "
            "zip(light_curve.time, light_curve.flux), or light_curve.parts()"
        )

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
            for part, header in zip(self.slices(), self.headers, strict=True)
        ]

    def masked(self, mask: Mask = "default", column: str = "flux") -> npt.NDArray[np.bool_]:
        """Return which cadences are flagged, or have no time or no `column`: shape ``(cadences,)``.

        Parameters
        ----------
        mask
            As in `clean`.

        Raises
        ------
        RequestError
            There is no such mask or column.
        """
        bad: npt.NDArray[np.bool_] = ~(np.isfinite(self.time) & np.isfinite(self[column]))
        for flags, bits in masked_bits(self.pipeline, mask).items():
            if flags in self.columns:
                bad |= (self.columns[flags].astype(np.int64) & bits) != 0
        return bad

    def clean(self, mask: Mask = "default") -> LightCurve:
        """Return the light curve without cadences that are flagged, or have no time or no flux.

        Parameters
        ----------
        mask
            ``default``: what the pipeline recommends; ``hardest``: any bit; bits of `quality`; or
            None: no flag counts.

        Raises
        ------
        RequestError
            There is no such mask.
        """
        return take_cadences(self, np.flatnonzero(~self.masked(mask)))

    def stitch(self, normalise: str | None = None, column: str = "flux") -> LightCurve:
        """Return the light curve with the parts' fluxes on one scale; `clean` it before.

        Parameters
        ----------
        normalise
            ``median``: the flux of each part, and its error, are divided by the median of the
            flux, and are without a unit then; ``offset``: the median is subtracted, for faint
            stars whose background was overestimated; ``none``: they stay as they are.
        column
            Another flux, such as ``sap_flux``.

        Raises
        ------
        RequestError
            No choice is made, there is no such choice or column, or a median is not positive, so
            that nothing can be scaled.
        """
        return stitched(self, normalise, column)

    def to_pandas(self) -> DataFrame:
        """Return the columns, and sector, camera and CCD of each cadence, as a pandas data frame.

        Its ``attrs`` have the pipeline, the ids and the columns' units.

        Raises
        ------
        RequestError
            pandas is not installed.
        """
        return conversions.to_pandas(self)

    def to_astropy(self) -> TimeSeries:
        """Return an astropy ``TimeSeries``; cadences that have no time are left out.

        Its time prints as Julian dates on the scale TDB, since astropy itself has no format for
        BTJD: that is ``series.time.jd - 2457000``. Its ``meta`` has the values of `header` by the
        names of the archive's cards, so that ``series.write("star.fits")`` keeps them. That warns
        of the unit electron/s, which FITS does not know, and keeps it.
        """
        return conversions.to_astropy(self)

    def to_lightkurve(self) -> LightkurveLightCurve:
        """Return lightkurve's ``TessLightCurve`` (``tessloom[lightkurve]``).

        Its ``meta`` has ``SECTORS`` of all parts, and ``SECTOR``, ``CAMERA`` and ``CCD`` where they
        are the same in all: they become cards of a FITS header, which holds one value each.

        Raises
        ------
        RequestError
            It is not installed.
        """
        return conversions.to_lightkurve(self)

    def plot(self, axes: Axes | None = None, mask: Mask = "default", column: str = "flux") -> Axes:
        """Plot flux against time with matplotlib (``tessloom[plot]``); masked cadences are grey.

        Parameters
        ----------
        axes
            To plot into; None: those of a new figure, ``plot().figure``.
        mask
            As in `clean`.
        column
            What is plotted instead of flux.

        Raises
        ------
        RequestError
            There is no such mask or column, or no matplotlib.
        """
        from tessloom.reading.plot import plot_light_curve  # noqa: PLC0415

        return plot_light_curve(self, axes, mask, column)

    def places(self) -> dict[str, npt.NDArray[Any]]:
        """Return sector, camera and CCD of each cadence."""
        return {
            name: np.repeat(np.array([header[name] or 0 for header in self.headers]), self.lengths)
            for name in _PLACES
        }

    def slices(self) -> list[slice]:
        """Return where the parts are in the columns."""
        stops = np.cumsum(self.lengths).tolist()
        return [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]
