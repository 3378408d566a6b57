"""Several files as one Arrow dataset, and what is said when one of them can't be read."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa

from tessloom.dataset.opening import arrow_filesystem, damaged, parquet_file
from tessloom.dataset.storage import is_local, said, store_failures, store_of
from tessloom.errors import DatasetError, RequestError, TessloomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow.compute as pc
    import pyarrow.dataset as ds


def files_as_one(paths: Sequence[Path], schema: pa.Schema) -> ds.Dataset:
    """Return files as one dataset of Arrow's; nothing is read yet."""
    import pyarrow.dataset as ds  # noqa: PLC0415 - it brings pandas along where there is one

    store = arrow_filesystem(paths) if paths and not is_local(paths[0]) else None
    return ds.dataset(list(map(_name, paths)), schema, format="parquet", filesystem=store)


def projected(schema: pa.Schema, columns: Mapping[str, pc.Expression]) -> pa.Schema:
    """Return the schema of a projection; no file is looked at.

    Raises
    ------
    pyarrow.ArrowException, TypeError, ValueError
        An expression does not fit the schema.
    """
    import pyarrow.dataset as ds  # noqa: PLC0415 - as above

    return ds.dataset(schema.empty_table()).scanner(columns=dict(columns)).projected_schema


@contextlib.contextmanager
def failures_named(paths: Sequence[Path], schema: pa.Schema) -> Iterator[None]:
    """Turn an error of Arrow's, while it reads these files, into one that names the file.

    Raises
    ------
    DatasetError
        A file is damaged, gone, or of others.
    RequestError
        All are whole: a condition divides by zero, or the like.
    """
    if not paths:
        yield
        return
    with store_failures(paths[0].parents[3]):
        try:
            yield
        except TessloomError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise _explained(error, paths, schema) from error


def _explained(error: Exception, paths: Sequence[Path], schema: pa.Schema) -> TessloomError:
    named = [path for path in paths if _name(path) in str(error)]
    # A condition's error has no name either, and to read all files for it may take hours.
    whole = bool(named) or isinstance(error, OSError)
    for path in named or paths:
        try:
            _read(path, schema, whole=whole)
        except DatasetError as own:
            return own
    if named:
        return damaged(named[0], error)
    if isinstance(error, pa.ArrowException):
        return RequestError(f"the condition can't be computed for all rows: {error}")
    return DatasetError(f"the files in {paths[0].parents[3]} can't be read: {said(error)}")


def _read(path: Path, schema: pa.Schema, *, whole: bool) -> None:
    with parquet_file(path) as file:
        for field in file.schema_arrow:
            if field.name in schema.names and field.type != schema.field(field.name).type:
                raise pa.ArrowTypeError(f"{field.name} is {field.type}")
        for number in range(file.num_row_groups if whole else 0):
            file.read_row_group(number)


def _name(path: Path) -> str:
    return str(path) if is_local(path) else str(store_of(path)[1])
