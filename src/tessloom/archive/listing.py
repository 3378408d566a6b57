"""The targets of one sector: what a build is asked to get.

The download script says which files exist, the target list where the stars are. They may
disagree either way, and both may be wrong; every disagreement is counted, and a target that
can't be placed on the sky stays in the listing with the reason.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.archive.findings import Findings
from tessloom.archive.placing import place
from tessloom.archive.target_list import TargetListReader, first_rows
from tessloom.archive.targets import target_table, targets_without_file
from tessloom.errors import ArchiveError, FileMissingError
from tessloom.healpix import is_position

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.archive._protocol import Archive
    from tessloom.archive.script import FileNames
    from tessloom.archive.selection import Selection
    from tessloom.pipelines import Pipeline


@dataclass(frozen=True)
class Listing:
    """The targets of one (pipeline, sector) that are asked for, in the order of the script.

    Attributes
    ----------
    targets
        A table of `targets.SCHEMA`.
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
    absent_in = sector if everything else None
    targets = join_lists(names, paths, rows, pipeline, findings, absent_in=absent_in)
    # Without a list, the headers alone may say which TIC id a Gaia id has.
    ids_known = len(rows) > 0 or pipeline.id_name == "tic_id"
    if selection.targets is not None and ids_known:
        targets = _by_id(targets, selection.targets, sector)
    targets = await place(archive, pipeline, sector, targets.combine_chunks())
    if selection.targets is not None and not ids_known:
        targets = _by_id(targets, selection.targets, sector)
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


def join_lists(
    names: FileNames,
    paths: Sequence[str | None],
    rows: pa.Table,
    pipeline: Pipeline,
    findings: Findings,
    *,
    absent_in: int | None,
) -> pa.Table:
    """Return the targets of files, each with the position that the target list gives it.

    Parameters
    ----------
    paths
        Of the files that are not at their usual place, else None; empty if all are.
    rows
        See `TargetListReader.rows`.
    absent_in
        The sector, where script and list were read as a whole: then targets of the list of which
        there is no file follow, with the reason.
    """
    targets = _join(names, paths, rows, pipeline)
    if len(rows):
        _count_unlisted(targets, findings)
    if absent_in is not None:
        targets = pa.concat_tables([targets, _without_file(rows, names, absent_in)])
    return targets.combine_chunks()


def _join(
    names: FileNames, paths: Sequence[str | None], rows: pa.Table, pipeline: Pipeline
) -> pa.Table:
    listed, first = first_rows(rows)
    row = np.searchsorted(listed, names.identifiers)
    row[row == len(listed)] = 0
    known = listed[row] == names.identifiers if len(listed) else np.zeros(len(names), bool)
    positions = pa.array(first[row] if len(listed) else row, mask=~known)
    listed_rows = rows.take(positions)
    tic_id = listed_rows["tic_id"]
    return target_table(
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


def _count_unlisted(targets: pa.Table, findings: Findings) -> None:
    ra, dec = (pc.fill_null(targets[name], np.nan).to_numpy() for name in ("ra", "dec"))
    unlisted = targets.filter(pa.array(~is_position(ra, dec)))
    if len(unlisted):
        findings.add("not-in-list", f"id {unlisted['id'][0]}", len(unlisted))


def _without_file(rows: pa.Table, names: FileNames, sector: int) -> pa.Table:
    """Return the targets of the list of which the script names no file: recorded failures."""
    absent = rows.filter(pa.array(~np.isin(rows["id"].to_numpy(), names.identifiers)))
    absent = absent.take(pa.array(np.sort(first_rows(absent)[1])))
    return targets_without_file(
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
    failures = targets_without_file(
        {"id": absent},
        len(absent),
        f"asked for by its id, but sector {sector} has no file of it",
    )
    return pa.concat_tables([found, failures])
