"""Whether what stands beside HATS partitions agrees with them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.index import index_table, read_index
from tessloom.dataset.layout import catalogue_directory, index_directory
from tessloom.dataset.opening import open_parquet
from tessloom.dataset.schema import arrow_schema
from tessloom.dataset.verification import PUBLISH_AGAIN, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tessloom.dataset.partition_checks import CheckedFile
    from tessloom.pipelines import Pipeline

_NAMED = 5


def check_catalogue(
    root: Path, pipeline: Pipeline, files: Sequence[CheckedFile]
) -> Iterator[Problem | str]:
    """Compare a catalogue's metadata with its partitions, and have hats validate it.

    Yields problems, and sentences on what was not checked.
    """
    directory = catalogue_directory(root, pipeline)
    unreadable = {file.pixel for file in files if not file.readable}
    for check, path in (
        (_pixels, directory / "partition_info.csv"),
        (_schema, directory / "dataset" / "_common_metadata"),
        *((_rows, directory / name) for name in ("hats.properties", "properties")),
        *((_index, index_directory(root, pipeline, name)) for name in pipeline.indexes),
    ):
        if check is _rows and unreadable:
            continue
        try:
            found = check(path, pipeline, files)
        # Whatever a damaged file makes of a reader.
        except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
            found = [f"can't be read ({error!r})"]
        yield from (Problem(path=path, what=what, advice=PUBLISH_AGAIN) for what in found)
    if unreadable:
        yield f"{pipeline.name} was not validated by hats, because files of it are damaged."
    else:
        yield from _validate(root / pipeline.name)


def _pixels(path: Path, pipeline: Pipeline, files: Sequence[CheckedFile]) -> list[str]:
    lines = path.read_text(encoding="utf-8").split()
    pixels = sorted({file.pixel for file in files})
    expected = [f"{pipeline.healpix_order},{pixel}" for pixel in pixels]
    if lines == ["Norder,Npix", *expected]:
        return []
    differ = sorted(set(lines[1:]) ^ set(expected))
    return [f"does not have the pixels of the partitions; they differ in {', '.join(differ)}"]


def _schema(path: Path, pipeline: Pipeline, files: Sequence[CheckedFile]) -> list[str]:  # noqa: ARG001
    with open_parquet(path) as file:
        schema = file.schema_arrow
    if schema.equals(arrow_schema(pipeline)):
        return []
    return ["has another schema than the pipeline"]


def _rows(path: Path, pipeline: Pipeline, files: Sequence[CheckedFile]) -> list[str]:  # noqa: ARG001
    lines = path.read_text(encoding="utf-8").splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line)["hats_nrows"]
    count = sum(file.rows for file in files)
    if said == str(count):
        return []
    return [f"says that there are {said} light curves; there are {count}"]


def _index(path: Path, pipeline: Pipeline, files: Sequence[CheckedFile]) -> list[str]:
    """Compare an index with the ids of the files, but for pixels with files that can't be read."""
    column = path.name.removeprefix("index_")
    chunks: dict[int, list[pa.Array]] = {}
    for file in files:
        chunks.setdefault(file.pixel, [])
        if file.readable:
            chunks[file.pixel] += file.identifiers[column].chunks
    identifiers = {pixel: pa.chunked_array(c, pa.int64()) for pixel, c in chunks.items()}
    expected = index_table(pipeline.healpix_order, column, identifiers)
    index = read_index(path)
    if not index.schema.equals(expected.schema):
        return ["has other columns than an index"]
    unreadable = pa.array({file.pixel for file in files if not file.readable}, pa.uint64())
    expected, index = (
        table.filter(pc.invert(pc.is_in(table["Npix"], unreadable))) for table in (expected, index)
    )
    if index.equals(expected):
        return []
    problems = []
    if lacking := _only_in(expected, index):
        problems.append(f"lacks ids that the light curves have: {lacking}")
    if surplus := _only_in(index, expected):
        problems.append(f"has ids in pixels where no light curve has them: {surplus}")
    return problems or ["is not sorted, or has ids twice"]


def _only_in(table: pa.Table, other: pa.Table) -> str:
    """Name the ids of rows that another table lacks; empty if there are none."""
    rows = table.join(other, table.column_names, join_type="left anti")
    names = [str(identifier) for identifier in sorted(rows.column(0).to_pylist()[:_NAMED])]
    return ", ".join(names) + (", …" if len(rows) > _NAMED else "")


def _validate(collection: Path) -> Iterator[Problem | str]:
    """Have hats validate a collection strictly."""
    try:
        # Imported late: it takes seconds, and is an extra.
        from hats.io.validation import is_valid_catalog  # noqa: PLC0415
    except ImportError:
        yield (
            f"{collection.name} was not validated by hats, which is not installed: "
            "pip install 'tessloom[lsdb]'."
        )
        return
    with _kept_back() as said:
        try:
            valid = is_valid_catalog(collection, strict=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the catalogue is not valid
            valid = False
            said.append(repr(error))
    if not valid:
        yield Problem(
            path=collection,
            what=f"is no valid HATS collection for hats ({'; '.join(said)})",
            advice=PUBLISH_AGAIN,
        )


@contextlib.contextmanager
def _kept_back() -> Iterator[list[str]]:
    """Keep back what a library prints, warns of and logs; collect what it logs."""
    said: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root = logging.getLogger()
    handlers, root.handlers = root.handlers, [Collecting(logging.WARNING)]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield said
    finally:
        root.handlers = handlers
