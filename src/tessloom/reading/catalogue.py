"""One pipeline's light curves in a dataset: by id, by place, by condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tessloom.dataset.layout import catalogue_directory, has_partitions
from tessloom.dataset.schema import arrow_schema
from tessloom.dataset.splits import read_splits
from tessloom.dataset.storage import present, store_failures
from tessloom.errors import NotInDatasetError, RequestError
from tessloom.reading.angles import circle
from tessloom.reading.batches import Batches
from tessloom.reading.columns import describe_columns
from tessloom.reading.condition import condition_of
from tessloom.reading.cone import Cone
from tessloom.reading.extras import extra
from tessloom.reading.identifiers import parse_identifiers
from tessloom.reading.partitions import Partitions
from tessloom.reading.selection import Selection
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

    from tessloom.dataset.splits import Splits
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
        sector: Sectors = None,
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

    def targets(self, sector: Sectors = None, columns: Iterable[str] = USUAL_COLUMNS) -> Targets:
        """Return which stars there are, one row each; no light curve is read.

        Beside `columns` a row has ``sectors``, a sorted list, and ``light_curves``, their number.

        Parameters
        ----------
        sector
            As in `select`.
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
        where: str | pc.Expression | None = None,
        split: str | None = None,
        splits: Splits | None = None,
        length: int = 1024,
        batch_size: int = 64,
        crop: str | None = None,
        mask: str | int | None = "default",
        min_cadences: int = 1,
        time_reference: float | None = None,
        shuffle_buffer: int | None = None,
        drop_last: bool = False,
        seed: int = 0,
        sector: Sectors = None,
    ) -> TorchDataset:
        """Return a PyTorch data set that yields batches; it needs ``tessloom[torch]``.

        Give it to a ``torch.utils.data.DataLoader`` with ``batch_size=None``, and call its
        ``set_epoch`` before each epoch: else all epochs have the same order and crops.

        A batch is a dict of tensors: the columns, shape ``(n, length)``, floats in float32;
        ``mask``, ``(n, length)``, true where there is a cadence with a time and a flux that no flag
        takes out (columns are 0 where it is false; where it is true, columns other than these two
        may be NaN); ``time_reference``, float64, ``(n,)``; header values that were asked for,
        ``(n,)``, NaN (0 among integers) where there is none; and ``tic_id``, ``gaia_dr3_id`` (0:
        none) and ``sector``, ``(n,)``.

        Parameters
        ----------
        columns
            Of the light curve; and header values that are numbers, such as ``tess_mag``, to learn.
        where
            A condition on header values, as in `select`.
        split
            ``train``, ``validation`` or ``test``; None: all stars. A star is in the same split in
            all sectors and pipelines.
        splits
            The shares of the splits; None: those of the dataset.
        length
            Cadences of a light curve: longer ones are cropped, shorter ones padded with zeros.
        batch_size
            Light curves of a batch; the last one of a worker may have fewer.
        crop
            ``random``: another part each epoch; ``start``: the first cadences. None: at random,
            but for ``validation`` and ``test``.
        mask
            Cadences that are taken out: ``default``, ``hardest``, or bits of ``quality``; None:
            only those without a time or a flux.
        min_cadences
            Of a crop: one with fewer that are to be used is left out.
        time_reference
            BTJD from which time is counted before it becomes float32, in which BTJD itself would be
            good to some 10 seconds; it is good to a second up to 128 days from here. None: from
            the first time of what is left of each light curve.
        shuffle_buffer
            Light curves among which batches are mixed; 0: in the dataset's order. None: 4,096, but
            0 for ``validation`` and ``test``.
        drop_last
            Whether batches that are not full are left out; each worker has one at its end.
        seed
            Of the order and of random crops.
        sector
            One sector or several; None: all.

        Raises
        ------
        RequestError
            There is no such column or choice, or PyTorch is not installed.
        NotInDatasetError
            There is nothing of these sectors.
        """
        extra("torch", "torch")
        from tessloom.reading.torch import TorchDataset  # noqa: PLC0415

        if isinstance(columns, str):
            raise RequestError(f"columns is {columns!r}: give a list, such as ['time', 'flux']")
        if splits is not None and split is None:
            raise RequestError("splits are shares of the stars: say which split is wanted")
        return TorchDataset(
            Batches(
                pipeline=self.pipeline,
                paths=self._paths(sector),
                columns=tuple(columns),
                where=None if where is None else condition_of(where, self.schema),
                split=split,
                splits=splits or self._splits(),
                length=length,
                batch_size=batch_size,
                crop=crop,
                mask=mask,
                min_cadences=min_cadences,
                time_reference=time_reference,
                shuffle_buffer=shuffle_buffer,
                drop_last=drop_last,
                seed=seed,
            )
        )

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

    def to_hf(
        self,
        sector: Sectors = None,
        *,
        split: str | None = None,
        splits: Splits | None = None,
        streaming: bool = False,
    ) -> HuggingFaceDataset | IterableDataset:
        """Return a Hugging Face dataset (``tessloom[huggingface]``), without the Hub.

        Parameters
        ----------
        sector
            One sector or several; None: all.
        split
            ``train``, ``validation`` or ``test``, as in `torch`; None: all stars.
        splits
            The shares of the splits; None: those of the dataset.
        streaming
            Whether rows are read when they are iterated over, as plain values; else they are
            copied into the cache of Hugging Face datasets once and come as numpy arrays, each
            column in its own type, so that time stays double and ids whole: 0 stands for an id
            that a star lacks. What lies in an object store is downloaded into that cache before,
            and takes twice the room.

        Raises
        ------
        NotInDatasetError
            There is nothing of these sectors.
        RequestError
            There is no such split, or Hugging Face datasets is not installed, or not to use the
            network (``HF_HUB_OFFLINE``) while the dataset lies in a store.
        DatasetError
            A file can't be read.
        """
        from tessloom.reading.huggingface import hugging_face_dataset  # noqa: PLC0415

        splits = splits or self._splits()
        if split is not None:
            splits.check(split)
        return hugging_face_dataset(
            self._root, self.pipeline, self._paths(sector), split, splits, streaming=streaming
        )

    def _splits(self) -> Splits:
        with store_failures(self._root):
            return read_splits(self._root)

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
    """Return whether a dataset has light curves of a pipeline, or a catalogue of none."""
    directory = catalogue_directory(root, pipeline)
    pixels = present(directory, [directory / "partition_info.csv"])
    return bool(pixels) or has_partitions(root, pipeline)


def _asked(sector: Sectors) -> AskedSectors | None:
    return None if sector is None else parse_sectors(sector)
