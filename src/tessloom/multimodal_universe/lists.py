"""From the script and the target list on disk to the targets of a sector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.archive import (
    FileNames,
    ScriptReader,
    TargetListReader,
    event_loop,
    join_lists,
    place,
)
from tessloom.errors import RequestError
from tessloom.progress_display import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

    from tessloom.archive import ArchiveAddress, Findings
    from tessloom.pipelines import Pipeline

_PIECE = 1 << 20


def read_commands(path: Path) -> list[str]:
    """Return the lines of a script that are commands."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise RequestError(f"can't read the script {path}: {error.strerror}") from error
    return [line for line in lines if line.strip() and not line.startswith("#")]


def parse_command(pipeline: Pipeline, sector: int, line: str) -> list[Any]:
    """Return id, camera and CCD if file names tell them, and the four directories, as text.

    Raises
    ------
    RequestError
        The line names no light curve of the pipeline and sector.
    """
    match = pipeline.file_name.search(line)
    if match is None or int(match["sector"]) != sector:
        raise RequestError(
            f"this line names no light curve of {pipeline.title}, sector {sector}: {line!r}"
        )
    identifier = int(match["id"])
    ccd = [int(match["camera"]), int(match["ccd"])] if pipeline.names_ccd else []
    return [identifier, *ccd, *pipeline.fours(identifier)]


def read_script(
    path: Path, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
) -> FileNames:
    """Return the light curves that a script names, or the first of them, each once."""
    reader = ScriptReader(pipeline, sector, findings, limit)
    with path.open("rb") as file:
        while not reader.full and (piece := file.read(_PIECE)):
            reader.feed(piece)
    return reader.close()


def from_parameters(
    pipeline: Pipeline, rows: Iterable[Sequence[Any]], script: FileNames, limit: int | None
) -> FileNames:
    """Return the light curves that rows of `catalog.parameter_names` name, each once.

    Parameters
    ----------
    script
        All that the script names: it knows versions, which rows don't.
    """
    width = 3 if pipeline.names_ccd else 1
    keys = list(dict.fromkeys(tuple(map(int, row[:width])) for row in rows))[:limit]
    columns = np.array(keys, np.int64).reshape(-1, width)
    zeros = np.zeros(len(keys), np.int8)
    known = {tuple(key): version for *key, version in _keys(script, width)}
    names = (*script.version_names, pipeline.version)
    versions = [known.get(key, len(names) - 1) for key in keys]
    cameras, ccds = columns[:, 1:].T if pipeline.names_ccd else (zeros, zeros)
    return FileNames(
        columns[:, 0],
        cameras.astype(np.int8),
        ccds.astype(np.int8),
        np.array(versions, np.int16),
        names,
    )


def _keys(names: FileNames, width: int) -> Iterable[tuple[int, ...]]:
    columns = (names.identifiers, names.cameras, names.ccds)[:width]
    return zip(*(column.tolist() for column in (*columns, names.versions)), strict=True)


def read_target_list(
    path: Path | None, pipeline: Pipeline, findings: Findings, wanted: npt.NDArray[np.int64] | None
) -> pa.Table:
    """Return the rows of a target list; without a path, none."""
    reader = TargetListReader(pipeline, findings, str(path), wanted)
    if path is None:
        return reader.rows()
    with path.open("rb") as file:
        while not reader.full and (piece := file.read(_PIECE)):
            reader.feed(piece)
    reader.close()
    return reader.rows()


def sector_targets(
    pipeline: Pipeline, names: FileNames, rows: pa.Table, findings: Findings, absent_in: int | None
) -> pa.Table:
    """Return the targets of files that lie where the archive has them; see `join_lists`."""
    return join_lists(names, (), rows, pipeline, findings, absent_in=absent_in)


def place_targets(
    address: ArchiveAddress, pipeline: Pipeline, sector: int, targets: pa.Table
) -> pa.Table:
    """Place targets on the sky, asking the headers of files where a target has no position."""

    async def ask() -> pa.Table:
        async with address.open(say=tell) as archive:
            return await place(archive, pipeline, sector, targets)

    return event_loop.run(ask())
