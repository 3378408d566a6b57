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

from tessloom.archive.findings import EXAMPLES_KEPT, Findings
from tessloom.archive.listing_cache import WholeListing
from tessloom.archive.placing import has_position, place
from tessloom.archive.target_list import TargetListReader, count_repeated_rows, first_rows
from tessloom.archive.targets import target_table, targets_without_file
from tessloom.errors import ArchiveError, FileMissingError, NotListedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tessloom.archive._protocol import Archive
    from tessloom.archive.listing_cache import ListingCache
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
    archive: Archive,
    pipeline: Pipeline,
    sector: int,
    selection: Selection,
    cache: ListingCache | None = None,
) -> Listing:
    """Read what the archive has of a sector, and choose from it.

    Parameters
    ----------
    cache
        Where whole listings are kept, and taken from. Where a limit is set and none is kept, only
        the beginning of the lists is read and nothing is kept.

    Raises
    ------
    UnknownSectorError
        The archive has no such sector.
    ArchiveError
        Its lists can't be read.
    """
    whole = cache.read(pipeline, sector) if cache is not None else None
    if whole is None:
        whole = await _read_lists(archive, pipeline, sector, selection.limit)
        # That there is no list may be a web page's word, and pass.
        if cache is not None and selection.limit is None and whole.listed:
            cache.write(pipeline, sector, whole)
    findings, listed = whole.findings, whole.listed
    targets = _by_number(whole, selection)
    del whole
    # Without a list, the headers alone may say which TIC id a Gaia id has.
    ids_known = listed or pipeline.id_name == "tic_id"
    if selection.targets is not None and ids_known:
        targets = _by_id(targets, selection.targets, sector)
    if listed:
        _count_unlisted(targets, findings)
    targets = await place(archive, pipeline, sector, targets)
    if selection.targets is not None and not ids_known:
        targets = _by_id(targets, selection.targets, sector)
    return Listing(pipeline, sector, targets, findings)


async def _read_lists(
    archive: Archive, pipeline: Pipeline, sector: int, limit: int | None
) -> WholeListing:
    """Read script and target list, or as much as the first `limit` light curves need."""
    findings = Findings()
    names, paths = await archive.file_names(pipeline, sector, findings, limit)
    if not len(names):
        raise ArchiveError(
            f"the script of sector {sector} of {pipeline.title} names no light curve"
            + "".join(f"; {sentence}" for sentence in findings.sentences())
        )
    wanted = None if limit is None else np.unique(names.identifiers)
    rows = await _target_list(archive, pipeline, sector, findings, wanted)
    absent_in = sector if limit is None else None
    targets = _join(names, paths, rows, pipeline, findings, absent_in=absent_in)
    return WholeListing(targets, len(names), len(rows) > 0, findings)


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
    except FileMissingError as error:
        findings.add("no-list", str(error))
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
    targets = _join(names, paths, rows, pipeline, findings, absent_in=absent_in)
    if len(rows):
        _count_unlisted(targets, findings)
    return targets


def _join(
    names: FileNames,
    paths: Sequence[str | None],
    rows: pa.Table,
    pipeline: Pipeline,
    findings: Findings,
    *,
    absent_in: int | None,
) -> pa.Table:
    positions, absent = _match(names.identifiers, rows)
    if absent_in is None:
        absent = absent[:0]
    else:
        count_repeated_rows(rows, names.identifiers, findings)
    without = len(absent)
    absent_ids, absent_tic_ids = (_taken(rows[name], pa.array(absent)) for name in ("id", "tic_id"))
    examples = [f"id {identifier}" for identifier in absent_ids[:EXAMPLES_KEPT].to_pylist()]
    findings.add_some("no-file", examples, without)

    identifiers = pa.array(names.identifiers)
    own = pipeline.id_name == "tic_id"
    columns = {
        "id": _both(identifiers, absent_ids),
        "tic_id": _both(
            identifiers if own else _taken(rows["tic_id"], positions),
            absent_ids if own else absent_tic_ids,
        ),
        "camera": np.append(names.cameras, np.zeros(without, np.int8)),
        "ccd": np.append(names.ccds, np.zeros(without, np.int8)),
        "version": _padded(
            pa.array(names.version_names, pa.string()).take(pa.array(names.versions)), without
        ),
        "ra": _padded(_taken(rows["ra"], positions), without),
        "dec": _padded(_taken(rows["dec"], positions), without),
    }
    if len(paths):
        columns["path"] = _padded(pa.array(paths, pa.string()), without)
    if without:
        detail = (
            f"the target list of sector {absent_in} has it, the download script has no file of it"
        )
        none = pa.nulls(len(names), pa.string())
        columns["reason"] = _both(none, pa.repeat(NotListedError.reason, without))
        columns["detail"] = _both(none, pa.repeat(detail, without))
    return target_table(columns, len(names) + without)


def _match(
    identifiers: npt.NDArray[np.int64], rows: pa.Table
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return each file's row in the list, null without one, and the rows that have no file.

    Of several rows with an id the first counts.
    """
    if not len(rows):
        return pa.nulls(len(identifiers), pa.int64()), np.empty(0, np.int64)
    listed, first = first_rows(rows)
    place = np.searchsorted(listed, identifiers)
    place[place == len(listed)] = 0
    known = listed[place] == identifiers
    unused = np.ones(len(listed), bool)
    unused[place[known]] = False
    positions = pa.array(first[place], mask=None if known.all() else ~known)
    return positions, np.sort(first[unused])


def _taken(column: pa.ChunkedArray, positions: pa.Array) -> pa.Array:
    # In one piece: Arrow is slow in picking from many.
    return column.combine_chunks().take(positions)


def _both(files: pa.Array, absent: pa.Array) -> pa.Array:
    return pa.concat_arrays([files, absent]) if len(absent) else files


def _padded(column: pa.Array, count: int) -> pa.Array:
    return _both(column, pa.nulls(count, column.type))


def _count_unlisted(targets: pa.Table, findings: Findings) -> None:
    unlisted = ~has_position(targets) & pc.is_null(targets["reason"]).to_numpy()
    rows = np.flatnonzero(unlisted)
    examples = targets["id"].take(pa.array(rows[:EXAMPLES_KEPT])).to_pylist()
    findings.add_some("not-in-list", [f"id {identifier}" for identifier in examples], len(rows))


def _by_number(whole: WholeListing, selection: Selection) -> pa.Table:
    """Return the targets that `limit` or `sample` chooses."""
    if selection.limit is not None:
        return whole.targets.slice(0, min(selection.limit, whole.files))
    if selection.sample is None or selection.sample >= whole.files:
        return whole.targets
    identifiers = whole.targets["id"].slice(0, whole.files).to_numpy()
    return whole.targets.take(pa.array(selection.by_number(identifiers)))


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
        absent, f"asked for by its id, but sector {sector} has no file of it"
    )
    return pa.concat_tables([found, failures])
