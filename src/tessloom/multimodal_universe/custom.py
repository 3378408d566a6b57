"""Files whose light curves a user's own `processing_fn` makes, for subclasses that override it."""

from __future__ import annotations

import hashlib
import inspect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom._version import SOFTWARE
from tessloom.archive import light_curve_path
from tessloom.building.partition import MOST_ROWS, Result
from tessloom.dataset.features import StandardRows
from tessloom.dataset.hdf5 import Hdf5Writer
from tessloom.dataset.receipt import Failure, Receipt
from tessloom.dataset.standard import StandardFormat
from tessloom.errors import FitsError, RequestError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tessloom.building.plan import Partition
    from tessloom.pipelines import Pipeline

    # The target of a listing → its light curve by names, or None.
    Make = Callable[[dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class CustomFormat(StandardFormat):
    """The standard format with whatever arrays a function returns.

    Attributes
    ----------
    key
        Changes when the function does, so that files are made anew.
    """

    key: str = ""

    def request_key(self, pipeline: Pipeline) -> str:  # noqa: ARG002
        """Return the key."""
        return self.key


def source_key(function: Callable[..., object]) -> str:
    """Return a short text that changes when the source of a function does."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):  # typed into an interpreter
        source = repr(getattr(function, "__qualname__", function))
    return hashlib.sha256(source.encode()).hexdigest()


def write_partition(
    partition: Partition, root: Path, custom: CustomFormat, make: Make, *, synthetic: bool
) -> Result:
    """Write one partition with the light curves that `make` returns.

    A target for which `make` raises a `TargetError` or returns None is a recorded failure; any
    other exception ends the build.

    Raises
    ------
    RequestError
        `make` returns light curves that can't be put into one file.
    """
    pipeline = partition.pipeline
    path = custom.partition_path(root, pipeline, partition.pixel, partition.sector)
    targets = partition.targets.to_pylist()
    failures: list[Failure] = []
    object_ids: Counter[str] = Counter()
    earlier = custom.object_ids(path) if path.exists() else Counter[str]()
    writer = Hdf5Writer(path, ())
    try:
        for start in range(0, len(targets), MOST_ROWS):
            light_curves = []
            for target in targets[start : start + MOST_ROWS]:
                try:
                    light_curves.append(_made(make, target, partition.pixel))
                except TargetError as error:
                    file = light_curve_path(pipeline, partition.sector, target)
                    failures.append(Failure.of(target, file, error))
            if light_curves:
                object_ids.update(curve["object_id"] for curve in light_curves)
                writer.append(_stacked(light_curves))
        receipt = Receipt(
            pipeline=pipeline.name,
            sector=partition.sector,
            pixel=partition.pixel,
            digest=partition.digest,
            asked=len(targets),
            written=object_ids.total(),
            failures=tuple(failures),
            synthetic=synthetic,
            software=SOFTWARE,
        )
        if lost := (earlier - object_ids).total():
            writer.abandon()
        else:
            writer.close(receipt)
    except BaseException:
        writer.abandon()
        raise
    return Result(receipt, lost)


def _made(make: Make, target: dict[str, Any], pixel: int) -> dict[str, Any]:
    light_curve = make(target)
    if light_curve is None:
        raise FitsError("processing_fn returned None")
    object_id = str(light_curve.get("object_id", target["tic_id"] or target["id"]))
    position = {"ra": target["ra"], "dec": target["dec"], "healpix": pixel}
    return position | light_curve | {"object_id": object_id}


def _stacked(light_curves: Sequence[dict[str, Any]]) -> StandardRows:
    names = list(light_curves[0])
    for light_curve in light_curves:
        if set(light_curve) != set(names):
            different = ", ".join(sorted(set(names) ^ set(light_curve)))
            raise RequestError(
                f"processing_fn returns different names for different stars: {different}. "
                "All light curves of a file need the same"
            )
    series = {name for name in names if np.ndim(light_curves[0][name]) == 1}
    if not series:
        raise RequestError("processing_fn returns no array with a value at each cadence")
    lengths = [_length(curve, series) for curve in light_curves]
    return StandardRows(
        np.array(lengths, np.int64),
        {
            name: np.concatenate([np.asarray(curve[name]) for curve in light_curves])
            for name in series
        },
        {
            name: _column([curve[name] for curve in light_curves])
            for name in names
            if name not in series | {"length"}
        },
    )


def _length(light_curve: dict[str, Any], series: Iterable[str]) -> int:
    lengths = {len(light_curve[name]) for name in series}
    if len(lengths) > 1:
        raise RequestError(f"processing_fn returns arrays of different lengths: {sorted(lengths)}")
    return lengths.pop()


def _column(values: list[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    column = np.array(values)
    return column.astype(object) if column.dtype.kind in "US" else column
