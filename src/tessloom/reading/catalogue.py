"""One pipeline's light curves in a dataset: by id, by place, by condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tessloom.dataset.layout import catalogue_directory
from tessloom.dataset.schema import arrow_schema
from tessloom.errors import NotInDatasetError, RequestError
from tessloom.reading.angles import circle
from tessloom.reading.batches import Batches
from tessloom.reading.columns import describe_columns
from tessloom.reading.cone import Cone
from tessloom.reading.identifiers import parse_identifiers
from tessloom.reading.partitions import Partitions
from tessloom.reading.selection import Selection
from tessloom.reading.splits import Splits
from tessloom.reading.stars import Stars
from tessloom.reading.targets import USUAL_COLUMNS, Targets, identifying_columns
from tessloom.sectors import parse_sectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from datasets import Dataset as HuggingFaceDataset
    from datasets import IterableDataset

    from tessloom.pipelines import Pipeline
    from tessloom.reading.columns import ColumnDescriptions
    from tessloom.reading.id_index import IdIndex
    from tessloom.reading.light_curve import LightCurve
    from tessloom.reading.torch import TorchDataset
    from tessloom.sectors import Sectors as AskedSectors

    # Which sectors are asked for; None: all.
    Sectors = int | str | Iterable[int | str] | None
    Angle: TypeAlias = float | Quantity  # degrees, or a unit of its own


class Catalogue:
    """The light curves of one pipeline. Nothing is read before it is asked for.

    Attributes
    ----------
    pipeline
        Whose they are.
    schema
        The columns: header values, and the lists in ``lightcurve``.
    """

    def __init__(self, root: Path, pipeline: Pipeline) -> None:
        self._root = root
        self.pipeline = pipeline
        self.schema: pa.Schema = arrow_schema(pipeline)
        self._partitions = Partitions(root, pipeline)
        self._stars = Stars(root, pipeline, self._partitions)

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
        """Return the index by a column of ids.

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
        sector: Sectors = None,
    ) -> LightCurve:
        """Return a star's light curve in all sectors, or in some.

        Only the files of its pixel are read.

        Parameters
        ----------
        object_id, tic, gaia
            The star's id, one of them: an integer, of numpy or Arrow too, or a text such as
            ``217639630`` or ``TIC 217639630``. An `object_id` is a TIC id, or else the Gaia DR3 id
            of a star without one; ``Gaia DR3 365...`` is looked for among all Gaia ids.
        sector
            ``23``, ``"1-26"``, ``"all"``, or several; those are taken that the star has.

        Raises
        ------
        NotInDatasetError
            The dataset does not have it, or not in these sectors.
        RequestError
            None or several ids are given, or there is no index by such ids.
        """
        column, identifier = self._stars.identify(object_id, tic, gaia)
        return self._stars.one(column, identifier, _asked(sector))

    def light_curves(
        self,
        *,
        tic: Iterable[object] | None = None,
        gaia: Iterable[object] | None = None,
        sector: Sectors = None,
        missing: str = "error",
    ) -> Iterator[LightCurve]:
        """Yield the light curves of many stars, one after the other in the order of the sky.

        Each file that has some is read once, so this is far faster than `light_curve` in a loop.

        Parameters
        ----------
        tic, gaia
            The stars' ids, one of them: a list, an array, or a column of pandas, polars or Arrow.
        sector
            See `light_curve`.
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
        return self._stars.many(column, stars, _asked(sector), skip=missing == "skip")

    def cone(
        self,
        ra: Angle | SkyCoord,
        dec: Angle | None = None,
        radius: Angle | None = None,
        *,
        columns: Iterable[str] | None = None,
        where: str | pc.Expression | None = None,
        sector: Sectors = None,
    ) -> Selection:
        """Return the light curves within `radius` of a place.

        Only files whose pixels the circle may touch are read.

        Parameters
        ----------
        ra, dec, radius
            Degrees, ICRS, or astropy's quantities: ``cone(199.78, -1.81, 0.5)``. Instead of `ra`
            and `dec` there may be a `~astropy.coordinates.SkyCoord`, in any frame:
            ``cone(place, 0.5)``.
        columns, where, sector
            See `select`.

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
        sector: Sectors = None,
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
            more: ``pc.abs(pc.field("dec")) < 5``.
        sector
            ``23``, ``"1-26"``, ``"all"``, or several. Those named must be there; of a range those
            are taken that are.

        Raises
        ------
        RequestError
            There is no such column, or `where` is no condition on them.
        NotInDatasetError
            There is nothing of a sector.
        """
        return self._select(columns, where, sector, None)

    def targets(self, sector: Sectors = None, columns: Iterable[str] = USUAL_COLUMNS) -> Targets:
        """Return which stars there are, one row each; no light curve is read.

        Beside `columns` a row has ``sectors``, a sorted list, and ``light_curves``, their number.

        Parameters
        ----------
        sector
            See `select`.
        columns
            Header values by name, taken from the star's first light curve.

        Raises
        ------
        RequestError
            There is no such column.
        NotInDatasetError
            There is nothing of a sector.
        """
        chosen = tuple(self.select(columns, sector=sector).columns)
        if series := [name for name in chosen if name not in self.schema.names]:
            raise RequestError(f"{', '.join(series)} of the light curve is not of a star")
        needed = dict.fromkeys([*chosen, *identifying_columns(self.pipeline)])
        return Targets(self.pipeline, chosen, self.select(needed, sector=sector))

    def torch(
        self,
        columns: Iterable[str] = ("time", "flux", "flux_err"),
        *,
        split: str | None = None,
        splits: Splits | None = None,
        length: int = 1024,
        batch_size: int = 64,
        crop: str = "random",
        mask: str | int | None = "default",
        time_reference: float | None = None,
        shuffle_buffer: int = 4096,
        seed: int = 0,
        sector: Sectors = None,
    ) -> TorchDataset:
        """Return a PyTorch data set that yields batches (``pip install torch``).

        Give it to a `~torch.utils.data.DataLoader` with ``batch_size=None``. What is in a batch
        stands in `batches.Batches.draw`.

        Parameters
        ----------
        columns
            Of the light curve.
        split, splits
            ``train``, ``validation`` or ``test``, and their shares (`splits.Splits`); None: all
            stars. A star is in the same split in all sectors and pipelines.
        length
            Cadences of a light curve: longer ones are cropped, shorter ones padded with zeros.
        crop
            ``random``: another part each time; ``start``: the first cadences.
        mask
            Cadences that are taken out: ``default``, ``hardest``, or bits of ``quality``; None:
            only those without a time or a flux.
        time_reference
            BTJD from which time is counted before it becomes float32, in which BTJD itself would be
            good to 20 seconds; it is good to a second up to 128 days from here. None: from the
            first time of what is left of each light curve.
        shuffle_buffer
            Light curves among which batches are drawn; 0: in the dataset's order.
        seed
            Of the order and of random crops.

        Raises
        ------
        RequestError
            There is no such column or choice.
        NotInDatasetError
            There is nothing of these sectors.
        """
        from tessloom.reading.torch import TorchDataset  # noqa: PLC0415

        if isinstance(columns, str):
            raise RequestError(f"columns is {columns!r}: give a list, such as ['time', 'flux']")
        return TorchDataset(
            Batches(
                pipeline=self.pipeline,
                paths=self._paths(sector),
                columns=tuple(columns),
                split=split,
                splits=splits or Splits(),
                length=length,
                batch_size=batch_size,
                crop=crop,
                mask=mask,
                reference=time_reference,
                buffer=shuffle_buffer,
                seed=seed,
            )
        )

    def write_margin(self, arcsec: float = 10.0) -> int:
        """Write a margin cache for LSDB's cross-matches; see `margin.write_margin`."""
        from tessloom.reading.margin import write_margin  # noqa: PLC0415

        return write_margin(self._root, self.pipeline, arcsec)

    def to_hf(
        self, sector: Sectors = None, *, streaming: bool = False
    ) -> HuggingFaceDataset | IterableDataset:
        """Return a Hugging Face dataset (``pip install datasets``); nothing goes over the network.

        Parameters
        ----------
        streaming
            Whether rows are read when they are iterated over, as plain values; else they are
            copied into the cache of Hugging Face datasets once and come as numpy arrays, each
            column in its own type, so that time stays double.

        Raises
        ------
        NotInDatasetError
            There is nothing of these sectors.
        """
        from tessloom.reading.huggingface import hugging_face_dataset  # noqa: PLC0415

        return hugging_face_dataset(self._paths(sector), streaming=streaming)

    def _paths(self, sector: Sectors) -> list[Path]:
        found = self._partitions.chosen(_asked(sector))
        if not found:
            raise NotInDatasetError(f"{self._root} has no light curves from {self.pipeline.title}")
        return found

    def _select(
        self,
        columns: Iterable[str] | None,
        where: str | pc.Expression | None,
        sector: Sectors,
        cone: Cone | None,
    ) -> Selection:
        paths = self._partitions.chosen(_asked(sector), cone)
        return Selection.of(self.pipeline, paths, columns, where, cone)


def has_pipeline(root: Path, pipeline: Pipeline) -> bool:
    """Return whether a dataset has a catalogue of a pipeline."""
    return (catalogue_directory(root, pipeline) / "partition_info.csv").exists()


def _asked(sector: Sectors) -> AskedSectors | None:
    return None if sector is None else parse_sectors(sector)
