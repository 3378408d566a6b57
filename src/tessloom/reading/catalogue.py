"""One pipeline's light curves in a dataset: by id, by place, by condition."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tessloom.dataset.layout import catalogue_directory, partition_path, partitions
from tessloom.dataset.schema import LIGHT_CURVE, arrow_schema
from tessloom.dataset.splits import read_splits
from tessloom.dataset.storage import matching, store_failures
from tessloom.errors import NotInDatasetError, RequestError
from tessloom.reading.batches import Batches
from tessloom.reading.condition import parse_condition
from tessloom.reading.cone import Cone
from tessloom.reading.extras import extra
from tessloom.reading.id_index import IdIndex
from tessloom.reading.light_curve import LightCurve, end_to_end
from tessloom.reading.rows import rows_where
from tessloom.reading.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc
    from datasets import Dataset as HuggingFaceDataset
    from datasets import IterableDataset

    from tessloom.dataset.splits import Splits
    from tessloom.pipelines import Pipeline
    from tessloom.reading.torch import TorchDataset

    # Which sectors are asked for; None: all.
    Sectors = int | Iterable[int] | None


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
        self._indexes = {column: IdIndex(root, pipeline, column) for column in pipeline.indexes}

    def __repr__(self) -> str:
        return f"<{self.pipeline.title} in {self._root}>"

    @cached_property
    def sectors(self) -> tuple[int, ...]:
        """The sectors of which there is something."""
        return tuple(sorted({sector for _, sector, _ in self._partitions}))

    @cached_property
    def _partitions(self) -> list[tuple[int, int, Path]]:
        with store_failures(self._root):
            return list(partitions(self._root, self.pipeline))

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
        if column not in self._indexes:
            raise RequestError(
                f"{self.pipeline.title} has no index by {column}; it has {', '.join(self._indexes)}"
            )
        return self._indexes[column]

    def light_curve(
        self,
        *,
        tic: int | None = None,
        gaia: int | None = None,
        object_id: str | int | None = None,
        sector: Sectors = None,
    ) -> LightCurve:
        """Return a star's light curve in all sectors, or in some.

        Only the files of its pixel are read.

        Parameters
        ----------
        tic
            The star's TIC id.
        gaia
            Or its Gaia DR3 id; of the three pipelines TGLC alone has an index by it.
        object_id
            Or its id in the column ``object_id``: the TIC id, of a star without one the Gaia DR3
            id.
        sector
            One sector or several; None: all.

        Raises
        ------
        NotInDatasetError
            The dataset does not have it.
        RequestError
            None or several ids are given, or there is no index by such ids.
        """
        column, identifier = self._identifier(tic, gaia, object_id)
        wanted = _sectors(sector)
        rows = [
            row
            for pixel in self.index(column).pixels(identifier)
            for path in self._files(pixel, wanted)
            for row in rows_where(path, column, identifier)
        ]
        if not rows:
            there = "" if sector is None else f" in sector {sector}"
            raise NotInDatasetError(
                f"{self._root} has no light curve of {column} {identifier} from "
                f"{self.pipeline.title}{there}"
            )
        return end_to_end(self.pipeline, rows)

    def cone(self, ra: float, dec: float, radius: float, *, sector: Sectors = None) -> Selection:
        """Return the light curves within `radius` of a place, with all their columns.

        Only files whose pixels the circle may touch are read.

        Parameters
        ----------
        ra
            Right ascension of the place, ICRS, degrees.
        dec
            Declination of the place, ICRS, degrees.
        radius
            Of the circle, degrees.
        sector
            One sector or several; None: all.
        """
        return self._select(None, None, sector, Cone(ra, dec, radius))

    def select(
        self,
        columns: Iterable[str] | None = None,
        where: str | None = None,
        *,
        sector: Sectors = None,
    ) -> Selection:
        """Return some columns of the light curves for which a condition holds.

        Parameters
        ----------
        columns
            Header values and columns of the light curve by name (``tic_id``, ``flux``). None: all.
        where
            A condition on header values: comparisons of columns with numbers, texts and lists of
            them, joined by ``and``, ``or`` and ``not``, such as ``"tess_mag < 10 and sector in
            (23, 24)"``; ``teff is not None`` asks whether there is a value. None: all rows.
        sector
            One sector or several; None: all.

        Raises
        ------
        RequestError
            There is no such column, or `where` is no condition.
        """
        return self._select(columns, where, sector, None)

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
            Light curves among which batches are mixed; 0: in the dataset's order. None: 8,192, but
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
        types = {field.name: field.type for field in self.schema if field.name != LIGHT_CURVE}
        return TorchDataset(
            Batches(
                pipeline=self.pipeline,
                paths=self._paths(sector),
                columns=tuple(columns),
                where=parse_condition(where, types) if isinstance(where, str) else where,
                split=split,
                splits=splits or read_splits(self._root),
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

        splits = splits or read_splits(self._root)
        if split is not None:
            splits.check(split)
        return hugging_face_dataset(
            self._root, self.pipeline, self._paths(sector), split, splits, streaming=streaming
        )

    def _paths(self, sector: Sectors) -> list[Path]:
        wanted = _sectors(sector)
        found = [path for _, of, path in self._partitions if wanted is None or of in wanted]
        if not found:
            raise NotInDatasetError(
                f"{self._root} has nothing of sector {sector} from {self.pipeline.title}; it has "
                f"{', '.join(map(str, self.sectors))}"
            )
        return found

    def _select(
        self,
        columns: Iterable[str] | None,
        where: str | None,
        sector: Sectors,
        cone: Cone | None,
    ) -> Selection:
        wanted = _sectors(sector)
        places = [place for place in self._partitions if wanted is None or place[1] in wanted]
        if cone is not None:
            pixels = np.array([pixel for pixel, *_ in places], np.int64)
            touched = cone.may_touch(self.pipeline.healpix_order, pixels)
            places = [
                place for place, is_touched in zip(places, touched, strict=True) if is_touched
            ]
        return Selection.of(self.schema, [path for *_, path in places], columns, where, cone)

    def _identifier(
        self, tic: int | None, gaia: int | None, object_id: str | int | None
    ) -> tuple[str, int]:
        given = {"tic": tic, "gaia": gaia, "object_id": object_id}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise RequestError("give one of tic=, gaia= and object_id=")
        ((name, value),) = given.items()
        if value is None or isinstance(value, bool) or not str(value).strip().isdecimal():
            raise RequestError(f"{name} is {value!r}, which is no id")
        identifier = int(value)
        if name == "gaia":
            return "gaia_dr3_id", identifier
        # A star without a TIC id has its Gaia id for an object_id, which are of another size.
        if name == "object_id" and not self.index("tic_id").pixels(identifier):
            return self.pipeline.id_name, identifier
        return "tic_id", identifier

    def _files(self, pixel: int, sectors: set[int] | None) -> list[Path]:
        """Return the files of a pixel, which a listing of its directory tells."""
        directory = partition_path(self._root, self.pipeline, pixel, 0).parent
        with store_failures(self._root):
            found = matching(directory, "s[0-9][0-9][0-9][0-9].parquet")
            return sorted(p for p in found if sectors is None or int(p.stem[1:]) in sectors)


def has_pipeline(root: Path, pipeline: Pipeline) -> bool:
    """Return whether a dataset has a catalogue of a pipeline."""
    return (catalogue_directory(root, pipeline) / "partition_info.csv").exists()


def _sectors(wanted: Sectors) -> set[int] | None:
    if wanted is None:
        return None
    return {wanted} if isinstance(wanted, int) else set(wanted)
