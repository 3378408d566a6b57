"""Download scripts: the list of which files exist. They are read, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.archive.findings import EXAMPLES_KEPT
from tessloom.archive.lines import LONGEST_LINE, LineBlocks, first_texts, split_lines
from tessloom.archive.targets import usual_paths

if TYPE_CHECKING:
    import numpy.typing as npt

    from tessloom.archive.findings import Findings
    from tessloom.pipelines import Pipeline

LARGEST_ID = 2**63 - 1

# Bytes parsed at a time: the calls cost nothing then, and the arrays stay in the cache.
_BLOCK = 4 << 20
# A version is two or three letters, and there are two or three of them.
_LONGEST_VERSION = 64
_MOST_VERSIONS = 1000
# Comments and blank lines: what they lack is no light curve.
_NO_COMMAND = r"^(?:#|[\s\x0b]*$)"


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

    def paths(self, pipeline: Pipeline, sector: int) -> list[str]:
        """Return the paths that the archive's rule gives them."""
        names = {
            "id": pa.array(self.identifiers),
            "camera": pa.array(self.cameras),
            "ccd": pa.array(self.ccds),
            "version": pa.array(self.version_names, pa.string()).take(pa.array(self.versions)),
        }
        paths: list[str] = usual_paths(pipeline, sector, names).to_pylist()
        return paths

    def take(self, positions: npt.NDArray[np.int64]) -> FileNames:
        """Return the names at `positions`."""
        return FileNames(
            self.identifiers[positions],
            self.cameras[positions],
            self.ccds[positions],
            self.versions[positions],
            self.version_names,
        )


@dataclass(frozen=True)
class FoundNames:
    """File names found in lines, as arrays of shape ``(n,)``, and the lines that have none.

    Attributes
    ----------
    rows
        Positions of the lines that name a light curve of the sector.
    identifiers, ccds, versions
        What they name; `ccds` is ``camera * 8 + CCD``.
    unmatched, other_sector
        Positions of lines without a light curve, and of those with another sector's.
    """

    rows: npt.NDArray[np.int64]
    identifiers: npt.NDArray[np.int64]
    ccds: npt.NDArray[np.int8]
    versions: npt.NDArray[np.int16]
    unmatched: npt.NDArray[np.int64]
    other_sector: npt.NDArray[np.int64]

    def of_first_lines(self, count: int | None) -> FoundNames:
        """Return what the first `count` lines have."""
        if count is None:
            return self
        named = self.rows < count
        return FoundNames(
            self.rows[named],
            self.identifiers[named],
            self.ccds[named],
            self.versions[named],
            unmatched=self.unmatched[self.unmatched < count],
            other_sector=self.other_sector[self.other_sector < count],
        )


class FileNameCollector:
    """Collects light curves' file names; 14 million of them take 150 MB."""

    def __init__(self, pipeline: Pipeline, sector: int) -> None:
        # Arrow's expressions are RE2's, which takes no time that grows with hostile text.
        self._pattern = pipeline.file_name.pattern
        self._file_name = pipeline.file_name
        self._sector = f"{sector:04d}"
        self._names_ccd = pipeline.names_ccd
        self._identifiers: list[npt.NDArray[np.int64]] = []
        self._ccds: list[npt.NDArray[np.int8]] = []  # camera * 8 + CCD
        self._versions: list[npt.NDArray[np.int16]] = []
        self._version_codes: dict[str, int] = {}

    def read(self, lines: pa.BinaryArray) -> FoundNames:
        """Find the first file name of each line; nothing is collected yet."""
        groups = pc.extract_regex(lines, self._pattern)
        short = pc.less_equal(pc.binary_length(lines), LONGEST_LINE + len("\n"))
        matched = pc.and_(pc.is_valid(groups), short)
        rows = np.flatnonzero(matched.to_numpy(zero_copy_only=False))
        if len(rows) < len(lines):
            groups = groups.take(pa.array(rows))
        # 19 digits fit here, but not always into the signed number that an id is.
        identifiers = pc.cast(groups.field("id"), pa.string()).cast(pa.uint64()).to_numpy()
        versions = self._codes(groups.field("version"))
        possible = (identifiers <= LARGEST_ID) & (versions >= 0)
        here = pc.equal(groups.field("sector"), self._sector.encode())
        here = here.to_numpy(zero_copy_only=False)
        ccds = np.zeros(len(rows), np.int8)
        if self._names_ccd:
            ccds = _digits(groups.field("camera")) * np.int8(8) + _digits(groups.field("ccd"))
        chosen = possible & here
        unmatched = np.ones(len(lines), bool)
        unmatched[rows[possible]] = False
        return FoundNames(
            rows[chosen],
            identifiers[chosen].astype(np.int64),
            ccds[chosen],
            versions[chosen],
            unmatched=np.flatnonzero(unmatched),
            other_sector=rows[possible & ~here],
        )

    def add(self, found: FoundNames) -> None:
        """Collect names."""
        self._identifiers.append(found.identifiers)
        self._ccds.append(found.ccds)
        self._versions.append(found.versions)

    def first_name(self, line: str) -> str:
        """Return the file name in a line that has one."""
        match = self._file_name.search(line)
        return match[0] if match else line

    def names(self, findings: Findings) -> tuple[FileNames, npt.NDArray[np.int64]]:
        """Return each light curve once, and the position at which its file name was added.

        They are in the order in which the light curves were first added. Of several versions
        the newest is taken.
        """
        identifiers = _joined(self._identifiers, np.int64)
        ccds = _joined(self._ccds, np.int8)
        tokens = sorted(self._version_codes, key=_version_number)
        ranks = np.array([tokens.index(token) for token in self._version_codes], np.int16)
        versions = ranks[_joined(self._versions, np.int16)]
        chosen = _distinct(identifiers, ccds, versions, findings)
        if len(chosen) < len(identifiers):
            identifiers, ccds, versions = identifiers[chosen], ccds[chosen], versions[chosen]
        return FileNames(identifiers, ccds >> 3, ccds & 7, versions, tuple(tokens)), chosen

    def _codes(self, versions: pa.BinaryArray) -> npt.NDArray[np.int16]:
        """Return the versions as numbers; -1 for one that can't be a version."""
        encoded = versions.dictionary_encode()
        codes = np.full(len(encoded.dictionary), -1, np.int16)
        for place, token in enumerate(encoded.dictionary.to_pylist()):
            text = token.decode("ascii")
            if text in self._version_codes or (
                len(text) <= _LONGEST_VERSION and len(self._version_codes) < _MOST_VERSIONS
            ):
                codes[place] = self._version_codes.setdefault(text, len(self._version_codes))
        indices: npt.NDArray[np.int32] = encoded.indices.to_numpy()
        return codes[indices]


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
        self._collector = FileNameCollector(pipeline, sector)
        self._findings = findings
        self._limit = limit
        self._distinct: set[int] = set()
        # With a limit nothing must be read that is not needed.
        self._blocks = LineBlocks(_BLOCK if limit is None else 0)
        self.full = False

    def feed(self, piece: bytes) -> None:
        """Read one piece of the script."""
        if not self.full:
            self._read(self._blocks.feed(piece))

    def close(self) -> FileNames:
        """Read what stands after the last line feed; return every light curve once."""
        lines, rest = self._blocks.close()
        self._read(lines)
        if rest.strip() and not self.full:
            self._findings.add("unfinished", rest.decode("ascii", "replace"))
            self._read(rest + b"\n")
        return self._collector.names(self._findings)[0]

    def _read(self, block: bytes) -> None:
        if not block or self.full:
            return
        lines = split_lines(block)
        found = self._collector.read(lines)
        if self._limit is not None:
            needed = self._lines_needed(found, self._limit)
            lines, found = lines[:needed], found.of_first_lines(needed)
        self._collector.add(found)
        self._count(lines, found, b"../" in block)

    def _lines_needed(self, found: FoundNames, limit: int) -> int | None:
        """Return how many lines it takes to come to the limit, or None if it takes more."""
        keys = zip(found.identifiers.tolist(), found.ccds.tolist(), strict=True)
        for count, (identifier, ccd) in enumerate(keys):
            self._distinct.add(identifier << 7 | ccd)
            if len(self._distinct) == limit:
                self.full = True
                return int(found.rows[count]) + 1
        return None

    def _count(self, lines: pa.BinaryArray, found: FoundNames, leads_outside: bool) -> None:
        unmatched = lines.take(pa.array(found.unmatched))
        commands = pc.invert(pc.match_substring_regex(unmatched, _NO_COMMAND))
        self._count_lines("unmatched-line", unmatched.filter(commands))
        others = lines.take(pa.array(found.other_sector))
        examples = [self._collector.first_name(line) for line in first_texts(others)]
        self._findings.add_some("other-sector", examples, len(others))
        if leads_outside:
            named = lines.take(pa.array(found.rows))
            outside = named.filter(pc.match_substring(named, "../"))
            self._count_lines("outside-path", outside)

    def _count_lines(self, kind: str, lines: pa.BinaryArray) -> None:
        self._findings.add_some(kind, first_texts(lines), len(lines))


def _digits(column: pa.BinaryArray) -> npt.NDArray[np.int8]:
    digits: npt.NDArray[np.int8] = pc.cast(column, pa.string()).cast(pa.int8()).to_numpy()
    return digits


def _joined(arrays: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return arrays as one, and empty the list, so that they are not kept twice for long."""
    joined = np.concatenate(arrays) if arrays else np.empty(0, dtype)
    arrays[:] = [joined]
    return joined


def repeated_values(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the values that occur more than once, sorted."""
    values = np.sort(values)
    repeated: npt.NDArray[np.int64] = np.unique(values[1:][values[1:] == values[:-1]])
    return repeated


def _distinct(
    identifiers: npt.NDArray[np.int64],
    ccds: npt.NDArray[np.int8],
    versions: npt.NDArray[np.int16],
    findings: Findings,
) -> npt.NDArray[np.int64]:
    """Return the position of each light curve's newest version, by first appearance; count others.

    Only ids that occur more than once are sorted by all their keys: they are few.
    """
    everything = np.arange(len(identifiers))
    repeated = repeated_values(identifiers)
    if not len(repeated):
        return everything
    mask = pc.is_in(pa.array(identifiers), pa.array(repeated)).to_numpy(zero_copy_only=False)
    among = np.flatnonzero(mask)
    order = among[np.lexsort((among, -versions[among], ccds[among], identifiers[among]))]
    same = (np.diff(identifiers[order]) == 0) & (np.diff(ccds[order]) == 0)
    starts = np.flatnonzero(np.concatenate(([True], ~same)))
    newest = order[starts]
    kept = newest[np.cumsum(np.concatenate(([True], ~same)))[1:][same] - 1]
    again = order[1:][same]
    superseded = versions[again] < versions[kept]
    for kind, rows in (("superseded", again[superseded]), ("duplicate", again[~superseded])):
        examples = [f"id {identifier}" for identifier in identifiers[rows[:EXAMPLES_KEPT]]]
        findings.add_some(kind, examples, len(rows))
    # Where each light curve was named first, its newest version takes the place.
    everything[np.minimum.reduceat(order, starts)] = newest
    first = ~mask
    first[np.minimum.reduceat(order, starts)] = True
    chosen: npt.NDArray[np.int64] = everything[first]
    return chosen


def _version_number(version: str) -> tuple[list[int], str]:
    """Order ``v01`` < ``v1.1`` < ``v2`` < ``v10``."""
    digits = "".join(character if character.isdecimal() else " " for character in version)
    return [int(word) for word in digits.split()], version
