# ruff: noqa: INP001 - mkdocs loads it by its path
"""A page for each pipeline's schema, made from its declaration when the site is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.schema import LIGHT_CURVE, arrow_schema
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    import pyarrow as pa
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

    from tessloom.pipelines import Pipeline


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages to those that are files; called by mkdocs."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - the tests do without mkdocs

    for pipeline in PIPELINES.values():
        page = schema_page(pipeline)
        files.append(File.generated(config, f"schema/{pipeline.name}.md", content=page))
    return files


def schema_page(pipeline: Pipeline) -> str:
    """Return a pipeline's page, in Markdown."""
    schema = arrow_schema(pipeline)
    masks = "\n".join(
        f"| `{mask.column}` | {_bits(mask.default)} | {_bits(mask.hardest)} |"
        for mask in pipeline.masks
    )
    features = ", ".join(f"`{feature.name}`" for feature in pipeline.features)
    return f"""# {pipeline.title}

{pipeline.description}

`{pipeline.name}` on the command line. [Home page]({pipeline.homepage}), DOI \
[{pipeline.doi}](https://doi.org/{pipeline.doi}). Please cite {pipeline.citation}. A partition is \
a HEALPix pixel of order {pipeline.healpix_order}. Indexes by id: \
{", ".join(f"`{column}`" for column in pipeline.indexes)}.

## The light curve

Lists of equal length in the column `{LIGHT_CURVE}`, one element a cadence. Where several FITS \
names are given, the first that a file has is taken; what an era's files lack is null. Where no \
unit stands there is none, or the files do not say it.

{_table(schema.field(LIGHT_CURVE).type)}

## Header values

One value a light curve.

{_table(field for field in schema if field.name != LIGHT_CURVE)}

## Masks

Bits that `clean("default")` and `clean("hardest")` take out, beside cadences without a time or \
a flux. Bits are counted from 0.

| column | default | hardest |
|---|---|---|
{masks}

## Arrays of the HDF5 format

{features}, unless `--features` names others.
"""


def _table(fields: object) -> str:
    rows = "\n".join(_row(field) for field in fields)  # type: ignore[attr-defined]
    return f"| name | type | unit | what it is | FITS |\n|---|---|---|---|---|\n{rows}"


def _bits(mask: int) -> str:
    bits = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    every = len(bits) in (16, 32) and bits == [*range(len(bits))]
    return f"{mask} ({'any' if every else ', '.join(map(str, bits)) or 'none'})"


def _row(field: pa.Field) -> str:
    said = {key.decode(): text.decode() for key, text in field.metadata.items()}
    kind = field.type.value_type if hasattr(field.type, "value_type") else field.type
    # Arrow writes its own names; numpy's are those that a reader types.
    name = {"float": "float32", "double": "float64"}.get(str(kind), str(kind))
    fits = ", ".join(f"`{source}`" for source in said.get("fits", "").split())
    description = said["description"].replace("|", "\\|")
    return f"| `{field.name}` | {name} | {said.get('unit', '')} | {description} | {fits} |"
