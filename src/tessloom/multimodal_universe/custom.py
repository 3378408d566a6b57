"""Files whose light curves a user's own `processing_fn` makes, for subclasses that override it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom._version import SOFTWARE
from tessloom.archive import light_curve_path
from tessloom.building.partition import MOST_ROWS, Result
from tessloom.dataset.features import StandardRows
from tessloom.dataset.hdf5 import Hdf5Writer
from tessloom.dataset.receipt import Failure, Receipt
from tessloom.dataset.standard import StandardFormat
from tessloom.errors import FileMissingError, FitsError, RequestError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.building.plan import Partition
    from tessloom.pipelines import Pipeline

# Names of arrays that HDF5, YAML and Hugging Face datasets all take.
_NAME = re.compile(r"[A-Za-z_]\w*")
_KINDS = "biufU"


@dataclass(frozen=True)
class CustomFormat(StandardFormat):
    """The standard format with whatever arrays a function returns."""

    def request_key(self, pipeline: Pipeline) -> str:  # noqa: ARG002
        """Return what no choice of features gives."""
        return "processing_fn"


@dataclass
class CustomPartitions:
    """Writes partitions with the light curves that a function makes.

    Attributes
    ----------
    make
        The target of a listing → its light curve by names, or None.
    report
        Called after each target with whether it failed.
    synthetic
        For the receipts.
    """

    root: Path
    standard: CustomFormat
    make: Callable[[dict[str, Any]], Mapping[str, Any] | None]
    report: Callable[[bool], None]
    synthetic: bool
    _kinds: dict[str, tuple[int, np.dtype[Any]]] = field(default_factory=dict)

    def write(self, partition: Partition) -> Result:
        """Write one partition.

        A target for which the function raises a `TargetError` or returns None is a recorded
        failure; any other exception ends the build.

        Raises
        ------
        RequestError
            The function returns what can't be put into one file.
        """
        pipeline = partition.pipeline
        path = self.standard.partition_path(self.root, pipeline, partition.pixel, partition.sector)
        targets = partition.targets.to_pylist()
        failures: list[Failure] = []
        object_ids: Counter[str] = Counter()
        earlier = self.standard.object_ids(path) if path.exists() else Counter[str]()
        writer = Hdf5Writer(path, ())
        try:
            for start in range(0, len(targets), MOST_ROWS):
                light_curves = []
                for target in targets[start : start + MOST_ROWS]:
                    try:
                        light_curves.append(self._made(target, partition.pixel))
                    except TargetError as error:
                        file = light_curve_path(pipeline, partition.sector, target)
                        failures.append(Failure.of(target, file, error))
                        self.report(True)
                    else:
                        self.report(False)
                if light_curves:
                    object_ids.update(str(curve["object_id"]) for curve in light_curves)
                    writer.append(self._stacked(light_curves))
            receipt = Receipt(
                pipeline=pipeline.name,
                sector=partition.sector,
                pixel=partition.pixel,
                digest=partition.digest,
                asked=len(targets),
                written=object_ids.total(),
                failures=tuple(failures),
                synthetic=self.synthetic,
                software=SOFTWARE,
            )
            lost = (earlier - object_ids).total()
            # A function may leave stars out or name them otherwise; what must not be is that a
            # light curve goes because its FITS file is gone.
            if all(failure.reason != FileMissingError.reason for failure in failures):
                lost = 0
            if lost:
                writer.abandon()
            else:
                writer.close(receipt)
        except BaseException:
            writer.abandon()
            raise
        return Result(receipt, lost)

    def _made(self, target: dict[str, Any], pixel: int) -> dict[str, npt.NDArray[Any]]:
        usual = {
            "object_id": str(target["tic_id"] or target["id"]),
            "ra": target["ra"],
            "dec": target["dec"],
            "healpix": pixel,
        }
        try:
            arrays = _arrays(usual | _flat(self.make(target)))
            self._check(arrays)
        except TargetError:
            raise
        except Exception as error:
            error.add_note(f"This was at the light curve of {target['id']}.")
            raise
        return arrays

    def _check(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Check that a light curve has the names and types that the first one had."""
        kinds = {name: (array.ndim, array.dtype) for name, array in arrays.items()}
        # Texts have their length in the type.
        kinds |= {n: (d, np.dtype("U")) for n, (d, dtype) in kinds.items() if dtype.kind == "U"}
        self._kinds = self._kinds or kinds
        for name in sorted(kinds.keys() | self._kinds.keys()):
            if kinds.get(name) != self._kinds.get(name):
                raise RequestError(
                    f"processing_fn returns {_described(kinds, name)} as {name!r}, before it was "
                    f"{_described(self._kinds, name)}: all light curves need the same names and "
                    "types"
                )

    def _stacked(self, light_curves: Sequence[Mapping[str, npt.NDArray[Any]]]) -> StandardRows:
        series = [name for name, (dimensions, _) in self._kinds.items() if dimensions]
        return StandardRows(
            np.array([len(curve[series[0]]) for curve in light_curves], np.int64),
            {name: np.concatenate([curve[name] for curve in light_curves]) for name in series},
            {
                name: _column([curve[name] for curve in light_curves])
                for name in self._kinds
                if name not in series
            },
        )


def _flat(light_curve: Any) -> dict[str, Any]:
    """Return a light curve whose series may stand together under ``lightcurve``."""
    if light_curve is None:
        raise FitsError("processing_fn returned None")
    if not isinstance(light_curve, Mapping):
        raise RequestError(f"processing_fn returns {type(light_curve).__name__}, not a dict")
    flat = dict(light_curve)
    if isinstance(flat.get("lightcurve"), Mapping):
        flat |= flat.pop("lightcurve")
    return flat


def _arrays(light_curve: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the values of a light curve as arrays: of one dimension, or of none."""
    arrays = {
        name: _array(name, value)
        for name, value in light_curve.items()
        if name != "length"  # it is that of the series
    }
    lengths = {len(array) for array in arrays.values() if array.ndim}
    if not lengths:
        raise RequestError("processing_fn returns no array with a value at each cadence")
    if len(lengths) > 1:
        raise RequestError(f"processing_fn returns arrays of different lengths: {sorted(lengths)}")
    if lengths == {0}:
        raise FitsError("the light curve has no cadences")
    return arrays


def _array(name: Any, value: Any) -> npt.NDArray[Any]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestError(f"processing_fn returns the name {name!r}: letters, digits and _ only")
    array = np.asarray(value)
    missing = np.ma.getmaskarray(value) if isinstance(value, np.ma.MaskedArray) else np.False_
    if missing.any():
        if array.dtype.kind != "f":
            raise RequestError(
                f"processing_fn returns {name!r} as {array.dtype} with a mask: only floats can be "
                "missing (NaN). Fill it"
            )
        array = np.where(missing, array.dtype.type(np.nan), array)
    array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in _KINDS or array.ndim > 1 or (array.ndim and array.dtype.kind == "U"):
        raise RequestError(
            f"processing_fn returns {name!r} as {array.dtype} of {array.ndim} dimensions: numbers, "
            "arrays (T,) of numbers, and texts can be written"
        )
    return array


def _described(kinds: Mapping[str, tuple[int, np.dtype[Any]]], name: str) -> str:
    if name not in kinds:
        return "nothing"
    dimensions, dtype = kinds[name]
    kind = "text" if dtype.kind == "U" else str(dtype)
    return f"an array of {kind}" if dimensions else kind


def _column(values: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    column = np.array(values)
    return column.astype(object) if column.dtype.kind == "U" else column
