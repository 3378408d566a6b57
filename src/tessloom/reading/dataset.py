"""A dataset opened: its pipelines, and the stars that they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tessloom.dataset.formats import find_format
from tessloom.dataset.storage import is_local, open_directory, store_failures
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.pipelines import PIPELINES, get_pipeline
from tessloom.reading.catalogue import Catalogue, has_pipeline
from tessloom.reading.identifiers import parse_identifier
from tessloom.reading.match import Match, shared_ids
from tessloom.reading.partitions import asked
from tessloom.reading.unfinished import NotBuiltYetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datasets import Dataset as HuggingFaceDataset
    from datasets import IterableDataset

    from tessloom.dataset.splits import Splits
    from tessloom.dataset.storage import Place
    from tessloom.reading.catalogue import SectorChoice
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
    RequestError
        There is no dataset of Parquet files there.
    DatasetError
        Its first build has not ended.
    """
    root = open_directory(place)
    with store_failures(root):
        found = [pipeline for pipeline in PIPELINES.values() if has_pipeline(root, pipeline)]
        if found:
            return Dataset(root, {pipeline.name: Catalogue(root, pipeline) for pipeline in found})
        other = find_format(root)
        if other is None:
            raise _no_dataset(root)
    if other.name == "parquet":
        raise DatasetError(
            f"{root} holds a dataset whose first build has not ended: run the same command again"
        )
    raise RequestError(
        f"{root} holds a dataset in the format {other.name}, which h5py and Hugging Face datasets "
        "read; tessloom.open reads Parquet"
    )


def _no_dataset(root: Path) -> RequestError:
    """Return the error for a place that is no dataset; it says what the place is."""
    if is_local(root):
        for around in (*root.parents, *root.absolute().parents):
            if find_format(around) is not None:
                return RequestError(f"{root} lies inside the dataset {around}: open {around}")
        if root.exists() and not root.is_dir():
            return RequestError(f"{root} is a file; a dataset is a directory")
    return RequestError(f"there is no dataset in {root}: tessloom build ... --out {root} makes one")


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
        tic: str | int | None = None,
        gaia: str | int | None = None,
        object_id: str | int | None = None,
        sector: SectorChoice = None,
        pipelines: str | Iterable[str] | None = None,
    ) -> dict[str, LightCurve]:
        """Return a star's light curves from every pipeline that has it, by the pipelines' names.

        Parameters
        ----------
        tic
            The star's TIC id.
        gaia
            Or its Gaia DR3 id; pipelines without an index by it are asked for its TIC id.
        object_id
            Or its id in the column ``object_id``: the TIC id, of a star without one the Gaia DR3
            id.
        sector
            One sector or several; None: all.
        pipelines
            Where to look; None: in all.

        Raises
        ------
        NotInDatasetError
            No pipeline has it, or none in these sectors.
        RequestError
            None or several ids are given.
        """
        given = {"tic": tic, "gaia": gaia, "object_id": object_id}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise RequestError("give one of tic=, gaia= and object_id=")
        sector, names = asked(sector), self._names(pipelines)
        found = self._find(names, given, sector)
        if gaia is not None:
            known = found or self._find(tuple(self), given, None)
            counterpart = next((curve.header.get("tic_id") for curve in known.values()), None)
            if counterpart:
                for name, curve in self._find(names, {"tic": counterpart}, sector).items():
                    if _is_of(curve, gaia) and (
                        name not in found or len(curve.lengths) > len(found[name].lengths)
                    ):
                        found[name] = curve
        if not found:
            raise self._not_found(names, given, sector)
        return {name: found[name] for name in names if name in found}

    def _find(
        self, names: Iterable[str], star: Mapping[str, Any], sector: SectorChoice
    ) -> dict[str, LightCurve]:
        found: dict[str, LightCurve] = {}
        yet: NotBuiltYetError | None = None
        for name in names:
            catalogue = self._catalogues[name]
            if "gaia" in star and "gaia_dr3_id" not in catalogue.pipeline.indexes:
                continue
            try:
                found[name] = catalogue.light_curve(**star, sector=sector)
            except NotBuiltYetError as error:
                yet = error
            except NotInDatasetError:
                continue
        if yet is not None and not found:
            raise yet
        return found

    def _not_found(
        self, names: tuple[str, ...], star: Mapping[str, Any], sector: SectorChoice
    ) -> NotInDatasetError:
        """Return the error for a star that is not there; it names the sectors that it has."""
        ((kind, value),) = star.items()
        who = {"tic": "TIC ", "gaia": "Gaia DR3 "}.get(kind, "") + str(value)
        where = "" if len(names) == len(self) else f" from {', '.join(names)}"
        if sector is None:
            return NotInDatasetError(f"{self.root} has no light curve of {who}{where}")
        where += f" in sector {asked(sector)}"
        try:
            others = self.light_curves(**star, pipelines=names)
        except NotInDatasetError:
            there = ""
        else:
            numbers = sorted({number for curve in others.values() for number in curve.sectors})
            there = f"; it has sector{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
        return NotInDatasetError(f"{self.root} has no light curve of {who}{where}{there}")

    def _names(self, pipelines: str | Iterable[str] | None) -> tuple[str, ...]:
        """Return the names of the pipelines that are asked for.

        Raises
        ------
        NotInDatasetError
            The dataset has nothing from one.
        RequestError
            One is unknown, or none is named.
        """
        if pipelines is None:
            return tuple(self)
        given = [pipelines] if isinstance(pipelines, str) else pipelines
        names = tuple(dict.fromkeys(self[name].pipeline.name for name in given))
        if not names:
            raise RequestError("name at least one pipeline")
        return names

    def to_hf(
        self,
        sector: SectorChoice = None,
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

    def match(
        self,
        column: str = "tic_id",
        *,
        pipelines: str | Iterable[str] | None = None,
        sector: SectorChoice = None,
    ) -> Match:
        """Return the stars that several pipelines have, by their TIC ids.

        Only the indexes are read; with `sector`, also the ids in the files of these sectors.

        Parameters
        ----------
        column
            ``tic_id``: the only id by which all pipelines have an index.
        pipelines
            Which must have a star; None: all of the dataset.
        sector
            Each must have it in one of these sectors, of which the light curves then are.

        Raises
        ------
        RequestError
            It is another column than ``tic_id``, or no pipeline of that name.
        NotInDatasetError
            There is nothing from a pipeline, or nothing of these sectors.
        """
        if column != "tic_id":
            raise RequestError(
                f"stars are matched by tic_id, not by {column!r}: it is the one id that all "
                "pipelines have"
            )
        sector, names = asked(sector), self._names(pipelines)
        return Match(self, shared_ids([self[name] for name in names], sector), names, sector)


def _is_of(light_curve: LightCurve, gaia: object) -> bool:
    """Return whether what a TIC id found is of a Gaia id or of none: stars may share a TIC id."""
    ids = {header["gaia_dr3_id"] for header in light_curve.headers}
    return ids <= {None, parse_identifier(gaia, "gaia").number}
