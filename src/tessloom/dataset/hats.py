"""The HATS format: Parquet files that make one catalogue for LSDB, and open everywhere else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessloom.dataset import catalogue, layout, published, receipt
from tessloom.dataset.catalogue_checks import check_catalogue
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.parquet import ParquetWriter, is_sorted, read_parquet_rows
from tessloom.dataset.rows import RowFormat
from tessloom.dataset.schema import HEALPIX, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from tessloom.dataset._protocol import Writer
    from tessloom.dataset.partition_checks import CheckedFile
    from tessloom.dataset.receipt import Receipt
    from tessloom.dataset.verification import Problem
    from tessloom.pipelines import Pipeline


@dataclass(frozen=True)
class HatsFormat:
    """See `_protocol.DatasetFormat`."""

    name = "parquet"

    def declare(self, pipeline: Pipeline) -> Pipeline:
        """Return the declaration as it is."""
        return pipeline

    def row_format(self, pipeline: Pipeline) -> RowFormat:
        """Return how files become rows with every column."""
        return RowFormat(pipeline)

    def request_key(self, pipeline: Pipeline) -> str:  # noqa: ARG002
        """Return nothing: every column is kept."""
        return ""

    def check_additions(self, root: Path, pipeline: Pipeline) -> None:
        """Find nothing: all files have the same columns."""

    def directory(self, root: Path, pipeline: Pipeline) -> Path:
        """Return the collection's directory."""
        return root / pipeline.name

    def partition_path(
        self,
        root: Path,
        pipeline: Pipeline,
        pixel: int,
        sector: int,
        *,
        claimed: Container[Path] = (),  # noqa: ARG002
    ) -> Path:
        """Return the file of one (pixel, sector)."""
        return layout.partition_path(root, pipeline, pixel, sector)

    def listing_path(self, root: Path, pipeline: Pipeline, sector: int) -> Path:
        """Return the file that says which targets were asked for."""
        return layout.listing_path(root, pipeline, sector)

    def partitions(self, root: Path, pipeline: Pipeline) -> Iterator[tuple[int, int, Path]]:
        """Yield (pixel, sector, file) of all finished partitions."""
        return layout.partitions(root, pipeline)

    def sectors(self, root: Path, pipeline: Pipeline) -> list[int]:
        """Return the sectors of which targets were asked for."""
        return layout.sectors(root, pipeline)

    def writer(self, path: Path, pipeline: Pipeline) -> Writer:
        """Return a Parquet writer."""
        return ParquetWriter(path, arrow_schema(pipeline))

    def read_receipt(self, path: Path) -> Receipt:
        """Read the receipt from a partition's footer."""
        return receipt.read_receipt(path)

    def object_ids(self, path: Path) -> Counter[str]:
        """Count the light curves of a partition by ``object_id``."""
        with parquet_file(path) as file:
            return Counter(file.read(["object_id"])["object_id"].to_pylist())

    def written_with(
        self,
        path: Path,  # noqa: ARG002
        pipeline: Pipeline,  # noqa: ARG002
        *,
        known_only: bool = False,  # noqa: ARG002
    ) -> HatsFormat:
        """Return the same format: there is nothing to choose."""
        return self

    def read_rows(self, path: Path, pipeline: Pipeline) -> Iterator[pa.RecordBatch]:
        """Yield the light curves of a partition, a row group at a time."""
        return read_parquet_rows(path, arrow_schema(pipeline))

    def files(self, root: Path, pipeline: Pipeline) -> list[Path]:
        """Return all files among the partitions that readers may take for one."""
        return layout.visible_files(layout.catalogue_directory(root, pipeline) / "dataset")

    def place(self, root: Path, pipeline: Pipeline, path: Path) -> tuple[int, int] | None:
        """Return the pixel and the sector of a partition's path."""
        return layout.place(root, pipeline, path)

    def check_structure(self, path: Path, pipeline: Pipeline) -> list[str]:  # noqa: ARG002
        """Check that the rows are sorted; `read_rows` checks the schema."""
        return [] if is_sorted(path) else [f"is not sorted by {HEALPIX}"]

    def check_catalogue(
        self, root: Path, pipeline: Pipeline, files: Sequence[CheckedFile]
    ) -> Iterable[Problem | str]:
        """Compare the HATS metadata and the indexes with the partitions."""
        return check_catalogue(root, pipeline, files)

    def unpublished(self, root: Path, pipeline: Pipeline, light_curves: int) -> list[str]:
        """Return what is missing of the HATS metadata and the indexes, or is behind."""
        return published.unpublished(root, pipeline, light_curves)

    def publish(self, root: Path) -> list[str]:
        """Write the HATS metadata, the indexes, the card and the Croissant file."""
        return catalogue.publish(root)


PARQUET = HatsFormat()
