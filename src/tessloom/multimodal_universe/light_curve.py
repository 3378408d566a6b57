"""One FITS file as the Multimodal Universe's builder has it in memory: a dict of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessloom.dataset.features import standard_rows
from tessloom.errors import NoPositionError
from tessloom.fits import Decoder
from tessloom.healpix import healpix_29, is_position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tessloom.dataset.rows import RowFormat
    from tessloom.pipelines import Feature


class LightCurveReader:
    """Reads files of one pipeline and sector.

    Parameters
    ----------
    row_format
        Of the standard format, for the pipeline as that declares it.
    features
        What a light curve's dict holds.
    """

    def __init__(self, row_format: RowFormat, features: Sequence[Feature], sector: int) -> None:
        self._format = row_format
        self._features = features
        self._sector = sector
        self._decoder = Decoder(row_format.wanted)

    def check(self, body: bytes, target: Mapping[str, Any]) -> None:
        """Check that a file is whole and the light curve of a target.

        Raises
        ------
        FitsError
            It is not.
        """
        curve = self._decoder.decode(body)
        self._format.row(curve, self._sector, target["id"], target["camera"], target["ccd"])

    def read(
        self, body: bytes, target: Mapping[str, Any], position: tuple[float, float] | None
    ) -> dict[str, Any]:
        """Return a light curve by the names of its features.

        Parameters
        ----------
        body
            The file.
        target
            What the file's name says: id, camera and CCD.
        position
            Right ascension and declination in degrees, for a header that has none.

        Raises
        ------
        FitsError
            The file is damaged, of another star, or has other columns.
        NoPositionError
            Neither the header nor `position` says where the star is.
        """
        curve = self._decoder.decode(body)
        row = self._format.row(curve, self._sector, target["id"], target["camera"], target["ccd"])
        ra, dec = self._format.positions([row])
        if not is_position(ra, dec).all() and position is not None:
            ra[:], dec[:] = position
        if not is_position(ra, dec).all():
            raise NoPositionError(f"nothing says where star {target['id']} is")
        batch = self._format.batch([row], healpix_29(ra, dec), ra, dec)
        rows = standard_rows(batch, self._features)
        scalars = {name: values[0] for name, values in rows.scalars.items()}
        return {**rows.series, **scalars}
