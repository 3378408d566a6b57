"""What was odd about the archive's lists: counted with examples, never dropped silently."""

from __future__ import annotations

from dataclasses import dataclass, field

EXAMPLES_KEPT = 5

# What each finding means, as the report says it.
MEANINGS = {
    "unmatched-line": "lines of the script name no light curve of this pipeline",
    "unfinished": "script does not end with a line feed: it may have been cut off",
    "other-sector": "lines of the script are of another sector and were passed over",
    "outside-path": "lines of the script point outside their directory; "
    "the file was sought at its proper place",
    "duplicate": "targets are named more than once and were taken once",
    "superseded": "files have a newer version, which was taken instead",
    "bad-row": "rows of the target list can't be read",
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
        self.counts[kind] = self.counts.get(kind, 0) + count
        kept = self.examples.setdefault(kind, [])
        if len(kept) < EXAMPLES_KEPT:
            kept.append(example[:200])

    def sentences(self) -> list[str]:
        """Return one sentence a kind."""
        return [
            f"{count} {MEANINGS[kind]} (such as {self.examples[kind][0]})"
            for kind, count in self.counts.items()
        ]
