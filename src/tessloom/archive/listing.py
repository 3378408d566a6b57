"""The targets of one sector, as one table: what a build is asked to get.

The download script says which files exist, the target list where the stars are. They may
disagree either way, and both may be wrong; every disagreement is counted, and a target that
can't be placed on the sky stays in the listing with the reason.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom import fits
from tessloom.archive.findings import Findings
from tessloom.archive.target_list import TargetListReader, first_rows
from tessloom.archive.window import slide
from tessloom.errors import (
    ArchiveError,
    FileMissingError,
    NoPositionError,
    NotListedError,
    TargetError,
)
from tessloom.healpix import healpix_29, is_position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tessloom.archive._protocol import Archive
    from tessloom.archive.script import FileNames
    from tessloom.archive.selection import Selection
    from tessloom.pipelines import Pipeline

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("tic_id", pa.int64()),
        pa.field("camera", pa.int8(), nullable=False),
        pa.field("ccd", pa.int8(), nullable=False),
        pa.field("version", pa.string()),
        pa.field("path", pa.string()),
        pa.field("ra", pa.float64()),
        pa.field("dec", pa.float64()),
        pa.field("healpix_29", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""One row a light curve.

``id`` is what file names carry; ``camera`` and ``ccd`` are 0 where they do not tell; ``path`` is
null where it is the one that `Pipeline.light_curve_path` gives; ``ra`` and ``dec`` (degrees) and
``healpix_29`` are null, and ``reason`` and ``detail`` are not, for a target that can't be placed.
"""

_HEADERS_AT_A_TIME = 32


@dataclass(frozen=True)
class Listing:
    """The targets of one (pipeline, sector) that are asked for, in the order of the script.

    Attributes
    ----------
    targets
        A table of `SCHEMA`.
    findings
        What was odd about the lists.
    """

    pipeline: Pipeline
    sector: int
    targets: pa.Table
    findings: Findings


async def read_listing(
    archive: Archive, pipeline: Pipeline, sector: int, selection: Selection
) -> Listing:
    """Read what the archive has of a sector, and choose from it.

    Raises
    ------
    UnknownSectorError
        The archive has no such sector.
    ArchiveError
        Its lists can't be read.
    """
    findings = Findings()
    names, paths = await archive.file_names(pipeline, sector, findings, selection.limit)
    if not len(names):
        raise ArchiveError(
            f"the script of sector {sector} of {pipeline.title} names no light curve"
            + "".join(f"; {sentence}" for sentence in findings.sentences())
        )
    chosen = selection.by_number(names.identifiers)
    everything = len(chosen) == len(names) and selection.limit is None
    names = names.take(chosen)
    paths = [paths[position] for position in chosen.tolist()] if paths else paths

    wanted = None if everything else np.unique(names.identifiers)
    rows = await _target_list(archive, pipeline, sector, findings, wanted)
    targets = _join(names, paths, rows, pipeline, sector)
    if everything:
        targets = pa.concat_tables([targets, _without_file(rows, names, sector)])
    if selection.targets is not None:
        targets = _by_id(targets, selection.targets, sector)
    targets = await _place(archive, pipeline, sector, targets.combine_chunks(), findings)
    return Listing(pipeline, sector, targets, findings)


async def _target_list(
    archive: Archive,
    pipeline: Pipeline,
    sector: int,
    findings: Findings,
    wanted: npt.NDArray[np.int64] | None,
) -> pa.Table:
    reader = TargetListReader(pipeline, findings, f"of sector {sector} ({pipeline.name})", wanted)
    try:
        async with aclosing(archive.target_list(pipeline, sector)) as pieces:
            async for piece in pieces:
                reader.feed(piece)
                if reader.full:
                    break
            reader.close()
    except FileMissingError:
        # Then every position comes from a header.
        return reader.rows()
    return reader.rows()


def _join(
    names: FileNames,
    paths: Sequence[str | None],
    rows: pa.Table,
    pipeline: Pipeline,
    sector: int,
) -> pa.Table:
    """Give each file the position of its target."""
    listed, first = first_rows(rows)
    row = np.searchsorted(listed, names.identifiers)
    row[row == len(listed)] = 0
    known = listed[row] == names.identifiers if len(listed) else np.zeros(len(names), bool)
    positions = pa.array(first[row] if len(listed) else row, mask=~known)
    listed_rows = rows.take(positions)
    if paths:
        usual = names.paths(pipeline, sector)
        paths = [None if path == rule else path for path, rule in zip(paths, usual, strict=True)]
    tic_id = listed_rows["tic_id"]
    return _table(
        {
            "id": names.identifiers,
            "tic_id": names.identifiers if pipeline.id_name == "tic_id" else tic_id,
            "camera": names.cameras,
            "ccd": names.ccds,
            "version": pa.array(names.version_names, pa.string()).take(pa.array(names.versions)),
            "path": pa.array(paths, pa.string()) if paths else pa.nulls(len(names), pa.string()),
            "ra": listed_rows["ra"],
            "dec": listed_rows["dec"],
        },
        len(names),
    )


def _without_file(rows: pa.Table, names: FileNames, sector: int) -> pa.Table:
    """Return the targets of the list of which the script names no file: recorded failures."""
    absent = rows.filter(pa.array(~np.isin(rows["id"].to_numpy(), names.identifiers)))
    absent = absent.take(pa.array(np.sort(first_rows(absent)[1])))
    return _failures(
        {"id": absent["id"], "tic_id": absent["tic_id"]},
        len(absent),
        f"the target list of sector {sector} has it, the download script has no file of it",
    )


def _by_id(targets: pa.Table, identifiers: tuple[int, ...], sector: int) -> pa.Table:
    """Choose targets by id or TIC id; one that is not there stays, as a recorded failure."""
    wanted = pa.array(identifiers, pa.int64())
    found = targets.filter(
        pc.or_(pc.is_in(targets["id"], wanted), pc.is_in(targets["tic_id"], wanted))
    )
    absent = wanted.filter(
        pc.invert(pc.or_(pc.is_in(wanted, found["id"]), pc.is_in(wanted, found["tic_id"])))
    )
    failures = _failures(
        {"id": absent},
        len(absent),
        f"asked for by its id, but sector {sector} has no file of it",
    )
    return pa.concat_tables([found, failures])


async def _place(
    archive: Archive, pipeline: Pipeline, sector: int, targets: pa.Table, findings: Findings
) -> pa.Table:
    """Add HEALPix pixels; take positions that the list lacks from the files' headers."""
    ra, dec = (pc.fill_null(targets[name], np.nan).to_numpy().copy() for name in ("ra", "dec"))
    failed = pc.is_valid(targets["reason"]).to_numpy()
    failures: dict[int, TargetError] = {}

    async def ask(index: int) -> None:
        path = light_curve_path(pipeline, sector, targets.slice(index, 1).to_pylist()[0])
        try:
            ra[index], dec[index] = await archive.fetch_header(path, _position)
        except TargetError as error:
            failures[index] = error

    unplaced = np.flatnonzero(~is_position(ra, dec) & ~failed).tolist()
    if unplaced:
        findings.add("not-in-list", f"id {targets['id'][unplaced[0]]}", len(unplaced))
        await slide(_HEADERS_AT_A_TIME, unplaced, ask)

    placed = is_position(ra, dec)
    pixels = np.zeros(len(targets), np.int64)
    pixels[placed] = healpix_29(ra[placed], dec[placed])
    columns = {name: targets[name] for name in targets.column_names}
    for name, values in (("ra", ra), ("dec", dec), ("healpix_29", pixels)):
        columns[name] = pa.array(values, mask=~placed)
    if failures:
        reasons, details = columns["reason"].to_pylist(), columns["detail"].to_pylist()
        for index, error in failures.items():
            reasons[index], details[index] = error.reason, str(error)
        columns |= {"reason": reasons, "detail": details}
    return _table(columns, len(targets))


def _position(body: bytes) -> tuple[float, float]:
    position = fits.primary_values(body, ("RA_OBJ", "DEC_OBJ"))
    ra, dec = (value if isinstance(value, int | float) else np.nan for value in position)
    if not is_position(np.array([ra]), np.array([dec])).all():
        raise NoPositionError(
            f"neither the target list nor the header has a position: RA_OBJ is {position[0]!r}, "
            f"DEC_OBJ is {position[1]!r}"
        )
    return ra, dec


def light_curve_path(pipeline: Pipeline, sector: int, target: Mapping[str, Any]) -> str:
    """Return the path of a row of a listing, relative to the archive's root."""
    path: str = target["path"] or pipeline.light_curve_path(
        sector, target["id"], target["camera"], target["ccd"], target["version"]
    )
    return path


def _failures(columns: dict[str, Any], count: int, detail: str) -> pa.Table:
    """Return rows of targets of which there is no file."""
    zeros = np.zeros(count, np.int8)
    return _table(
        columns
        | {
            "camera": zeros,
            "ccd": zeros,
            "reason": [NotListedError.reason] * count,
            "detail": [detail] * count,
        },
        count,
    )


def _table(columns: dict[str, Any], count: int) -> pa.Table:
    """Return a table of `SCHEMA`; columns that are not given are null."""
    arrays: list[pa.Array | pa.ChunkedArray] = []
    for column in SCHEMA:
        values = columns.get(column.name)
        if values is None:
            arrays.append(pa.nulls(count, column.type))
        elif isinstance(values, pa.Array | pa.ChunkedArray):
            arrays.append(values.cast(column.type))
        else:
            arrays.append(pa.array(values, column.type))
    return pa.table(arrays, schema=SCHEMA)
