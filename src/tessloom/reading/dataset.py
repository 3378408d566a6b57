"""A dataset opened: its pipelines, and the stars that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.formats import find_format
from tessloom.dataset.storage import open_directory, store_failures
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.pipelines import PIPELINES, get_pipeline
from tessloom.reading.catalogue import Catalogue, has_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datasets import Dataset as HuggingFaceDataset
    from datasets import IterableDataset

    from tessloom.dataset.splits import Splits
    from tessloom.dataset.storage import Place
    from tessloom.reading.catalogue import Sectors
    from tessloom.reading.light_curve import LightCurve


def open_dataset(place: Place) -> Dataset:
    """Open a dataset to read it; its files are looked at when something is asked for.

    Parameters
    ----------
    place
        The dataset's directory, or its URL, such as ``s3://bucket/prefix``.

    Returns
    -------
    Dataset
        Its pipelines by their names.

    Raises
    ------
    DatasetError
        There is no dataset of Parquet files there.
    """
    root = open_directory(place)
    with store_failures(root):
        found = [pipeline for pipeline in PIPELINES.values() if has_pipeline(root, pipeline)]
        if found:
            return Dataset(root, {pipeline.name: Catalogue(root, pipeline) for pipeline in found})
        other = find_format(root)
    if other is None:
        raise DatasetError(
            f"there is no dataset in {root}: tessloom build ... --out {root} makes one"
        )
    raise DatasetError(
        f"{root} holds a dataset in the format {other.name}"
        + (
            ", which h5py and Hugging Face datasets read; tessloom.open reads Parquet"
            if other.name != "parquet"
            else " whose first build has not ended: run the same command again"
        )
    )


class Dataset(Mapping[str, Catalogue]):
    """The pipelines of a dataset, by their names: a mapping, ``dataset["tglc"]``.

    Attributes
    ----------
    root
        Its directory.
    """

    def __init__(self, root: Path, catalogues: Mapping[str, Catalogue]) -> None:
        self.root = root
        self._catalogues = catalogues

    def __getitem__(self, name: str) -> Catalogue:
        pipeline = get_pipeline(name)
        if pipeline.name not in self._catalogues:
            raise NotInDatasetError(
                f"{self.root} has nothing from {pipeline.title}; it has {', '.join(self)}"
            )
        return self._catalogues[pipeline.name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogues)

    def __len__(self) -> int:
        return len(self._catalogues)

    def __repr__(self) -> str:
        return f"<dataset in {self.root}: {', '.join(self)}>"

    def light_curves(
        self,
        *,
        tic: int | None = None,
        gaia: int | None = None,
        object_id: str | int | None = None,
        sector: Sectors = None,
    ) -> dict[str, LightCurve]:
        """Return a star's light curves from every pipeline that has it, by the pipelines' names.

        Parameters
        ----------
        tic
            The star's TIC id.
        gaia
            Or its Gaia DR3 id; then TGLC alone is asked, which has an index by it.
        object_id
            Or its id in the column ``object_id``: the TIC id, of a star without one the Gaia DR3
            id.
        sector
            One sector or several; None: all.

        Raises
        ------
        NotInDatasetError
            No pipeline has it.
        RequestError
            None or several ids are given.
        """
        found: dict[str, LightCurve] = {}
        for name, catalogue in self.items():
            if gaia is not None and "gaia_dr3_id" not in catalogue.pipeline.indexes:
                continue
            try:
                found[name] = catalogue.light_curve(
                    tic=tic, gaia=gaia, object_id=object_id, sector=sector
                )
            except NotInDatasetError:
                continue
        if not found:
            star = next(value for value in (tic, gaia, object_id) if value is not None)
            raise NotInDatasetError(f"{self.root} has no light curve of {star}")
        return found

    def to_hf(
        self,
        sector: Sectors = None,
        *,
        split: str | None = None,
        splits: Splits | None = None,
        streaming: bool = False,
    ) -> dict[str, HuggingFaceDataset | IterableDataset]:
        """Return Hugging Face datasets by the names of the pipelines.

        Parameters
        ----------
        sector
            One sector or several; None: all.
        streaming
            As in ``Catalogue.to_hf``.

        Raises
        ------
        NotInDatasetError
            A pipeline has nothing of these sectors.
        """
        return {
            name: catalogue.to_hf(sector, split=split, splits=splits, streaming=streaming)
            for name, catalogue in self.items()
        }

    def match(self, column: str = "tic_id") -> Match:
        """Return the stars that every pipeline of the dataset has, by an id.

        Only the indexes are read.

        Parameters
        ----------
        column
            ``tic_id``: the only id by which all pipelines have an index.

        Raises
        ------
        RequestError
            It is another column.
        """
        if column != "tic_id":
            raise RequestError(f"all pipelines have tic_id; they can't be matched by {column!r}")
        shared: pa.Array | None = None
        for catalogue in self.values():
            identifiers = catalogue.index(column).identifiers()
            if shared is None:
                shared = identifiers
            else:
                shared = shared.filter(pc.is_in(shared, value_set=identifiers))
        return Match(self, shared)


class Match(Mapping[int, "dict[str, LightCurve]"]):
    """The same stars from several pipelines, side by side.

    A mapping: ``match[217639630]["qlp"]`` is the light curve of a TIC id from a pipeline, read when
    it is asked for. It iterates over the TIC ids.

    Attributes
    ----------
    tic_ids
        Sorted, as an Arrow array.
    """

    def __init__(self, dataset: Dataset, tic_ids: pa.Array) -> None:
        self._dataset = dataset
        self.tic_ids = tic_ids

    def __getitem__(self, tic: int) -> dict[str, LightCurve]:
        return self._dataset.light_curves(tic=tic)

    def __iter__(self) -> Iterator[int]:
        return iter(self.tic_ids.to_pylist())

    def __len__(self) -> int:
        return len(self.tic_ids)

    def __repr__(self) -> str:
        return f"<{len(self):,} stars that are in {', '.join(self._dataset)}>"
