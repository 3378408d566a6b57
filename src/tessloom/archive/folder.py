"""A folder as an archive: laid out like MAST's, or just files anywhere below it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from tessloom.archive.findings import Findings
from tessloom.archive.folder_files import read_file, walk
from tessloom.archive.script import FileNameCollector, ScriptReader
from tessloom.archive.sectors import unknown_sector
from tessloom.errors import ArchiveError, FileMissingError, FileUnavailableError, UnknownSectorError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tessloom.archive.script import FileNames
    from tessloom.errors import TargetError
    from tessloom.pipelines import Pipeline

T = TypeVar("T")

_PIECE = 1 << 20
# Two blocks hold every known primary header; TESS-SPOC's fills two.
_HEADER = 4 * 2880


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder with light curves.

    Scripts are files named as in the archive (``*_s0023_*.sh``) and lists are files
    ``target_lists/s0023.csv``, below a directory of the pipeline if there are several. Without
    a script the files that are there are the sector; without a list the positions come from
    the headers.

    Attributes
    ----------
    failures
        Why files that are not there could not be had, by path, where somebody knows.
    """

    root: Path
    failures: Mapping[str, TargetError] = field(default_factory=dict)

    lists_may_change = True
    most_workers = worthwhile_workers = sys.maxsize

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.root)

    @property
    def files(self) -> str:
        """The folder."""
        return f"{self.root}/"

    lists = files

    @asynccontextmanager
    async def open(
        self, workers: int = 1, say: Callable[[str], None] | None = None
    ) -> AsyncIterator[FolderArchive]:
        """Open the folder; there are no connections to share out."""
        del workers, say
        yield FolderArchive(self.root, self.failures)


class FolderArchive:
    """An open folder."""

    at_a_time = 16

    def __init__(self, root: Path, failures: Mapping[str, TargetError]) -> None:
        self._root = root
        self._start = f"{root}/"
        self._failures = failures

    def share(self, workers: int) -> None:
        """Do nothing: there are no connections."""

    def health(self) -> list[dict[str, Any]]:
        """Return nothing: a folder has no mirrors."""
        return []

    async def sectors(self, pipeline: Pipeline) -> list[int]:
        """Return the sectors of which there are light curves or a script."""
        script = _script_pattern(pipeline, r"\d{4}")
        found: set[int] = set()
        for path in walk(self._start):
            if match := pipeline.file_name.fullmatch(_name(path)):
                found.add(int(match["sector"]))
            elif match := script.search(path):
                found.add(int(match[1]))
        return sorted(found)

    async def file_names(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
    ) -> tuple[FileNames, Sequence[str | None]]:
        """Read the script where there is one; else take the files that are there, by path."""
        script = self._usual_script(pipeline, sector)
        if script is None:
            scripts, places = self._look_around(pipeline, sector, findings)
            if not scripts:
                return self._files_present(pipeline, sector, findings, limit, places)
            script = scripts[-1]
        reader = ScriptReader(pipeline, sector, findings, limit)
        for piece in self._pieces(script):
            reader.feed(piece)
            if reader.full:
                break
        # What lies elsewhere than the archive has it is looked for when it is missed.
        return reader.close(), ()

    def _usual_script(self, pipeline: Pipeline, sector: int) -> str | None:
        """Return the path of the sector's script if it lies where the archive has it.

        To look for it everywhere takes a million directories of a whole sector.
        """
        pattern = _script_pattern(pipeline, f"{sector:04d}")
        usual = pipeline.script_directory
        for directory in (usual, usual.partition("/")[2], ""):
            with contextlib.suppress(OSError):
                names = sorted(os.listdir(self._start + directory))  # noqa: PTH208 - as in `walk`
                found = [directory + name for name in names if pattern.search(name)]
                if found:
                    return found[-1]
        return None

    async def script(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the download script in pieces."""
        script = self._usual_script(pipeline, sector)
        if script is None:
            scripts, _ = self._look_around(pipeline, sector, Findings())
            if not scripts:
                raise ArchiveError(
                    f"{self._root} has light curves of {pipeline.title}, sector {sector}, "
                    "but no script"
                )
            script = scripts[-1]
        for piece in self._pieces(script):
            yield piece

    def _look_around(
        self, pipeline: Pipeline, sector: int, findings: Findings
    ) -> tuple[list[str], dict[str, str]]:
        """Return the paths of the sector's scripts, and of its light curves by file name."""
        script = _script_pattern(pipeline, f"{sector:04d}")
        scripts: list[str] = []
        places: dict[str, str] = {}
        others: set[int] = set()
        for path in walk(self._start, lambda path: findings.add("passed-over", path)):
            name = _name(path)
            match = pipeline.file_name.fullmatch(name)
            if match is None:
                if script.search(path):
                    scripts.append(path)
                elif _is_of_no_pipeline(name):
                    findings.add("other-name", path)
            elif int(match["sector"]) != sector:
                others.add(int(match["sector"]))
            elif name in places:
                findings.add("duplicate", path)
            else:
                places[name] = path
        if not scripts and not places:
            error = unknown_sector(str(self._root), pipeline, sector, sorted(others))
            raise UnknownSectorError("; ".join([str(error), *findings.sentences()]))
        return scripts, places

    def _files_present(
        self,
        pipeline: Pipeline,
        sector: int,
        findings: Findings,
        limit: int | None,
        places: dict[str, str],
    ) -> tuple[FileNames, Sequence[str | None]]:
        collector = FileNameCollector(pipeline, sector)
        paths = list(places.values())
        found_names = collector.read(pa.array(list(places), pa.binary()))
        unmatched = [paths[row] for row in found_names.unmatched.tolist()]
        findings.add_some("unmatched-line", unmatched, len(unmatched))
        collector.add(found_names)
        names, added = collector.names(findings)
        names = names.take(np.arange(len(names))[:limit])
        found = [paths[position] for position in found_names.rows[added[:limit]].tolist()]
        usual = names.paths(pipeline, sector)
        return names, [
            place if place != path else None for place, path in zip(found, usual, strict=True)
        ]

    async def target_list(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the target list in pieces."""
        name = _name(pipeline.target_list.format(sector=sector))
        places = [f"{pipeline.hlsp}/target_lists/{name}", f"target_lists/{name}"]
        for place in places:
            if (self._root / place).is_file():
                for piece in self._pieces(place):
                    yield piece
                return
        raise FileMissingError(f"{self._root} has no {' or '.join(places)}")

    async def fetch(self, path: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the light curve at `path`, which may be absolute."""
        # Not in a thread: to hand a file over costs several times what reading it does. Where
        # reads are slow, on a network's file system, several workers read at a time.
        return accept(self._read(path))

    async def fetch_header(self, path: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the file's first blocks."""
        return accept(self._read(path, _HEADER))

    def _read(self, path: str, size: int | None = None) -> bytes:
        """Return the first `size` bytes of a file, or all; from elsewhere if it is not there."""
        places = path, *_other_places(path)
        try:
            for place in places:
                with contextlib.suppress(FileNotFoundError):
                    return read_file(os.path.join(self._start, place), size)  # noqa: PTH118
            if path in self._failures:
                raise self._failures[path]
            if (name := _name(path)) in self._scattered:
                return read_file(self._start + self._scattered[name], size)
        except FileNotFoundError:
            pass  # it was there a moment ago
        except OSError as error:
            raise FileUnavailableError(f"{path}: {error}") from error
        raise FileMissingError(f"{path} is not in the folder")

    @cached_property
    def _scattered(self) -> dict[str, str]:
        """The first path of each light curve that lies where nobody would look for it, by name.

        Of all names of a sector every worker would need 500 MB.
        """
        scattered: dict[str, str] = {}
        for path in walk(self._start):
            name = _name(path)
            usual = _usual_path(name)
            if usual is not None and path not in (usual, *_other_places(usual)):
                scattered.setdefault(name, path)
        return scattered

    def _pieces(self, path: str) -> Iterator[bytes]:
        with (self._root / path).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _usual_path(name: str) -> str | None:
    """Return where the archive has a light curve of this name; None: it is no light curve's."""
    for pipeline in PIPELINES.values():
        if match := pipeline.file_name.fullmatch(name):
            found = match.groupdict()
            sector, identifier, camera, ccd = (
                int(found.get(key) or 0) for key in ("sector", "id", "camera", "ccd")
            )
            return pipeline.light_curve_path(sector, identifier, camera, ccd, found["version"])
    return None


def _other_places(path: str) -> tuple[str, ...]:
    """Return where a file lies in a collection's own directory, and where all lie in one."""
    if "/" not in path:
        return ()
    return path.partition("/")[2], _name(path)


def _script_pattern(pipeline: Pipeline, sector: str) -> re.Pattern[str]:
    start = re.escape(pipeline.script.rpartition("/")[2].partition("{")[0])
    return re.compile(rf"(?:^|/){start}({sector})_[^/]*\.sh$")


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_of_no_pipeline(name: str) -> bool:
    """Return whether a FITS file is named as no light curve is."""
    return name.lower().endswith((".fits", ".fits.gz")) and not any(
        pipeline.file_name.fullmatch(name) for pipeline in PIPELINES.values()
    )
