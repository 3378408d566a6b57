"""Placing targets on the sky: by the target list, else by the files' own headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom import fits
from tessloom.archive.sliding import slide
from tessloom.archive.targets import light_curve_path, target_table
from tessloom.errors import NoPositionError, TargetError, WrongTargetError
from tessloom.healpix import healpix_29, is_position

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from tessloom.archive._protocol import Archive
    from tessloom.pipelines import Pipeline

_HEADERS_AT_A_TIME = 32
_ROWS_AT_A_TIME = 1 << 20


async def place(archive: Archive, pipeline: Pipeline, sector: int, targets: pa.Table) -> pa.Table:
    """Add HEALPix pixels; take what the list lacks from the files' headers."""
    positions: dict[int, tuple[float, float]] = {}
    failures: dict[int, TargetError] = {}
    tic_ids: dict[int, int] = {}

    async def ask(index: int) -> None:
        target = targets.slice(index, 1).to_pylist()[0]
        path = light_curve_path(pipeline, sector, target)
        try:
            ra, dec, tic_id = await archive.fetch_header(
                path, lambda body: _position(body, pipeline, target["id"])
            )
        except TargetError as error:
            failures[index] = error
            return
        positions[index] = ra, dec
        if tic_id is not None:
            tic_ids[index] = tic_id

    placed = has_position(targets)
    may_be_asked = pc.is_null(targets["reason"]).to_numpy()
    await slide(_HEADERS_AT_A_TIME, np.flatnonzero(~placed & may_be_asked).tolist(), ask)

    columns = {name: targets[name] for name in targets.column_names}
    if not placed.all():
        placed[list(positions)] = True
        for axis, name in enumerate(("ra", "dec")):
            values = pc.fill_null(targets[name], np.nan).to_numpy().copy()
            values[list(positions)] = [position[axis] for position in positions.values()]
            columns[name] = pa.chunked_array([pa.array(values, mask=~placed)])
    columns["healpix_29"] = _pixels(columns["ra"], columns["dec"], placed)
    unknown = {index: tic for index, tic in tic_ids.items() if not columns["tic_id"][index].as_py()}
    columns["tic_id"] = _replaced(columns["tic_id"], unknown)
    for name, texts in (
        ("reason", {index: error.reason for index, error in failures.items()}),
        ("detail", {index: str(error) for index, error in failures.items()}),
    ):
        columns[name] = _replaced(columns[name], texts)
    return target_table(columns, len(targets))


def has_position(targets: pa.Table) -> npt.NDArray[np.bool_]:
    """Return which targets have a position, as an array of shape ``(n,)``."""
    known = np.empty(len(targets), bool)
    for rows in _slices(len(targets)):
        part = targets.slice(rows.start, _ROWS_AT_A_TIME)
        ra, dec = (pc.fill_null(part[name], np.nan).to_numpy() for name in ("ra", "dec"))
        known[rows] = is_position(ra, dec)
    return known


def _pixels(
    ra: pa.ChunkedArray, dec: pa.ChunkedArray, placed: npt.NDArray[np.bool_]
) -> pa.ChunkedArray:
    pixels = np.zeros(len(placed), np.int64)
    for rows in _slices(len(placed)):
        here = placed[rows]
        position = (axis.slice(rows.start, _ROWS_AT_A_TIME).to_numpy()[here] for axis in (ra, dec))
        pixels[rows][here] = healpix_29(*position)
    return pa.chunked_array([pa.array(pixels, mask=None if placed.all() else ~placed)])


def _replaced(column: pa.ChunkedArray, values: dict[int, Any]) -> pa.ChunkedArray:
    """Return a column with other values at some positions."""
    if not values:
        return column
    mask = np.zeros(len(column), bool)
    mask[list(values)] = True
    new = pa.array([values[index] for index in sorted(values)], column.type)
    return pa.chunked_array([pc.replace_with_mask(column.combine_chunks(), pa.array(mask), new)])


def _slices(count: int) -> Iterator[slice]:
    """Yield slices that are worked on one by one, as intermediate arrays are large."""
    for start in range(0, count, _ROWS_AT_A_TIME):
        yield slice(start, min(start + _ROWS_AT_A_TIME, count))


def _position(body: bytes, pipeline: Pipeline, identifier: int) -> tuple[float, float, int | None]:
    """Return what a primary header says of a star: ra, dec, and the TIC id if there is one."""
    keywords = ("RA_OBJ", "DEC_OBJ", "TICID", *pipeline.identity)
    ra_card, dec_card, tic_id, *identities = fits.primary_values(body, keywords)
    found = next((value for value in identities if value), None)
    if found and str(found) != str(identifier):
        raise WrongTargetError(f"the file is of star {found}, its name says {identifier}")
    ra, dec = (value if isinstance(value, int | float) else np.nan for value in (ra_card, dec_card))
    if not is_position(np.array([ra]), np.array([dec])).all():
        raise NoPositionError(
            f"neither the target list nor the header has a position: RA_OBJ is {ra_card!r}, "
            f"DEC_OBJ is {dec_card!r}"
        )
    return ra, dec, int(str(tic_id)) if str(tic_id).isdecimal() else None
