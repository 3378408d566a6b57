"""Light curves that were chosen: read some at a time, and only the columns that are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE, arrow_schema
from tessloom.errors import RequestError
from tessloom.reading.condition import condition_of
from tessloom.reading.scanning import failures_named, files_as_one, projected
from tessloom.reading.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow.dataset as ds

    from tessloom.pipelines import Pipeline
    from tessloom.reading.cone import Cone

_NAMED = 6  # of its columns


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Tabular):
    """Some rows and columns of some files, as ``Catalogue.select`` and ``cone`` return them.

    Rows are read when they are asked for. ``len`` is their number; with a condition or a circle it
    reads the columns that these need. What takes Arrow's streams takes a selection as it is:
    ``pa.table(selection)``, ``pl.DataFrame(selection)``, and DuckDB by the variable's name.

    Attributes
    ----------
    pipeline
        Whose light curves they are.
    paths
        The files that may have such rows.
    columns
        What is read: header values by name, and expressions for the light curve's columns.
    where
        Condition on rows.
    cone
        Circle in which they lie.
    """

    pipeline: Pipeline
    paths: Sequence[Path]
    columns: dict[str, pc.Expression]
    where: pc.Expression | None
    cone: Cone | None

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        paths: Sequence[Path],
        columns: Iterable[str] | None,
        where: str | pc.Expression | None,
        cone: Cone | None,
    ) -> Self:
        """Return what was asked for; see `Catalogue.select`.

        Raises
        ------
        RequestError
            There is no such column, or `where` is no condition on them.
        """
        schema = arrow_schema(pipeline)
        condition = None if where is None else condition_of(where, schema)
        return cls(pipeline, paths, _projection(schema, columns), condition, cone)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow batches, few in memory at a time.

        A batch has rows of one file, so batches are as small as files are. Columns of the light
        curve that were asked for by name are columns of the batch.

        Raises
        ------
        DatasetError
            A file is damaged, or the store does not give it.
        """
        columns, where = self.columns, self.where
        if self.cone is not None:
            columns = columns | {name: pc.field(name) for name in ("ra", "dec")}
            box = self.cone.box()
            where = box if where is None else where & box
        with failures_named(self.paths, self._schema):
            for batch in self._dataset().scanner(columns=columns, filter=where).to_batches():
                if self.cone is not None:
                    ra, dec = (batch.column(name).to_numpy() for name in ("ra", "dec"))
                    batch = batch.filter(pa.array(self.cone.holds(ra, dec)))  # noqa: PLW2901
                if len(batch):
                    yield batch.select(list(self.columns))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return pa.Table.from_batches(self.to_batches(), self._projected())

    def __len__(self) -> int:
        if self.cone is None:
            with failures_named(self.paths, self._schema):
                return int(self._dataset().count_rows(filter=self.where))
        return sum(map(len, self.to_batches()))

    def __repr__(self) -> str:
        names, number = list(self.columns), len(self.paths)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return (
            f"<{self.pipeline.title}: {', '.join(names[:_NAMED])}{more} of light curves in "
            f"{number:,} file{'s' * (number != 1)}>"
        )

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self._projected(), self.to_batches())
        return reader.__arrow_c_stream__(requested_schema)

    @property
    def _schema(self) -> pa.Schema:
        return arrow_schema(self.pipeline)

    def _projected(self) -> pa.Schema:
        return projected(self._schema, self.columns)

    def _dataset(self) -> ds.Dataset:
        return files_as_one(self.paths, self._schema)


def _projection(schema: pa.Schema, columns: Any) -> dict[str, pc.Expression]:
    if columns is None:
        return {name: pc.field(name) for name in schema.names if name != HEALPIX}
    given = [] if isinstance(columns, str) or not isinstance(columns, Iterable) else [*columns]
    if not given:
        raise RequestError(f"columns is {columns!r}: give a list, such as ['tic_id', 'flux']")
    series = {field.name for field in schema.field(LIGHT_CURVE).type}
    found = {}
    for column in given:
        name = str(column).removeprefix(f"{LIGHT_CURVE}.")
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
