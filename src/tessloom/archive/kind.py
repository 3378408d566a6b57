"""Whether light curves are synthetic: real and synthetic ones must not come to lie together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom import fits
from tessloom.archive.targets import light_curve_path
from tessloom.errors import TargetError
from tessloom.pipelines import SIMULATED

if TYPE_CHECKING:
    import pyarrow as pa

    from tessloom.archive._protocol import Archive
    from tessloom.pipelines import Pipeline

_FILES_TRIED = 5


async def is_synthetic(
    archive: Archive, pipeline: Pipeline, sector: int, targets: pa.Table
) -> bool | None:
    """Return what the first light curve that can be had says of itself; None if none can."""
    for target in targets.slice(0, _FILES_TRIED).to_pylist():
        path = light_curve_path(pipeline, sector, target)
        try:
            return await archive.fetch_header(path, _is_simulated)
        except TargetError:
            continue
    return None


def _is_simulated(body: bytes) -> bool:
    return fits.primary_values(body, (SIMULATED,)) == (True,)
