"""The Multimodal Universe's standard format: which arrays it has, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.schema import HEALPIX, LIGHT_CURVE
from tessloom.errors import RequestError
from tessloom.healpix import coarser
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
                series[feature.name] = _filled(values, feature.dtype)
        else:
            found = [batch.column(name) for name in feature.sources]
            scalars[feature.name] = _filled(_first_known(found), feature.dtype)
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


def _filled(values: pa.Array, dtype: str | None) -> npt.NDArray[Any]:
    if values.null_count:
        nothing: float | bool = np.nan if pa.types.is_floating(values.type) else 0
        if pa.types.is_boolean(values.type):
            nothing = False
        values = pc.fill_null(values, nothing)
    filled: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return filled if dtype is None else filled.astype(dtype)
