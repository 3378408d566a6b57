"""The Multimodal Universe's standard format: which arrays it has, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.nulls import filled
from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE
from tessloom.errors import RequestError
from tessloom.healpix import ORDER, coarser, healpix_29, is_position
from tessloom.pipelines import Feature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from tessloom.pipelines import Pipeline

ALL = "all"
DEFAULT = "default"
# The files are divided by pixels of nside 16.
HEALPIX_ORDER = 4
# What every file has beside its features: the first four are what cross-matching reads, the last
# says where a light curve ends and its padding begins.
ADDED = ("object_id", "ra", "dec", "healpix", "length")


def choose_features(pipeline: Pipeline, names: Iterable[str]) -> tuple[Feature, ...]:
    """Return features by name, each once.

    Parameters
    ----------
    names
        Names of `Pipeline.features` or of columns and header values of the pipeline;
        ``default`` stands for the former, ``all`` for everything.

    Raises
    ------
    RequestError
        The pipeline has no such feature.
    """
    taken = {feature.name for feature in pipeline.features} | set(ADDED)
    columns = [column.name for column in pipeline.columns]
    # A column that an era lacks is left out, as the seed's arrays are.
    others = [Feature(name, (name,), optional=True) for name in columns if name not in taken]
    others += [Feature(k.name, (k.name,)) for k in pipeline.keywords if k.name not in taken]
    groups = {DEFAULT: list(pipeline.features), ALL: [*pipeline.features, *others]}
    known = groups | {feature.name: [feature] for feature in groups[ALL]}
    known |= {name: [] for name in ADDED}  # these are there anyhow
    chosen: dict[str, Feature] = {}
    for name in names:
        if name not in known:
            raise RequestError(
                f"{pipeline.name} has no feature {name!r}; choose from: {', '.join(known)}"
            )
        chosen |= {feature.name: feature for feature in known[name]}
    return tuple(chosen.values())


@dataclass(frozen=True)
class StandardRows:
    """Light curves as the standard format names them, before they are padded.

    Attributes
    ----------
    lengths
        Numbers of cadences, shape ``(n,)``.
    series
        What has a value at each cadence: all light curves end to end, shape ``(sum(lengths),)``.
    scalars
        What has one value a light curve, shape ``(n,)``; text as an array of objects.
    """

    lengths: npt.NDArray[np.int64]
    series: Mapping[str, npt.NDArray[Any]]
    scalars: Mapping[str, npt.NDArray[Any]]


def standard_rows(batch: pa.RecordBatch, features: Sequence[Feature]) -> StandardRows:
    """Return rows of a dataset as the standard format has them.

    A value that is missing is NaN in an array of floats and zero in one of integers. A light
    curve's column that no row has is left out where its feature is optional.
    """
    light_curves = batch.column(LIGHT_CURVE)
    columns = [field.name for field in light_curves.type]
    lengths = pc.list_value_length(light_curves.field(columns[0])).to_numpy()
    series, scalars = {}, {}
    for feature in features:
        if feature.sources[0] in columns:
            found = [light_curves.field(name).flatten() for name in feature.sources]
            values = _first_known(found)
            if values.null_count < len(values) or not feature.optional:
                series[feature.name] = _typed(values, feature.dtype)
        else:
            found = [batch.column(name) for name in feature.sources]
            scalars[feature.name] = _typed(_first_known(found), feature.dtype)
    pixels = coarser(batch.column(HEALPIX).to_numpy(), HEALPIX_ORDER)
    scalars |= {
        "object_id": np.array(batch.column("object_id").to_pylist(), object),
        "ra": batch.column("ra").to_numpy(),
        "dec": batch.column("dec").to_numpy(),
        "healpix": pixels,
    }
    return StandardRows(lengths.astype(np.int64), series, scalars)


def _first_known(arrays: Sequence[pa.Array]) -> pa.Array:
    known = [array for array in arrays if array.null_count < len(array)] or arrays[:1]
    return known[0] if len(known) == 1 else pc.coalesce(*known)


def _typed(values: pa.Array, dtype: str | None) -> npt.NDArray[Any]:
    array = filled(values)
    return array if dtype is None else array.astype(dtype)


def dataset_rows(
    rows: StandardRows, features: Sequence[Feature], schema: pa.Schema
) -> pa.RecordBatch:
    """Return rows of the standard format as a dataset has them: the inverse of `standard_rows`.

    What a feature was read from stands under the first of its sources; columns without a feature,
    and those whose array the rows lack, are null. A float that is missing stays NaN and a missing
    integer zero, but an id of zero is null. ``_healpix_29`` is that of the position, or the
    nearest in the row's pixel.

    Parameters
    ----------
    schema
        Of the format's `rows.RowFormat`.

    Raises
    ------
    KeyError
        The rows have no ``object_id``, ``ra``, ``dec`` or ``healpix``.
    """
    series, scalars = (_by_source(found, features) for found in (rows.series, rows.scalars))
    scalars |= {name: rows.scalars[name] for name in ("object_id", "ra", "dec")}
    scalars[HEALPIX] = _order_29(scalars["ra"], scalars["dec"], rows.scalars["healpix"])
    arrays = [
        _light_curves(field.type, rows.lengths, series)
        if field.name == LIGHT_CURVE
        else _column(scalars.get(field.name), field, len(rows.lengths))
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _by_source(
    arrays: Mapping[str, npt.NDArray[Any]], features: Sequence[Feature]
) -> dict[str, npt.NDArray[Any]]:
    """Return features' arrays by their first source; of several the one that is nearest to it."""
    nearest_last = sorted(features, key=lambda f: (len(f.sources), f.dtype is not None))[::-1]
    return {f.sources[0]: arrays[f.name] for f in nearest_last if f.name in arrays}


def _order_29(
    ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64], pixels: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    shift = 2 * (ORDER - HEALPIX_ORDER)
    first = pixels << shift
    healpix = first.copy()
    placed = is_position(ra, dec)
    healpix[placed] = healpix_29(ra[placed], dec[placed])
    clipped: npt.NDArray[np.int64] = np.clip(healpix, first, first + (1 << shift) - 1)
    return clipped


def _light_curves(
    light_curve: pa.StructType, lengths: npt.NDArray[np.int64], series: dict[str, npt.NDArray[Any]]
) -> pa.StructArray:
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    lists = []
    for field in light_curve:
        elements = _elements(series.get(field.name), field.type.value_type, int(lengths.sum()))
        lists.append(pa.ListArray.from_arrays(offsets, elements, type=field.type))
    return pa.StructArray.from_arrays(lists, fields=list(light_curve))


def _elements(values: npt.NDArray[Any] | None, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    # Flags in fewer bits than the column has: bit 15 is no sign.
    if values.dtype.kind == "i" and values.dtype.itemsize * 8 < kind.bit_width:
        values = values.view(values.dtype.str.replace("i", "u"))
    return pa.array(values, kind)


def _column(values: npt.NDArray[Any] | None, field: pa.Field, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, field.type)
    is_id = field.nullable and pa.types.is_int64(field.type)
    return pa.array(values, field.type, mask=values == 0 if is_id else None)
