"""The Multimodal Universe's standard format: HDF5 files by pixels of nside 16."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from tessloom.dataset.features import ADDED, ALL, DEFAULT, HEALPIX_ORDER, choose_features
from tessloom.dataset.hdf5 import Hdf5Writer
from tessloom.dataset.hdf5_contiguous import ContiguousHdf5Writer
from tessloom.dataset.hdf5_reading import check_arrays, read_hdf5_receipt, read_hdf5_rows
from tessloom.dataset.layout import visible_files
from tessloom.dataset.opening import damaged, hdf5_file
from tessloom.dataset.rows import RowFormat
from tessloom.dataset.standard_card import Contents, write_description
from tessloom.dataset.storage import for_each, matching
from tessloom.dataset.summary import file_sizes, summarise_sectors
from tessloom.errors import DatasetError, RequestError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from tessloom.dataset._protocol import Writer
    from tessloom.dataset.partition_checks import CheckedFile
    from tessloom.dataset.receipt import Receipt
    from tessloom.dataset.verification import Problem
    from tessloom.pipelines import Feature, Pipeline

_FIRST = "001-of-001.hdf5"
_PARTITION = re.compile(r"healpix=(\d+)/(?:s(\d{4})-)?001-of-001\.hdf5")
_PIXEL = re.compile(r"healpix=\d+")
_LISTING = ".listing"


@dataclass(frozen=True)
class StandardFormat:
    """See `_protocol.DatasetFormat`.

    A sector that finds a pixel's usual file taken by another sector gets a file of its own
    beside it.

    Parameters
    ----------
    names
        Of the features that files hold; see `features.choose_features`.
    contiguous
        Whether arrays are written as one block each, uncompressed.
    """

    names: tuple[str, ...] = (DEFAULT,)
    contiguous: bool = False

    name = "hdf5"

    def declare(self, pipeline: Pipeline) -> Pipeline:
        """Return the declaration with pixels of nside 16 and header values in double."""
        keywords = tuple(
            replace(keyword, dtype="float64") if keyword.dtype == "float32" else keyword
            for keyword in pipeline.keywords
        )
        return replace(pipeline, healpix_order=HEALPIX_ORDER, keywords=keywords)

    def features(self, pipeline: Pipeline) -> tuple[Feature, ...]:
        """Return the features of a pipeline that files hold."""
        return choose_features(pipeline, self.names)

    def row_format(self, pipeline: Pipeline) -> RowFormat:
        """Return how files become rows with the columns that the features need."""
        sources = {name for feature in self.features(pipeline) for name in feature.sources}
        return RowFormat(pipeline, frozenset(sources | {"time"}))

    def request_key(self, pipeline: Pipeline) -> str:
        """Return the names of the features, and whether arrays are contiguous."""
        names = " ".join(sorted(feature.name for feature in self.features(pipeline)))
        return f"{names}\ncontiguous" if self.contiguous else names

    def check_additions(self, root: Path, pipeline: Pipeline) -> None:
        """Check that files have no array that is not asked for now: building would drop it.

        And that they are laid out as is asked for: else all would be built anew.
        """
        asked = {*ADDED, *(feature.name for feature in self.features(pipeline))}
        paths = self._paths(root, pipeline)
        for path, file in zip(paths, for_each(_read, paths, root), strict=True):
            if file.receipt.contiguous != self.contiguous:
                was = "contiguous" if file.receipt.contiguous else "compressed"
                option = "add --contiguous" if file.receipt.contiguous else "leave --contiguous out"
                raise DatasetError(
                    f"the arrays of {path} are {was}, and all would be fetched and written anew: "
                    f"{option}, or choose another directory"
                )
            lost = sorted(file.kinds.keys() - asked)
            if lost:
                raise DatasetError(
                    f"{path} has the arrays {', '.join(lost)}, which were not asked for now: ask "
                    "for them too, or choose another directory"
                )

    def directory(self, root: Path, pipeline: Pipeline) -> Path:
        """Return the pipeline's directory, in capitals."""
        return root / pipeline.name.upper()

    def partition_path(
        self,
        root: Path,
        pipeline: Pipeline,
        pixel: int,
        sector: int,
        *,
        claimed: Container[Path] = (),
    ) -> Path:
        """Return the file of one (pixel, sector)."""
        directory = self.directory(root, pipeline) / f"healpix={pixel}"
        first, own = directory / _FIRST, directory / f"s{sector:04d}-{_FIRST}"
        taken = first in claimed or (first.exists() and self.read_receipt(first).sector != sector)
        return own if taken or own.exists() else first

    def listing_path(self, root: Path, pipeline: Pipeline, sector: int) -> Path:
        """Return the file that says which targets were asked for, out of the readers' way."""
        return self.directory(root, pipeline) / _LISTING / f"s{sector:04d}.parquet"

    def partitions(self, root: Path, pipeline: Pipeline) -> Iterator[tuple[int, int, Path]]:
        """Yield (pixel, sector, file) of all finished partitions."""
        paths = self._paths(root, pipeline)
        found = zip(for_each(self.read_receipt, paths, root), paths, strict=True)
        yield from sorted((receipt.pixel, receipt.sector, path) for receipt, path in found)

    def sectors(self, root: Path, pipeline: Pipeline) -> list[int]:
        """Return the sectors of which targets were asked for."""
        directory = self.directory(root, pipeline) / _LISTING
        paths = matching(directory, "s[0-9][0-9][0-9][0-9].parquet")
        return sorted(int(path.stem[1:]) for path in paths)

    def writer(self, path: Path, pipeline: Pipeline) -> Writer:
        """Return an HDF5 writer."""
        kind = ContiguousHdf5Writer if self.contiguous else Hdf5Writer
        return kind(path, self.features(pipeline))

    def read_receipt(self, path: Path) -> Receipt:
        """Read the receipt from a partition's attributes."""
        return read_hdf5_receipt(path)

    def object_ids(self, path: Path) -> Counter[str]:
        """Count the light curves of a partition by ``object_id``."""
        try:
            with hdf5_file(path) as file:
                return Counter(file["object_id"].asstr()[:] if "object_id" in file else ())
        except (OSError, RuntimeError, KeyError) as error:
            raise damaged(path, error) from error

    def written_with(
        self, path: Path, pipeline: Pipeline, *, known_only: bool = False
    ) -> StandardFormat:
        """Return the format with the choices with which a partition was written.

        Raises
        ------
        DatasetError
            The file is damaged, or holds arrays that a function of the user's made.
        """
        file = _read(path)
        names = file.receipt.features or tuple(sorted(file.kinds.keys() - ADDED))
        found = StandardFormat(names, file.receipt.contiguous)
        try:
            found.features(pipeline)
        except RequestError:
            if known_only:
                return StandardFormat(())
            raise DatasetError(
                f"{path} holds arrays that tessloom does not make of FITS files: they came from a "
                "processing_fn, and only it can make them again"
            ) from None
        return found

    def read_rows(self, path: Path, pipeline: Pipeline) -> Iterator[pa.RecordBatch]:
        """Yield the light curves of a partition, some hundred at a time.

        See `features.dataset_rows`.
        """
        return read_hdf5_rows(path, self.features(pipeline), self.row_format(pipeline).schema)

    def files(self, root: Path, pipeline: Pipeline) -> list[Path]:
        """Return all files in the pipeline's directory that readers may take for a partition."""
        return visible_files(self.directory(root, pipeline))

    def place(self, root: Path, pipeline: Pipeline, path: Path) -> tuple[int, int | None] | None:
        """Return the pixel of a path, and the sector where its name has it."""
        match = _PARTITION.fullmatch(path.relative_to(self.directory(root, pipeline)).as_posix())
        return (int(match[1]), int(match[2]) if match[2] else None) if match else None

    def check_structure(self, path: Path, pipeline: Pipeline) -> list[str]:
        """Check the types and shapes of the arrays."""
        return check_arrays(path, self.features(pipeline), self.row_format(pipeline).schema)

    def check_catalogue(
        self,
        root: Path,  # noqa: ARG002
        pipeline: Pipeline,  # noqa: ARG002
        files: Sequence[CheckedFile],  # noqa: ARG002
    ) -> Iterable[Problem | str]:
        """Find nothing: nothing stands beside the partitions but the card."""
        return ()

    def publish(self, root: Path) -> list[str]:
        """Write the card, with which Hugging Face datasets opens the directory, and Croissant's."""
        contents = []
        for pipeline in PIPELINES.values():
            paths = self._paths(root, pipeline)
            files = dict(zip(paths, for_each(_read, paths, root), strict=True))
            if any(file.receipt.written for file in files.values()):
                contents.append(self._contents(root, pipeline, files))
        return write_description(root, contents)

    def _contents(self, root: Path, pipeline: Pipeline, files: Mapping[Path, _File]) -> Contents:
        directory = self.directory(root, pipeline)
        receipts = {path: file.receipt for path, file in files.items()}
        listings = {n: self.listing_path(root, pipeline, n) for n in self.sectors(root, pipeline)}
        return Contents(
            pipeline,
            directory.name,
            summarise_sectors(receipts.items(), listings, file_sizes(directory, receipts)),
            any(receipt.synthetic for receipt in receipts.values()),
            [file.kinds for file in files.values() if file.receipt.written],
            choose_features(pipeline, (ALL,)),
        )

    def _paths(self, root: Path, pipeline: Pipeline) -> list[Path]:
        found = matching(self.directory(root, pipeline), f"healpix=*/*{_FIRST}")
        return sorted(path for path in found if _PIXEL.fullmatch(path.parent.name))


class _File(NamedTuple):
    """What the card needs of one file.

    Attributes
    ----------
    kinds
        What the card calls each array's type; its length may differ between files.
    """

    receipt: Receipt
    kinds: dict[str, str]


def _read(path: Path) -> _File:
    receipt = read_hdf5_receipt(path)
    kinds = {}
    try:
        with hdf5_file(path) as file:
            for name, dataset in file.items():
                element = "string" if dataset.dtype.kind == "O" else dataset.dtype.name
                kinds[name] = f"{'list' if dataset.ndim > 1 else 'dtype'}: {element}"
    # h5py gives None for what it can't open.
    except (OSError, RuntimeError, AttributeError) as error:
        raise damaged(path, error) from error
    return _File(receipt, kinds)
