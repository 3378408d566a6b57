"""What columns there are: their types, units and meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tessloom.dataset.schema import ARROW_TYPES, HEALPIX, LIGHT_CURVE

if TYPE_CHECKING:
    import pyarrow as pa

_DTYPES = {kind: name for name, kind in ARROW_TYPES.items()}


class ColumnDescription(NamedTuple):
    """One column of a catalogue.

    Attributes
    ----------
    name
        As `Catalogue.select` takes it.
    dtype
        numpy's name for the type of its values, or of its lists' elements; or ``string``.
    unit
        As FITS writes it; empty where there is none.
    description
        For people.
    where
        ``header``: one value for each light curve; ``light curve``: one at each cadence.
    """

    name: str
    dtype: str
    unit: str
    description: str
    where: str


class ColumnDescriptions(tuple[ColumnDescription, ...]):
    """The columns of a catalogue, which print as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        rows = [ColumnDescription._fields, *self]
        texts = [[row[0], row[1], row[2], row[4], row[3]] for row in rows]
        widths = [max(map(len, cells)) for cells in zip(*texts, strict=True)]
        return "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in texts)


def describe_columns(schema: pa.Schema) -> ColumnDescriptions:
    """Return what a schema says of its columns."""
    headers = [field for field in schema if field.name not in (HEALPIX, LIGHT_CURVE)]
    found = [_description(field, field.type, "header") for field in headers]
    found += [
        _description(field, field.type.value_type, "light curve")
        for field in schema.field(LIGHT_CURVE).type
    ]
    return ColumnDescriptions(found)


def _description(field: pa.Field, kind: pa.DataType, where: str) -> ColumnDescription:
    said = field.metadata or {}
    unit, description = (said.get(key, b"").decode() for key in (b"unit", b"description"))
    return ColumnDescription(field.name, _DTYPES[kind], unit, description, where)
