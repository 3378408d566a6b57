"""What batches hold, and what they were drawn from, as pyarrow alone reads it."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from support import partition_files, read_table
from tessloom.pipelines import PIPELINES
from tessloom.reading.batches import Batches

LIGHT_CURVE_ID = ("tic_id", "gaia_dr3_id", "sector")
SPLITS = ("train", "validation", "test")


def paths_of(out: Path, name: str) -> list[Path]:
    return [path for key, path in partition_files(out).items() if key.startswith(f"{name}/")]


def batches(out: Path, name: str = "tglc", **choices: Any) -> Batches:
    choices = {"min_cadences": 0} | choices
    return Batches(pipeline=PIPELINES[name], paths=paths_of(out, name), **choices)


def ids_in(found: Iterable[Any]) -> list[tuple[int, ...]]:
    """Return the light curves of batches, in their order."""
    return [
        tuple(map(int, ids))
        for batch in found
        for ids in zip(*(batch[name] for name in LIGHT_CURVE_ID), strict=True)
    ]


def stored_ids(out: Path, name: str) -> Counter[tuple[int, ...]]:
    table = read_table(out, name)
    columns = (table[column].fill_null(0).to_pylist() for column in LIGHT_CURVE_ID)
    return Counter(zip(*columns, strict=True))


def stored(out: Path, name: str) -> dict[tuple[int, ...], dict[str, npt.NDArray[Any]]]:
    """Return the light curves of a dataset as pyarrow alone reads them."""
    table = read_table(out, name)
    keys = zip(*(table[c].fill_null(0).to_pylist() for c in LIGHT_CURVE_ID), strict=True)
    cells = table["lightcurve"].chunk(0)
    return {
        key: {
            field.name: cells.field(field.name)[row].values.to_numpy(zero_copy_only=False)
            for field in cells.type
        }
        for row, key in enumerate(keys)
    }


def good_cadences(name: str, curve: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    good = np.isfinite(curve["time"]) & np.isfinite(curve["flux"])
    for mask in PIPELINES[name].masks:
        good &= (np.nan_to_num(curve[mask.column]).astype(np.int64) & mask.default) == 0
    return np.asarray(good)
