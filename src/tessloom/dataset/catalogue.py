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
import pyarrow.parquet as pq

from tessloom._version import SOFTWARE
from tessloom.dataset.card import Summary, write_card
from tessloom.dataset.index import write_index
from tessloom.dataset.layout import (
    catalogue_directory,
    index_directory,
    partitions,
    remove_empty_pixels,
    write_bytes,
    write_text,
)
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.parquet import other_columns
from tessloom.dataset.receipt import damaged, parse_receipt
from tessloom.dataset.schema import HEALPIX, arrow_schema
from tessloom.dataset.storage import for_each
from tessloom.healpix import ORDER
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline

HATS_VERSION = "v1.0"
_OPENING = """
## Opening it

```python
import pyarrow.parquet as pq
stars = pq.read_table("{name}/catalog/dataset")          # .to_pandas()
```
```python
import lsdb
stars = lsdb.open_catalog("{name}")                      # cone_search, id_search, crossmatch
```
```python
from datasets import load_dataset
stars = load_dataset(".", "{name}", split="{split}")     # one split a sector
stars = stars.with_format("numpy", dtype=None)           # dtype=None keeps time in double
```

`lightcurve` holds lists of equal length: `time` is BTJD (BJD - 2457000, TDB) in double, `flux`
and `flux_err` are what the pipeline recommends, `quality` has its raw bits. Nothing was cleaned,
padded or left out. Descriptions, units and FITS names are in the Arrow schema's metadata.

## Sources and citations
"""


def publish(root: Path) -> None:
    """Bring the metadata of every pipeline's catalogue, and the dataset card, up to date.

    Raises
    ------
    DatasetError
        A partition is damaged or the disk does not take the files.
    """
    summaries = []
    for pipeline in PIPELINES.values():
        remove_empty_pixels(root, pipeline)
        contents = _read_contents(root, pipeline)
        if contents.pixels:
            _write_catalogue(root, pipeline, contents)
        if contents.sectors:
            summary = Summary(pipeline, sorted(contents.sectors), contents.rows, contents.synthetic)
            summaries.append(summary)
    if summaries:
        name, split = summaries[0].pipeline.name, f"s{summaries[0].sectors[0]:04d}"
        write_card(root, summaries, _configs(summaries), _OPENING.format(name=name, split=split))


def _configs(summaries: Sequence[Summary]) -> list[str]:
    lines = ["- HATS", "configs:"]
    for pipeline, sectors, *_ in summaries:
        lines += [f"- config_name: {pipeline.name}", "  data_files:"]
        for sector in sectors:
            pattern = f"{pipeline.name}/catalog/dataset/Norder=*/Dir=*/Npix=*/s{sector:04d}.parquet"
            lines += [f"  - split: s{sector:04d}", f'    path: "{pattern}"']
    return lines


@dataclass
class _Contents:
    """What the partitions of one pipeline hold.

    Attributes
    ----------
    identifiers
        Ids by column and pixel.
    sectors
        Those with at least one light curve: Hugging Face datasets fails on a split without.
    """

    identifiers: dict[str, dict[int, pa.ChunkedArray]]
    sectors: set[int] = field(default_factory=set)
    pixels: set[int] = field(default_factory=set)
    rows: int = 0
    synthetic: bool = False


def _read_contents(root: Path, pipeline: Pipeline) -> _Contents:
    contents = _Contents({column: {} for column in pipeline.indexes})
    read = partial(_read_partition, columns=list(pipeline.indexes), schema=arrow_schema(pipeline))
    places = list(partitions(root, pipeline))
    found = for_each(read, (path for *_, path in places), root)
    for (pixel, sector, _), (receipt, identifiers) in zip(places, found, strict=True):
        if receipt.written:
            contents.sectors.add(sector)
        contents.pixels.add(pixel)
        contents.rows += receipt.written
        contents.synthetic |= receipt.synthetic
        for column, by_pixel in contents.identifiers.items():
            chunks = by_pixel[pixel].chunks if pixel in by_pixel else []
            by_pixel[pixel] = pa.chunked_array(
                [*chunks, *identifiers[column].chunks], identifiers[column].type
            )
    return contents


def _read_partition(path: Path, columns: list[str], schema: pa.Schema) -> tuple[Receipt, pa.Table]:
    """Return the receipt and some columns of a partition."""
    try:
        with parquet_file(path) as file:
            footer, written_schema = file.metadata.metadata or {}, file.schema_arrow
            identifiers = file.read(columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise damaged(path, error) from error
    receipt = parse_receipt(footer, path)
    if not written_schema.equals(schema):
        raise other_columns(path)
    return receipt, identifiers


def _write_catalogue(root: Path, pipeline: Pipeline, contents: _Contents) -> None:
    directory = catalogue_directory(root, pipeline)
    lines = "".join(f"{pipeline.healpix_order},{pixel}\n" for pixel in sorted(contents.pixels))
    write_text(directory / "partition_info.csv", f"Norder,Npix\n{lines}")
    sink = io.BytesIO()
    pq.write_metadata(arrow_schema(pipeline), sink)
    write_bytes(directory / "dataset" / "_common_metadata", sink.getvalue())
    _write_properties(directory, _catalogue_properties(pipeline, contents))

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
    } | _provenance()
    write_text(root / pipeline.name / "collection.properties", _properties(collection))


def _catalogue_properties(pipeline: Pipeline, contents: _Contents) -> dict[str, str]:
    note = " (SYNTHETIC: made by tessloom's demo archive)" if contents.synthetic else ""
    return {
        "obs_collection": pipeline.name,
        "dataproduct_type": "object",
        "hats_nrows": str(contents.rows),
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
