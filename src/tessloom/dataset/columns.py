"""The columns of a dataset as people and programs are told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tessloom.dataset.schema import ARROW_TYPES, LIGHT_CURVE, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from tessloom.pipelines import Column, Feature, Keyword, Pipeline

_TYPE_NAMES = {arrow: name for name, arrow in ARROW_TYPES.items()}
# What every file of HDF5 has beside its features.
_ADDED = {
    "object_id": ("", "TIC id, or the Gaia DR3 id of a star without one"),
    "ra": ("deg", "Right ascension, ICRS"),
    "dec": ("deg", "Declination, ICRS"),
    "healpix": ("", "HEALPix pixel at nside 16, NESTED"),
    "length": ("", "Cadences of the light curve; what follows is padding"),
}


class DescribedColumn(NamedTuple):
    """One column.

    Attributes
    ----------
    name
        As it is read.
    dtype
        numpy name of the type, of an element where it is a list.
    unit
        Empty where it has none.
    fits
        FITS columns or header cards that it is read from.
    parent
        Name of the column that it is part of, if any.
    is_list
        Whether it has one value a cadence.
    """

    name: str
    dtype: str
    unit: str
    description: str
    fits: str
    parent: str
    is_list: bool


def row_columns(pipeline: Pipeline) -> list[DescribedColumn]:
    """Return the columns of Parquet files, the light curve's last."""
    schema = arrow_schema(pipeline)
    light_curve = schema.field(LIGHT_CURVE).type
    own = [_of_field(field, field.type, "") for field in schema if field.name != LIGHT_CURVE]
    return own + [_of_field(field, field.type.value_type, LIGHT_CURVE) for field in light_curve]


def _of_field(field: pa.Field, kind: pa.DataType, parent: str) -> DescribedColumn:
    metadata = {name.decode(): value.decode() for name, value in field.metadata.items()}
    return DescribedColumn(
        field.name,
        _TYPE_NAMES[kind],
        metadata.get("unit", ""),
        metadata["description"],
        metadata.get("fits", ""),
        parent,
        bool(parent),
    )


def array_columns(
    pipeline: Pipeline, features: Sequence[Feature], kinds: Mapping[str, str]
) -> list[DescribedColumn]:
    """Return the arrays of HDF5 files.

    Parameters
    ----------
    kinds
        What the card calls each array's type: ``list: float64``, ``dtype: int16``.
    """
    declared: dict[str, Column | Keyword] = {keyword.name: keyword for keyword in pipeline.keywords}
    declared |= {column.name: column for column in pipeline.columns}
    sources = {feature.name: declared[feature.sources[0]] for feature in features}
    found = []
    for name, kind in kinds.items():
        shape, _, dtype = kind.partition(": ")
        unit, description = _ADDED.get(name, ("", ""))
        fits = ""
        if name in sources:
            source = sources[name]
            unit, description, fits = source.unit or "", source.description, " ".join(source.fits)
        found.append(DescribedColumn(name, dtype, unit, description, fits, "", shape == "list"))
    return found
