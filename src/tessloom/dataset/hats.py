"""The HATS format: Parquet files that make one catalogue for LSDB, and open everywhere else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from tessloom.dataset import catalogue, layout, receipt
from tessloom.dataset.parquet import ParquetWriter
from tessloom.dataset.rows import RowFormat
from tessloom.dataset.schema import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessloom.dataset._protocol import Writer
    from tessloom.dataset.receipt import Receipt
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

    def partition_path(self, root: Path, pipeline: Pipeline, pixel: int, sector: int) -> Path:
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
        with pq.ParquetFile(path) as file:
            return Counter(file.read(["object_id"])["object_id"].to_pylist())

    def publish(self, root: Path) -> list[str]:
        """Write the HATS metadata, the indexes and the card."""
        catalogue.publish(root)
        return []


PARQUET = HatsFormat()
