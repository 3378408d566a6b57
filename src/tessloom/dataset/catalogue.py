"""HATS metadata: what makes a directory of partitions one catalogue in LSDB.

Written again at the end of every build from the partitions that are there; no light-curve file
is touched. The layout is the IVOA Note HATS 1.0 with several files a pixel
(``hats_npix_suffix=/``), so that a sector adds files. There is no ``_metadata`` beside the
partitions: with several files a pixel it fails hats' strict validation.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tessloom._version import SOFTWARE
from tessloom.dataset.columns import row_columns
from tessloom.dataset.hats_card import write_description
from tessloom.dataset.index import write_index
from tessloom.dataset.layout import (
    catalogue_directory,
    index_directory,
    listing_path,
    partitions,
    remove_empty_pixels,
    sectors,
    write_bytes,
    write_text,
)
from tessloom.dataset.margins import (
    COLLECTION,
    digest_of,
    margin_properties,
    overtaken_margins,
)
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.parquet import other_columns
from tessloom.dataset.published import listing_properties
from tessloom.dataset.receipt import parse_receipt
from tessloom.dataset.schema import HEALPIX, arrow_schema
from tessloom.dataset.storage import for_each
from tessloom.dataset.summary import Summary, file_sizes, summarise_sectors
from tessloom.healpix import ORDER
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline

HATS_VERSION = "v1.0"


def publish(root: Path) -> list[str]:
    """Bring up to date the metadata of every pipeline's catalogue, the card and the Croissant file.

    Returns
    -------
    list of str
        What the user should know, a sentence each.

    Raises
    ------
    DatasetError
        A partition is damaged or the disk does not take the files.
    """
    summaries, notes = [], []
    for pipeline in PIPELINES.values():
        remove_empty_pixels(root, pipeline)
        contents = _read_contents(root, pipeline)
        if contents.receipts:
            _write_catalogue(root, pipeline, contents)
            notes += overtaken_margins(root, pipeline, contents.digest)
        if contents.rows:
            summaries.append(_summarise(root, pipeline, contents))
    if summaries:
        write_description(root, summaries)
    return notes


@dataclass
class _Contents:
    """What the partitions of one pipeline hold.

    Attributes
    ----------
    identifiers
        Ids by column and pixel.
    receipts
        By file.
    """

    identifiers: dict[str, dict[int, pa.ChunkedArray]]
    receipts: dict[Path, Receipt] = field(default_factory=dict)
    pixels: set[int] = field(default_factory=set)

    @property
    def rows(self) -> int:
        return sum(receipt.written for receipt in self.receipts.values())

    @property
    def synthetic(self) -> bool:
        return any(receipt.synthetic for receipt in self.receipts.values())

    @property
    def digest(self) -> str:
        return digest_of(self.receipts.values())

    def stars(self, column: str) -> int:
        """Count the different ids of a column."""
        chunks = [chunk for ids in self.identifiers[column].values() for chunk in ids.chunks]
        count = pc.count_distinct(pa.chunked_array(chunks, pa.int64()), mode="only_valid")
        return int(count.as_py())


def _read_contents(root: Path, pipeline: Pipeline) -> _Contents:
    contents = _Contents({column: {} for column in pipeline.indexes})
    read = partial(_read_partition, columns=list(pipeline.indexes), schema=arrow_schema(pipeline))
    places = list(partitions(root, pipeline))
    found = for_each(read, (path for *_, path in places), root)
    for (pixel, _, path), (receipt, identifiers) in zip(places, found, strict=True):
        contents.receipts[path] = receipt
        contents.pixels.add(pixel)
        for column, by_pixel in contents.identifiers.items():
            chunks = by_pixel[pixel].chunks if pixel in by_pixel else []
            by_pixel[pixel] = pa.chunked_array(
                [*chunks, *identifiers[column].chunks], identifiers[column].type
            )
    return contents


def _summarise(root: Path, pipeline: Pipeline, contents: _Contents) -> Summary:
    listings = {number: listing_path(root, pipeline, number) for number in sectors(root, pipeline)}
    sizes = file_sizes(catalogue_directory(root, pipeline), contents.receipts)
    return Summary(
        pipeline=pipeline,
        sectors=summarise_sectors(contents.receipts.items(), listings, sizes),
        stars=contents.stars(pipeline.id_name),
        synthetic=contents.synthetic,
        columns=row_columns(pipeline),
    )


def _read_partition(path: Path, columns: list[str], schema: pa.Schema) -> tuple[Receipt, pa.Table]:
    """Return the receipt and some columns of a partition."""
    with parquet_file(path) as file:
        footer, written_schema = file.metadata.metadata or {}, file.schema_arrow
        identifiers = file.read(columns)
    receipt = parse_receipt(footer, path)
    if not written_schema.equals(schema):
        raise other_columns(path)
    return receipt, identifiers


def write_catalogue_directory(
    directory: Path, pipeline: Pipeline, pixels: set[int], properties: dict[str, str]
) -> None:
    """Write what makes a directory of a pipeline's files a catalogue, or a margin, of HATS."""
    lines = "".join(f"{pipeline.healpix_order},{pixel}\n" for pixel in sorted(pixels))
    write_text(directory / "partition_info.csv", f"Norder,Npix\n{lines}")
    sink = io.BytesIO()
    pq.write_metadata(arrow_schema(pipeline), sink)
    write_bytes(directory / "dataset" / "_common_metadata", sink.getvalue())
    _write_properties(directory, properties)


def _write_catalogue(root: Path, pipeline: Pipeline, contents: _Contents) -> None:
    properties = catalogue_properties(pipeline, contents.rows, synthetic=contents.synthetic)
    properties |= listing_properties(root, pipeline)
    directory = catalogue_directory(root, pipeline)
    write_catalogue_directory(directory, pipeline, contents.pixels, properties)
    for column, identifiers in contents.identifiers.items():
        index = index_directory(root, pipeline, column)
        rows = write_index(index, pipeline.healpix_order, column, identifiers)
        _write_properties(index, _index_properties(pipeline, column, rows))
    # LSDB opens a collection whose members are folders inside it.
    collection = {
        "obs_collection": pipeline.name,
        "hats_primary_table_url": "catalog",
        "all_indexes": " ".join(f"{column} index_{column}" for column in pipeline.indexes),
        "default_index": pipeline.indexes[0],
    }
    collection |= margin_properties(root, pipeline, contents.digest) | _provenance()
    write_text(root / pipeline.name / COLLECTION, _properties(collection))


def catalogue_properties(pipeline: Pipeline, rows: int, *, synthetic: bool) -> dict[str, str]:
    """Return the properties of a catalogue of so many rows."""
    note = " (SYNTHETIC: made by tessloom's demo archive)" if synthetic else ""
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
        "obs_title": pipeline.title + note,
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
