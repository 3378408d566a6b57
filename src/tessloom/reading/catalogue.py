"""One pipeline's light curves in a dataset: by id, by place, by condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tessloom.dataset.layout import catalogue_directory, has_partitions
from tessloom.dataset.schema import LIGHT_CURVE, arrow_schema
from tessloom.dataset.storage import is_local, present, store_failures
from tessloom.errors import RequestError
from tessloom.reading.angles import circle
from tessloom.reading.columns import describe_columns
from tessloom.reading.cone import Cone
from tessloom.reading.identifiers import parse_identifiers
from tessloom.reading.partitions import Partitions, asked
from tessloom.reading.selection import Selection
from tessloom.reading.stars import Stars
from tessloom.reading.targets import USUAL_COLUMNS, Targets, identifying_columns
from tessloom.reading.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    from tessloom.pipelines import Pipeline
    from tessloom.reading.columns import ColumnDescriptions
    from tessloom.reading.id_index import IdIndex
    from tessloom.reading.light_curve import LightCurve
    from tessloom.sectors import Sectors

    # Which sectors are asked for; None: all.
    SectorChoice = int | str | Iterable[int | str] | Sectors | None
    Angle: TypeAlias = float | Quantity  # degrees, or a unit of its own


class Catalogue(Training):
    """The light curves of one pipeline, as ``tessloom.open(...)["qlp"]`` returns them.

    Nothing is read before it is asked for.

    Attributes
    ----------
    pipeline
        Whose they are: a declaration of columns, masks and citations.
    schema
        The columns: header values, and the lists in ``lightcurve``.
    """

    def __init__(self, root: Path, pipeline: Pipeline) -> None:
        self._root = root
        self.pipeline = pipeline
        self.schema: pa.Schema = arrow_schema(pipeline)
        self._partitions = Partitions(root, pipeline)
        self._stars = Stars(root, pipeline, self._partitions)

    def __reduce__(self) -> tuple[type[Catalogue], tuple[Path, Pipeline]]:
        # What was read stays here: another process, such as a loader's, reads its own.
        return Catalogue, (self._root, self.pipeline)

    def __repr__(self) -> str:
        return f"<{self.pipeline.title} in {self._root}>"

    def __len__(self) -> int:
        """Return the number of light curves, which the files' footers tell."""
        return len(self.select(["sector"]))

    def __bool__(self) -> bool:
        return len(self._partitions) > 0

    @property
    def sectors(self) -> tuple[int, ...]:
        """The sectors of which there is something."""
        return self._partitions.sectors

    @property
    def columns(self) -> ColumnDescriptions:
        """What columns there are: name, type, unit, description, and whether in the header.

        They print as a table.
        """
        return describe_columns(self.schema)

    def index(self, column: str) -> IdIndex:
        """Return the index by a column of ids: which pixels have which stars.

        Parameters
        ----------
        column
            ``tic_id``, or for TGLC ``gaia_dr3_id``.

        Raises
        ------
        RequestError
            The dataset has no index by it.
        """
        return self._stars.index(column)

    def light_curve(
        self,
        object_id: str | int | None = None,
        *,
        tic: str | int | None = None,
        gaia: str | int | None = None,
        sector: SectorChoice = None,
    ) -> LightCurve:
        """Return a star's light curve in all sectors, or in some.

        Only the files of its pixel are read.

        Parameters
        ----------
        object_id
            The star's id in the column ``object_id``: the TIC id, of a star without one the Gaia
            DR3 id. An id is an integer, of numpy or Arrow too, or a text such as ``217639630`` or
            ``TIC 217639630``; ``Gaia DR3 365...`` is looked for among all Gaia ids.
        tic
            Or its TIC id.
        gaia
            Or its Gaia DR3 id; of the three pipelines TGLC alone has an index by it.
        sector
            ``23``, ``"1-26"``, ``"all"``, or several, of which those are taken that the star has.
            None: all.

        Raises
        ------
        NotInDatasetError
            The dataset does not have it, or not in these sectors.
        DatasetError
            By the index it has it, and the file is lost.
        RequestError
            None or several ids are given, or there is no index by such ids.
        """
        column, identifier = self._stars.identify(object_id, tic, gaia)
        return self._stars.one(column, identifier, asked(sector))

    def light_curves(
        self,
        *,
        tic: Iterable[object] | None = None,
        gaia: Iterable[object] | None = None,
        sector: SectorChoice = None,
        missing: str = "error",
    ) -> Iterator[LightCurve]:
        """Yield the light curves of many stars, one after the other in the order of the sky.

        Each file that has some is read once, so this is far faster than `light_curve` in a loop.

        Parameters
        ----------
        tic
            The stars' TIC ids: a list, an array, or a column of pandas, polars or Arrow.
        gaia
            Or their Gaia DR3 ids.
        sector
            As in `light_curve`.
        missing
            What is done about stars that are not there: ``error`` or ``skip``.

        Raises
        ------
        NotInDatasetError
            A star is not there, or not in these sectors.
        RequestError
            Something is no id or no choice, or there is no index by such ids.
        """
        if missing not in ("error", "skip"):
            raise RequestError(f"missing is {missing!r}: choose 'error' or 'skip'")
        if (tic is None) == (gaia is None):
            raise RequestError("give one of tic= and gaia=")
        name, column = ("tic", "tic_id") if gaia is None else ("gaia", "gaia_dr3_id")
        stars = parse_identifiers(tic if gaia is None else gaia, name)
        return self._stars.many(column, stars, asked(sector), skip=missing == "skip")

    def cone(
        self,
        ra: Angle | SkyCoord,
        dec: Angle | None = None,
        radius: Angle | None = None,
        *,
        columns: Iterable[str] | None = None,
        where: str | pc.Expression | None = None,
        sector: SectorChoice = None,
    ) -> Selection:
        """Return the light curves within `radius` of a place.

        Only files whose pixels the circle may touch are read.

        Parameters
        ----------
        ra
            Right ascension of the place, ICRS, degrees. Or the place itself, an astropy SkyCoord
            in any frame: ``cone(place, 0.5)``.
        dec
            Declination of the place, ICRS, degrees.
        radius
            Of the circle, degrees. Each angle may be an astropy Quantity, in a unit of its own.
        columns
            As in `select`.
        where
            As in `select`.
        sector
            As in `select`.

        Raises
        ------
        RequestError
            They are no circle, or there is no such column or condition.
        NotInDatasetError
            There is nothing of a sector.
        """
        return self._select(columns, where, sector, Cone(*circle(ra, dec, radius)))

    def select(
        self,
        columns: Iterable[str] | None = None,
        where: str | pc.Expression | None = None,
        *,
        sector: SectorChoice = None,
    ) -> Selection:
        """Return some columns of the light curves for which a condition holds.

        Parameters
        ----------
        columns
            Header values and columns of the light curve by name (``tic_id``, ``flux``). None: all.
        where
            A condition on header values, as in SQL or in Python; capitals don't matter. Columns
            are compared with numbers, texts or other columns by ``=``, ``!=``, ``<``, ``<=``,
            ``>``, ``>=``; ``sector in (23, 24)`` and ``not in`` ask for one of several, ``teff is
            null`` and ``is not null`` whether there is a value; ``and``, ``or``, ``not`` and
            brackets join these: ``8 < tess_mag <= 10 and not (logg > 3.5 or logg is null)``. Where
            there is no value, no comparison holds. Or an expression of pyarrow's, which can do
            more: ``pc.abs(pc.field("dec")) < 5``. None: all rows.
        sector
            ``23``, ``"1-26"``, ``"all"``, or several. Those named must be there; of a range those
            are taken that are. None: all.

        Raises
        ------
        RequestError
            There is no such column, or `where` is no condition on them.
        NotInDatasetError
            There is nothing of a sector.
        """
        return self._select(columns, where, sector, None)

    def targets(
        self, columns: Iterable[str] = USUAL_COLUMNS, *, sector: SectorChoice = None
    ) -> Targets:
        """Return which stars there are, one row each; no light curve is read.

        Beside `columns` a row has ``sectors``, a sorted list, and ``light_curves``, their number.

        Parameters
        ----------
        columns
            Header values by name, taken from the star's first light curve.
        sector
            As in `select`.

        Raises
        ------
        RequestError
            There is no such column.
        NotInDatasetError
            There is nothing of a sector.
        """
        chosen = tuple(self.select(columns, sector=sector).columns)
        headers = set(self.schema.names) - {LIGHT_CURVE}
        if series := [name for name in chosen if name not in headers]:
            raise RequestError(f"{', '.join(series)} of the light curve is not of a star")
        needed = dict.fromkeys([*chosen, *identifying_columns(self.pipeline)])
        return Targets(self.pipeline, chosen, self.select(needed, sector=sector))

    def write_margin(self, arcsec: float = 10.0) -> int:
        """Write a margin cache for LSDB's cross-matches: the stars just beyond each pixel's border.

        A later build that changes the catalogue puts it out of use; then write it again.

        Parameters
        ----------
        arcsec
            Its width: no star that is so near to a pixel is left out. It has some farther ones too.

        Returns
        -------
        int
            The number of light curves in it.

        Raises
        ------
        RequestError
            It is no width, or more than 600 arcseconds.
        DatasetError
            A file is damaged, the disk is full, or a build is writing to the dataset.
        """
        from tessloom.reading.margin import write_margin  # noqa: PLC0415

        with store_failures(self._root):
            return write_margin(self._root, self.pipeline, arcsec)

    def _select(
        self,
        columns: Iterable[str] | None,
        where: str | pc.Expression | None,
        sector: SectorChoice,
        cone: Cone | None,
    ) -> Selection:
        paths = self._partitions.chosen(asked(sector), cone)
        return Selection.of(self.pipeline, paths, columns, where, cone)


def has_pipeline(root: Path, pipeline: Pipeline) -> bool:
    """Return whether a dataset has light curves of a pipeline, or a catalogue of none."""
    pixels = catalogue_directory(root, pipeline) / "partition_info.csv"
    # A store is asked for the one file; `present` would list all.
    there = present(pixels.parent, [pixels]) if is_local(root) else pixels.exists()
    return bool(there) or has_partitions(root, pipeline)
