"""Rows of a dataset as one light curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.reading.light_curve import LightCurve
from tessloom.reading.rows import column_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tessloom.pipelines import Pipeline


def end_to_end(pipeline: Pipeline, rows: Sequence[Mapping[str, Any]]) -> LightCurve:
    """Return the light curve whose parts are these rows of a dataset, by sector, camera and CCD.

    Parameters
    ----------
    rows
        Header values by name, and ``lightcurve``: arrays by name, or None for a column that the
        row lacks.
    """
    rows = sorted(rows, key=lambda row: [row[name] or 0 for name in ("sector", "camera", "ccd")])
    parts: list[Mapping[str, npt.NDArray[Any] | None]] = [row["lightcurve"] for row in rows]
    # Lists of no cadences at all are taken for lists of nulls.
    lengths = tuple(max(len(v) for v in (*part.values(), ()) if v is not None) for part in parts)
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in parts[0]:
        known = next((values for part in parts if (values := part[name]) is not None), None)
        if known is None:
            if name not in ("time", "flux"):
                continue
            known = np.zeros(0, np.float64 if name == "time" else np.float32)
        nothing = np.nan if known.dtype.kind == "f" else 0
        columns[name] = np.concatenate(
            [
                np.full(length, nothing, known.dtype) if values is None else values
                for length, values in zip(lengths, (part[name] for part in parts), strict=True)
            ]
        )
    headers = tuple(
        {name: value for name, value in row.items() if name != "lightcurve"} for row in rows
    )
    units = dict.fromkeys((*columns, *headers[0]), "")
    units |= {name: unit for name, unit in column_units(pipeline).items() if name in units}
    return LightCurve(pipeline, columns, headers, lengths, units)
