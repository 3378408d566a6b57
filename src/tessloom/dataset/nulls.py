"""Arrow arrays as numpy has them, with a value for each null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt


def filled(values: pa.Array) -> npt.NDArray[Any]:
    """Return values as numpy has them: for nulls NaN, 0 among integers, or false."""
    if values.null_count:
        nothing = pa.scalar(np.nan if pa.types.is_floating(values.type) else 0)
        values = values.fill_null(nothing.cast(values.type))
    return np.asarray(values)
