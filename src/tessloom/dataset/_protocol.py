"""What a build needs of a way to keep a dataset on disk: one contract, several formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from tessloom.dataset.partition_checks import CheckedFile
    from tessloom.dataset.receipt import Receipt
    from tessloom.dataset.rows import RowFormat
    from tessloom.dataset.verification import Problem
    from tessloom.pipelines import Pipeline


class Writer(Protocol):
    """Writes one partition; nothing stands under its name before `close`."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch of rows.

        Raises
        ------
        DatasetError
            The disk does not take it. Then the file is given up: each further call raises too.
        """

    def close(self, receipt: Receipt) -> Receipt:
        """Finish the file and give it its name.

        Returns the receipt as it stands in the file: with the check sum, which is the writer's.
        """

    def abandon(self) -> None:
        """Leave nothing behind."""


class DatasetFormat(Protocol):
    """A layout of files, and how one of them is written: a small value sent to workers.

    Its methods take the root of the dataset and pipelines as `declare` returns them.
    """

    @property
    def name(self) -> str:
        """What the command line calls it."""

    def declare(self, pipeline: Pipeline) -> Pipeline:
        """Return the pipeline's declaration with what this format keeps otherwise."""

    def row_format(self, pipeline: Pipeline) -> RowFormat:
        """Return how files become the rows that this format keeps."""

    def request_key(self, pipeline: Pipeline) -> str:
        """Return what a file's contents depend on beside its targets, as a short text."""

    def check_additions(self, root: Path, pipeline: Pipeline) -> None:
        """Check that new files will not take away what earlier ones have.

        Raises
        ------
        DatasetError
            They would.
        """

    def directory(self, root: Path, pipeline: Pipeline) -> Path:
        """Return the directory that holds all files of a pipeline."""

    def partition_path(
        self,
        root: Path,
        pipeline: Pipeline,
        pixel: int,
        sector: int,
        *,
        claimed: Container[Path] = (),
    ) -> Path:
        """Return the file of one (pixel, sector), which need not exist."""

    def listing_path(self, root: Path, pipeline: Pipeline, sector: int) -> Path:
        """Return the file that says which targets were asked for."""

    def partitions(self, root: Path, pipeline: Pipeline) -> Iterator[tuple[int, int, Path]]:
        """Yield (pixel, sector, file) of all finished partitions, sorted by pixel and sector."""

    def sectors(self, root: Path, pipeline: Pipeline) -> list[int]:
        """Return the sectors of which targets were asked for."""

    def writer(self, path: Path, pipeline: Pipeline) -> Writer:
        """Return a writer of one partition."""

    def read_receipt(self, path: Path) -> Receipt:
        """Read what a partition says of itself.

        Raises
        ------
        DatasetError
            The file is damaged or was not written by tessloom.
        """

    def object_ids(self, path: Path) -> Counter[str]:
        """Count the light curves of a partition by ``object_id``."""

    def written_with(
        self, path: Path, pipeline: Pipeline, *, known_only: bool = False
    ) -> DatasetFormat:
        """Return the format with the choices with which a partition was written.

        Parameters
        ----------
        known_only
            Leave out what no choice gives.

        Raises
        ------
        DatasetError
            The file is damaged, or holds what no choice gives.
        """

    def read_rows(self, path: Path, pipeline: Pipeline) -> Iterator[pa.RecordBatch]:
        """Yield the light curves of a partition, some hundred at a time.

        Batches have the schema of `row_format`. A writer of the same format makes of them a file
        with the same contents, where the format is the one that the file was `written_with`.

        Raises
        ------
        DatasetError
            The file is damaged or has other columns.
        """

    def files(self, root: Path, pipeline: Pipeline) -> list[Path]:
        """Return all files that readers may take for partitions, whoever wrote them, sorted."""

    def place(self, root: Path, pipeline: Pipeline, path: Path) -> tuple[int, int | None] | None:
        """Return the pixel of a file, and its sector if the path tells; None for a stranger."""

    def check_structure(self, path: Path, pipeline: Pipeline) -> list[str]:
        """Return what is wrong with a partition's columns or arrays, to be read after the path.

        Raises
        ------
        DatasetError
            The file is damaged.
        """

    def check_catalogue(
        self, root: Path, pipeline: Pipeline, files: Sequence[CheckedFile]
    ) -> Iterable[Problem | str]:
        """Return what is wrong with what stands beside the partitions, or was not checked."""

    def unpublished(self, root: Path, pipeline: Pipeline, light_curves: int) -> list[str]:
        """Return what `publish` would mend: what is missing, or does not know all light curves.

        A sentence each, which says what to do.
        """

    def publish(self, root: Path) -> list[str]:
        """Bring all that is beside the partitions, and the dataset card, up to date.

        Returns what readers should know of the dataset as a whole, a sentence each.
        """
