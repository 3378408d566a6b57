"""Bytes of one light-curve file → columns and header values: the hot loop.

astropy takes 3 to 6 ms for such a file, at a cost per card and per column. The files of one
pipeline and era differ in their values and in the number of rows alone, so their *layout* is
parsed once and recognised again by comparing bytes; a file then costs a few comparisons, one
``numpy.frombuffer``, one parse per wanted card and, where it has them, its check sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessloom.fits.cards import padded
from tessloom.fits.hdus import check_size, check_sum, promised
from tessloom.fits.layout import parse_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.fits.cards import HeaderValue
    from tessloom.fits.layout import Layout

# Headers vary with what a pipeline did to a star, TESS-SPOC's most: a sector has a few kinds.
_LAYOUTS_KEPT = 32
# No light curve has so many, and memory is not to be filled with the headers of damaged files.
_MOST_CARDS_KEPT = 2000


@dataclass(frozen=True, slots=True)
class LightCurve:
    """One decoded file.

    Attributes
    ----------
    records
        Structured array of shape ``(cadences,)``, big-endian.
    nbytes
        Bytes of memory that `records` keeps.
    values
        The wanted header values in the order they were asked for; None where the card is
        missing or has no value.
    """

    records: npt.NDArray[np.void]
    nbytes: int
    values: tuple[HeaderValue, ...]


class Decoder:
    """Decodes light-curve files; remembers the layouts it has met.

    Parameters
    ----------
    wanted
        ``(hdu, keyword)`` of the header values to read; `hdu` is 0 or 1.
    """

    def __init__(self, wanted: Sequence[tuple[int, str]]) -> None:
        self._wanted = tuple((hdu, f"{keyword:<8}".encode()) for hdu, keyword in wanted)
        self._layouts: list[Layout] = []

    def decode(self, body: bytes) -> LightCurve:
        """Decode one file.

        The check sums of HDU 0 and 1, from which something is read, are checked where the file
        has them; those of further HDUs are for `check_file`.

        Parameters
        ----------
        body
            The whole file. `LightCurve.records` may read from it and keep it alive.

        Raises
        ------
        TruncatedFitsError
            The body is shorter than its headers say.
        CorruptFitsError
            A check sum does not agree with the bytes.
        FitsError
            It is no FITS file with a table in HDU 1, or has a table of an unknown kind.
        """
        layout = self._known(body) or parse_layout(body, self._wanted)
        rows = layout.rows(body)
        end = padded(layout.data + rows * layout.dtype.itemsize)
        check_size(body, end, promised(body, layout.extensions) - 1)
        check_sum(body, 0, layout.table_start, layout.checksums[0])
        check_sum(body, layout.table_start, end, layout.checksums[1])
        self._keep(layout)
        records = np.frombuffer(body, layout.dtype, rows, layout.data)
        if len(body) > 2 * records.nbytes:
            # So that a cube in the primary HDU is not kept in memory.
            records = records.copy()
            return LightCurve(records, records.nbytes, layout.wanted.read(body))
        return LightCurve(records, len(body), layout.wanted.read(body))

    def _known(self, body: bytes) -> Layout | None:
        return next((layout for layout in self._layouts if layout.fits(body)), None)

    def _keep(self, layout: Layout) -> None:
        """Remember the layout of a sound file, the last used first."""
        if self._layouts and self._layouts[0] is layout:
            return
        self._layouts = [kept for kept in self._layouts if kept is not layout]
        if layout.cards <= _MOST_CARDS_KEPT:
            self._layouts.insert(0, layout)
            del self._layouts[_LAYOUTS_KEPT:]
