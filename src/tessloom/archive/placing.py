"""Placing targets on the sky: by the target list, else by the files' own headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom import fits
from tessloom.archive.targets import light_curve_path, target_table
from tessloom.archive.window import slide
from tessloom.errors import NoPositionError, TargetError
from tessloom.healpix import healpix_29, is_position

if TYPE_CHECKING:
    from tessloom.archive._protocol import Archive
    from tessloom.pipelines import Pipeline

_HEADERS_AT_A_TIME = 32


async def place(archive: Archive, pipeline: Pipeline, sector: int, targets: pa.Table) -> pa.Table:
    """Add HEALPix pixels; take what the list lacks from the files' headers."""
    ra, dec = (pc.fill_null(targets[name], np.nan).to_numpy().copy() for name in ("ra", "dec"))
    failed = pc.is_valid(targets["reason"]).to_numpy()
    failures: dict[int, TargetError] = {}
    tic_ids: dict[int, int] = {}

    async def ask(index: int) -> None:
        path = light_curve_path(pipeline, sector, targets.slice(index, 1).to_pylist()[0])
        try:
            ra[index], dec[index], tic_id = await archive.fetch_header(path, _position)
            if tic_id is not None:
                tic_ids[index] = tic_id
        except TargetError as error:
            failures[index] = error

    unplaced = np.flatnonzero(~is_position(ra, dec) & ~failed).tolist()
    await slide(_HEADERS_AT_A_TIME, unplaced, ask)

    placed = is_position(ra, dec)
    pixels = np.zeros(len(targets), np.int64)
    pixels[placed] = healpix_29(ra[placed], dec[placed])
    columns = {name: targets[name] for name in targets.column_names}
    for name, values in (("ra", ra), ("dec", dec), ("healpix_29", pixels)):
        columns[name] = pa.array(values, mask=~placed)
    if tic_ids:
        known = columns["tic_id"].to_pylist()
        for index, tic_id in tic_ids.items():
            known[index] = known[index] or tic_id
        columns["tic_id"] = known
    if failures:
        reasons, details = columns["reason"].to_pylist(), columns["detail"].to_pylist()
        for index, error in failures.items():
            reasons[index], details[index] = error.reason, str(error)
        columns |= {"reason": reasons, "detail": details}
    return target_table(columns, len(targets))


def _position(body: bytes) -> tuple[float, float, int | None]:
    *position, tic_id = fits.primary_values(body, ("RA_OBJ", "DEC_OBJ", "TICID"))
    ra, dec = (value if isinstance(value, int | float) else np.nan for value in position)
    if not is_position(np.array([ra]), np.array([dec])).all():
        raise NoPositionError(
            f"neither the target list nor the header has a position: RA_OBJ is {position[0]!r}, "
            f"DEC_OBJ is {position[1]!r}"
        )
    return ra, dec, int(str(tic_id)) if str(tic_id).isdecimal() else None
