"""What was odd about the archive's lists: counted with examples, never dropped silently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES_KEPT = 5

# What each finding means, as the report says it, and in its order.
MEANINGS = {
    "unmatched-line": "lines of the script name no light curve of this pipeline",
    "unfinished": "script does not end with a line feed: it may have been cut off",
    "other-sector": "lines of the script are of another sector and were passed over",
    "outside-path": "lines of the script point outside their directory; "
    "the file was sought at its proper place",
    "passed-over": "directories of the folder were not looked into: links are not followed, "
    "others can't be read",
    "other-name": "FITS files are not named as a light curve of any pipeline and were passed over",
    "duplicate": "targets are named more than once and were taken once",
    "superseded": "files have a newer version, which was taken instead",
    "no-list": "target list is not there; the header of every target was asked for its position",
    "bad-row": "rows of the target list can't be read",
    "repeated-row": "rows of the target list repeat a target; its first row was taken",
    "other-tic-id": "rows of the target list repeat a target under another TIC id; the first was "
    "taken",
    "no-file": "targets of the target list have no file in the script; they are recorded as "
    "failures",
    "not-in-list": "targets of the script are not in the target list or have no position there; "
    "their headers were asked",
}


@dataclass
class Findings:
    """Counts of oddities by kind, with the first few examples of each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, example: str, count: int = 1) -> None:
        """Count `count` more of a kind, which must stand in `MEANINGS`."""
        self.add_some(kind, [example], count)

    def add_some(self, kind: str, examples: Iterable[str], count: int) -> None:
        """Count `count` more of a kind; the first `EXAMPLES_KEPT` of all examples are kept."""
        if not count:
            return
        self.counts[kind] = self.counts.get(kind, 0) + count
        kept = self.examples.setdefault(kind, [])
        kept += [example[:200] for example in examples][: EXAMPLES_KEPT - len(kept)]

    def sentences(self) -> list[str]:
        """Return one sentence a kind."""
        return [
            f"{self.counts[kind]} {meaning} (such as {self.examples[kind][0]})"
            for kind, meaning in MEANINGS.items()
            if kind in self.counts
        ]
