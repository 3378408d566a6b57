"""Light curves that were chosen: read some at a time, and only the columns that are wanted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.opening import arrow_filesystem
from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE
from tessloom.dataset.storage import is_local, store_of
from tessloom.errors import DatasetError, RequestError
from tessloom.reading.condition import parse_condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow.dataset as ds
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame

    from tessloom.reading.cone import Cone


@dataclass(frozen=True)
class Selection:
    """Some rows and columns of some files, as ``Catalogue.select`` and ``cone`` return them.

    Rows are read when they are asked for. ``len`` is their number; with a condition or a circle it
    reads the columns that these need.

    Attributes
    ----------
    schema
        Of the files.
    paths
        The files that may have such rows.
    columns
        What is read: header values by name, and expressions for the light curve's columns.
    where
        Condition on rows.
    cone
        Circle in which they lie.
    """

    schema: pa.Schema
    paths: Sequence[Path]
    columns: dict[str, pc.Expression]
    where: pc.Expression | None
    cone: Cone | None

    @classmethod
    def of(
        cls,
        schema: pa.Schema,
        paths: Sequence[Path],
        columns: Iterable[str] | None,
        where: str | None,
        cone: Cone | None,
    ) -> Self:
        """Return what was asked for; see `Catalogue.select`.

        Raises
        ------
        RequestError
            There is no such column, or `where` is no condition.
        """
        types = {field.name: field.type for field in schema if field.name != LIGHT_CURVE}
        condition = None if where is None else parse_condition(where, types)
        return cls(schema, paths, _projection(schema, columns), condition, cone)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow batches, few in memory at a time.

        A batch has rows of one file, so batches are as small as files are. Columns of the light
        curve that were asked for by name are columns of the batch.

        Raises
        ------
        DatasetError
            A file can't be read.
        """
        columns, where = self.columns, self.where
        if self.cone is not None:
            columns = columns | {name: pc.field(name) for name in ("ra", "dec")}
            box = self.cone.box()
            where = box if where is None else where & box
        scanner = self._dataset().scanner(columns=columns, filter=where)
        with _reading():
            for batch in scanner.to_batches():
                if self.cone is not None:
                    ra, dec = (batch.column(name).to_numpy() for name in ("ra", "dec"))
                    batch = batch.filter(pa.array(self.cone.holds(ra, dec)))  # noqa: PLW2901
                if len(batch):
                    yield batch.select(list(self.columns))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        schema = self._dataset().scanner(columns=self.columns).projected_schema
        return pa.Table.from_batches(self.to_batches(), schema)

    def to_pandas(self) -> PandasFrame:
        """Return the rows as a pandas data frame (``pip install pandas``).

        Lists are numpy arrays.
        """
        frame: PandasFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> PolarsFrame:
        """Return the rows as a polars data frame (``tessloom[polars]``)."""
        import polars as pl  # noqa: PLC0415

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - of a table
        return frame

    def __len__(self) -> int:
        if self.cone is None:
            scanner = self._dataset().scanner(filter=self.where)
            with _reading():
                return int(scanner.count_rows())
        return sum(map(len, self.to_batches()))

    def _dataset(self) -> ds.Dataset:
        import pyarrow.dataset as ds  # noqa: PLC0415 - it brings pandas along where there is one

        if self.paths and not is_local(self.paths[0]):
            store = arrow_filesystem(self.paths)
            names = [store_of(path)[1] for path in self.paths]
            return ds.dataset(names, self.schema, format="parquet", filesystem=store)
        return ds.dataset([str(path) for path in self.paths], self.schema, format="parquet")


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn what Arrow raises while it reads into a `DatasetError`."""
    try:
        yield
    except DatasetError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(
            f"a file of the dataset can't be read ({error}): tessloom verify names what is damaged"
        ) from error


def _projection(schema: pa.Schema, columns: Iterable[str] | None) -> dict[str, pc.Expression]:
    if columns is None:
        return {name: pc.field(name) for name in schema.names if name != HEALPIX}
    if isinstance(columns, str):
        raise RequestError(f"columns is {columns!r}: give a list, such as ['tic_id', 'flux']")
    series = {field.name for field in schema.field(LIGHT_CURVE).type}
    found = {}
    for column in columns:
        name = column.removeprefix(f"{LIGHT_CURVE}.")
        if name in series:
            found[name] = pc.field(LIGHT_CURVE, name)
        elif column in schema.names:
            found[column] = pc.field(column)
        else:
            raise RequestError(
                f"there is no column {column!r}: there are {', '.join(schema.names[:-1])}, and of "
                f"the light curve {', '.join(sorted(series))}"
            )
    return found
