"""Download scripts: the list of which files exist. They are read, never run."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    import numpy.typing as npt

    from tessloom.archive.findings import Findings
    from tessloom.pipelines import Pipeline

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class FileNames:
    """What file names say, as arrays of shape ``(n,)``.

    Attributes
    ----------
    identifiers
        TIC or Gaia ids.
    cameras, ccds
        0 where the pipeline's file names do not tell.
    versions
        Positions in `version_names`.
    version_names
        Version tokens, the newest last.
    """

    identifiers: npt.NDArray[np.int64]
    cameras: npt.NDArray[np.int8]
    ccds: npt.NDArray[np.int8]
    versions: npt.NDArray[np.int16]
    version_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.identifiers)

    def paths(self, pipeline: Pipeline, sector: int) -> Iterator[str]:
        """Yield the paths that the archive's rule gives them."""
        for identifier, camera, ccd, version in zip(
            self.identifiers.tolist(),
            self.cameras.tolist(),
            self.ccds.tolist(),
            self.versions.tolist(),
            strict=True,
        ):
            yield pipeline.light_curve_path(
                sector, identifier, camera, ccd, self.version_names[version]
            )

    def take(self, positions: npt.NDArray[np.int64]) -> FileNames:
        """Return the names at `positions`."""
        return FileNames(
            self.identifiers[positions],
            self.cameras[positions],
            self.ccds[positions],
            self.versions[positions],
            self.version_names,
        )


class FileNameCollector:
    """Collects light curves' file names; 14 million of them take 150 MB."""

    def __init__(self, pipeline: Pipeline, sector: int) -> None:
        self._sector = f"{sector:04d}"
        self._names_ccd = pipeline.names_ccd
        self._identifiers = array("q")
        self._ccds = array("b")  # camera * 8 + CCD
        self._versions = array("h")
        self._version_codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._identifiers)

    def add(self, match: re.Match[str], findings: Findings) -> tuple[int, int] | None:
        """Add a match of `Pipeline.file_name`; return its key, or None if it was refused."""
        digits, sector, version = match.group("id", "sector", "version")
        identifier = int(digits)
        if identifier > LARGEST_ID:
            findings.add("unmatched-line", match[0])
            return None
        if sector != self._sector:
            findings.add("other-sector", match[0])
            return None
        ccd = int(match["camera"]) * 8 + int(match["ccd"]) if self._names_ccd else 0
        self._identifiers.append(identifier)
        self._ccds.append(ccd)
        self._versions.append(self._version_codes.setdefault(version, len(self._version_codes)))
        return identifier, ccd

    def names(self, findings: Findings) -> tuple[FileNames, npt.NDArray[np.int64]]:
        """Return each light curve once, and the position at which its file name was added.

        They are in the order in which the light curves were first added. Of several versions
        the newest is taken.
        """
        identifiers = np.array(self._identifiers, np.int64)
        ccds = np.array(self._ccds, np.int8)
        tokens = sorted(self._version_codes, key=_version_number)
        ranks = np.array([tokens.index(token) for token in self._version_codes], np.int16)
        versions = ranks[np.array(self._versions, np.int16)]

        order = np.lexsort((np.arange(len(identifiers)), -versions, ccds, identifiers))
        same = (np.diff(identifiers[order]) == 0) & (np.diff(ccds[order]) == 0)
        starts = np.flatnonzero(np.concatenate(([True], ~same))[: len(order)])
        newest = order[starts]
        first_added = np.minimum.reduceat(order, starts) if len(order) else order
        self._count_repeated(order, same, versions, newest, findings)

        by_appearance = np.argsort(first_added)
        chosen = newest[by_appearance]
        names = FileNames(
            identifiers[chosen],
            (ccds[chosen] >> 3).astype(np.int8),
            (ccds[chosen] & 7).astype(np.int8),
            versions[chosen],
            tuple(tokens),
        )
        return names, chosen

    def _count_repeated(
        self,
        order: npt.NDArray[np.int64],
        same: npt.NDArray[np.bool_],
        versions: npt.NDArray[np.int16],
        newest: npt.NDArray[np.int64],
        findings: Findings,
    ) -> None:
        repeated = order[1:][same]
        kept = newest[np.cumsum(np.concatenate(([True], ~same)))[1:][same] - 1]
        superseded = versions[repeated] < versions[kept]
        for kind, mask in (("superseded", superseded), ("duplicate", ~superseded)):
            if mask.any():
                example = self._identifiers[int(repeated[mask][0])]
                findings.add(kind, f"id {example}", int(mask.sum()))


class ScriptReader:
    """Reads a script fed to it in pieces of any size.

    File names are matched, not positions in the line: options, quotes and addresses differ
    between the scripts and change over time.

    Parameters
    ----------
    limit
        Stop after so many light curves; `full` tells.
    """

    def __init__(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None = None
    ) -> None:
        self._search = pipeline.file_name.search
        self._collector = FileNameCollector(pipeline, sector)
        self._findings = findings
        self._limit = limit
        self._distinct: set[tuple[int, int]] = set()
        self._rest = ""
        self.full = False

    def feed(self, piece: bytes) -> None:
        """Read one piece of the script."""
        lines = (self._rest + piece.decode("ascii", "replace")).split("\n")
        self._rest = lines.pop()
        self._read(lines)

    def close(self) -> FileNames:
        """Read what stands after the last line feed; return every light curve once."""
        if self._rest.strip() and not self.full:
            self._findings.add("unfinished", self._rest)
        self._read([self._rest])
        self._rest = ""
        return self._collector.names(self._findings)[0]

    def _read(self, lines: list[str]) -> None:
        for line in lines:
            if self.full:
                return
            match = self._search(line)
            if match is None:
                if line.strip() and not line.startswith("#"):
                    self._findings.add("unmatched-line", line)
                continue
            key = self._collector.add(match, self._findings)
            if key is None:
                continue
            if "../" in line:
                self._findings.add("outside-path", line)
            if self._limit is not None:
                self._distinct.add(key)
                self.full = len(self._distinct) == self._limit


def _version_number(version: str) -> tuple[list[int], str]:
    """Order ``v01`` < ``v1.1`` < ``v2`` < ``v10``."""
    digits = "".join(character if character.isdecimal() else " " for character in version)
    return [int(word) for word in digits.split()], version
