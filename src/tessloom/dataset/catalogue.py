"""HATS metadata: what makes a directory of partitions one catalogue in LSDB.

Written again at the end of every build from the partitions that are there; no light-curve file
is touched. The layout is the IVOA Note HATS 1.0 with several files a pixel
(``hats_npix_suffix=/``), so that a sector adds files. There is no ``_metadata`` beside the
partitions: with several files a pixel it fails hats' strict validation.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from tessloom._version import SOFTWARE
from tessloom.dataset.card import write_card
from tessloom.dataset.index import write_index
from tessloom.dataset.layout import (
    catalogue_directory,
    index_directory,
    partitions,
    remove_empty_pixels,
    write_bytes,
    write_text,
)
from tessloom.dataset.receipt import read_receipt
from tessloom.dataset.schema import HEALPIX, arrow_schema
from tessloom.errors import DatasetError
from tessloom.healpix import ORDER

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.pipelines import Pipeline

HATS_VERSION = "v1.0"


def publish(root: Path) -> None:
    """Bring the metadata of every pipeline's catalogue, and the dataset card, up to date.

    Raises
    ------
    DatasetError
        A partition is damaged or the disk does not take the files.
    """
    from tessloom.pipelines import PIPELINES  # noqa: PLC0415

    summaries = []
    for pipeline in PIPELINES.values():
        remove_empty_pixels(root, pipeline)
        found = list(partitions(root, pipeline))
        if found:
            rows, synthetic = _write_catalogue(root, pipeline, found)
            summaries.append(
                (pipeline, sorted({sector for _, sector, _ in found}), rows, synthetic)
            )
    if summaries:
        write_card(root, summaries)


def _write_catalogue(
    root: Path, pipeline: Pipeline, found: list[tuple[int, int, Path]]
) -> tuple[int, bool]:
    rows, synthetic = 0, False
    for _, _, path in found:
        receipt = read_receipt(path)
        rows += receipt.written
        synthetic |= receipt.synthetic
    _check_schemas(pipeline, found)
    directory = catalogue_directory(root, pipeline)
    pixels = sorted({pixel for pixel, _, _ in found})
    lines = "".join(f"{pipeline.healpix_order},{pixel}\n" for pixel in pixels)
    write_text(directory / "partition_info.csv", f"Norder,Npix\n{lines}")
    sink = io.BytesIO()
    pq.write_metadata(arrow_schema(pipeline), sink)
    write_bytes(directory / "dataset" / "_common_metadata", sink.getvalue())

    # Written as LSDB's collections are: the members are folders inside.
    for column in pipeline.indexes:
        write_index(root, pipeline, column, found)
        _write_properties(
            index_directory(root, pipeline, column), _index_properties(pipeline, column, rows)
        )
    _write_properties(directory, _catalogue_properties(pipeline, rows, synthetic))
    indexes = " ".join(f"{column} index_{column}" for column in pipeline.indexes)
    collection = {
        "obs_collection": pipeline.name,
        "hats_primary_table_url": "catalog",
        "all_indexes": indexes,
        "default_index": pipeline.indexes[0],
    } | _provenance()
    write_text(root / pipeline.name / "collection.properties", _properties(collection))
    return rows, synthetic


def _check_schemas(pipeline: Pipeline, found: list[tuple[int, int, Path]]) -> None:
    """Check that all files open as one table: files of another tessloom may not."""
    schema = arrow_schema(pipeline)
    checked: set[int] = set()
    for _, sector, path in found:
        if sector not in checked:
            checked.add(sector)
            if not pq.read_schema(path).equals(schema):
                raise DatasetError(
                    f"{path} was written with other columns than this tessloom writes: "
                    "build that sector anew, or into another directory"
                )


def _catalogue_properties(pipeline: Pipeline, rows: int, synthetic: bool) -> dict[str, str]:
    title = pipeline.title + (" (SYNTHETIC: made by tessloom's demo archive)" if synthetic else "")
    return {
        "obs_collection": pipeline.name,
        "dataproduct_type": "object",
        "hats_nrows": str(rows),
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": HEALPIX,
        "hats_col_healpix_order": str(ORDER),
        "hats_npix_suffix": "/",
        "hats_order": str(pipeline.healpix_order),
        "obs_title": title,
        "obs_description": pipeline.description,
        "obs_ack": pipeline.citation,
        "bib_reference": " ".join(pipeline.bibcodes),
        "obs_copyright": pipeline.licence,
        "hats_progenitor_url": pipeline.homepage,
    } | _provenance()


def _index_properties(pipeline: Pipeline, column: str, rows: int) -> dict[str, str]:
    return {
        "obs_collection": f"{pipeline.name}_index_{column}",
        "dataproduct_type": "index",
        "hats_nrows": str(rows),
        "hats_primary_table_url": "../catalog",
        "hats_index_column": column,
    } | _provenance()


def _provenance() -> dict[str, str]:
    return {
        "hats_builder": SOFTWARE,
        "hats_creation_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MUTC"),
        "hats_version": HATS_VERSION,
    }


def _write_properties(directory: Path, properties: dict[str, str]) -> None:
    # Readers of HATS look for either name.
    for name in ("hats.properties", "properties"):
        write_text(directory / name, _properties(properties))


def _properties(properties: dict[str, str]) -> str:
    """Return properties in Java's format, in which colons and backslashes are escaped."""
    return "".join(
        f"{name}={value}".replace("\\", "\\\\").replace(":", "\\:").replace("\n", " ") + "\n"
        for name, value in properties.items()
    )
