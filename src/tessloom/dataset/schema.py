"""Pipeline → Arrow schema: one for all eras, units and sources in the fields' metadata."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from tessloom.pipelines import Column, Keyword, Pipeline

HEALPIX = "_healpix_29"
LIGHT_CURVE = "lightcurve"

ARROW_TYPES = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
}


@cache
def arrow_schema(pipeline: Pipeline, columns: frozenset[str] | None = None) -> pa.Schema:
    """Return the schema of a pipeline's dataset, with some of the light curve's columns or all.

    Metadata of a field: ``description``, ``unit`` where it has one, and ``fits``, the FITS
    columns or header cards that it is read from, the preferred first.
    """
    lists = [
        pa.field(
            column.name,
            pa.list_(pa.field("element", ARROW_TYPES[column.dtype])),
            metadata=_metadata(column, _repeated(pipeline, column) or column.fits),
        )
        for column in pipeline.columns
        if columns is None or column.name in columns
    ]
    return pa.schema(
        [
            pa.field(
                HEALPIX,
                pa.int64(),
                nullable=False,
                metadata={
                    "description": "HEALPix pixel at order 29, NESTED; rows are sorted by it"
                },
            ),
            pa.field(
                "object_id",
                pa.string(),
                nullable=False,
                metadata={"description": "TIC id, or the Gaia DR3 id of a star without one"},
            ),
            *(
                pa.field(
                    keyword.name,
                    ARROW_TYPES[keyword.dtype],
                    metadata=_metadata(keyword, keyword.fits),
                )
                for keyword in pipeline.keywords
            ),
            pa.field(
                LIGHT_CURVE,
                pa.struct(lists),
                metadata={"description": "Lists of equal length, one element a cadence"},
            ),
        ]
    )


def element_paths(schema: pa.Schema, of: set[pa.DataType]) -> list[str]:
    """Return the Parquet paths of the light curve's lists whose elements have a type in `of`."""
    light_curve = schema.field(LIGHT_CURVE).type
    return [
        f"{LIGHT_CURVE}.{field.name}.list.element"
        for field in (light_curve.field(i) for i in range(light_curve.num_fields))
        if field.type.value_type in of
    ]


def _repeated(pipeline: Pipeline, column: Column) -> tuple[str, ...]:
    return next((k.fits for k in pipeline.keywords if k.name == column.repeats), ())


def _metadata(declared: Column | Keyword, fits: tuple[str, ...]) -> dict[str, str]:
    metadata = {"description": declared.description}
    if declared.unit:
        metadata["unit"] = declared.unit
    if fits:
        metadata["fits"] = " ".join(fits)
    return metadata
