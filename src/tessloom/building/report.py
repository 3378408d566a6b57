"""What a build did, and what the dataset has now."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tessloom.dataset.summary import size_text
from tessloom.errors import NotListedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tessloom.building.estimate import Estimate
    from tessloom.dataset.status import SectorStatus


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a build did.

    Attributes
    ----------
    out
        The dataset's directory.
    sectors
        What the dataset has and lacks of each (pipeline, sector) that the build was about.
    built
        Partitions that this build wrote; in a dry run, those that it would write.
    kept
        Partitions that were not written anew because an earlier file has light curves that could
        not be had this time.
    dry_run
        Whether nothing was done.
    notes
        What readers should know of the dataset as a whole, a sentence each.
    estimates
        In a dry run: what each of `sectors` will take; None where nothing is to be done.
    """

    out: Path
    sectors: list[SectorStatus]
    built: int
    kept: int = 0
    dry_run: bool = False
    notes: list[str] = field(default_factory=list)
    estimates: list[Estimate | None] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the dataset has every light curve that was asked for."""
        return all(sector.complete for sector in self.sectors)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "out": str(self.out),
            "complete": self.complete,
            "built": self.built,
            "kept": self.kept,
            "dry_run": self.dry_run,
            "notes": self.notes,
            "sectors": [sector.to_dict() for sector in self.sectors],
            "estimates": [estimate and asdict(estimate) for estimate in self.estimates],
        }

    def __str__(self) -> str:
        """Return the report in a few lines for people."""
        if self.dry_run:
            return "\n".join([*self._plan(), *self.notes])
        lines = [*describe(self.sectors), *self.notes]
        left = any(sector.missing for sector in self.sectors)
        if not (self.built or self.kept or left) and any(s.partitions for s in self.sectors):
            lines.append("Nothing was left to do.")
        if self.kept:
            lines.append(
                f"Left as they were: {_partitions(self.kept)} with light curves that could not be "
                "had again."
            )
        reasons = {reason for sector in self.sectors for reason in sector.reasons()}
        if reasons:
            lines.append(f"The reasons, target by target: tessloom status {self.out} --json.")
        if reasons - {NotListedError.reason}:
            lines.append(f"To ask for them again: tessloom retry {self.out}")
        if NotListedError.reason in reasons:
            lines.append(
                f"What is {NotListedError.reason} has no file in the archive's lists: the same "
                "build with --refresh reads them anew."
            )
        return "\n".join(lines)

    def _plan(self) -> Iterable[str]:
        """Yield what is to be done, sector by sector and in all."""
        for sector, estimate in zip(self.sectors, self.estimates, strict=True):
            yield _planned(sector) + (f": {_takes([estimate])}" if estimate else "")
        known = [estimate for estimate in self.estimates if estimate]
        if not known:
            return
        if len(self.sectors) > 1:
            missing = sum(sector.missing for sector in self.sectors)
            yield f"In all: {missing} light curves to fetch: {_takes(known)}"
        sampled = sum(estimate.sampled for estimate in known)
        yield (
            f"(Sizes and times by a sample of {sampled} light curves that were fetched just now, "
            "by one worker.)"
        )


def describe(sectors: Iterable[SectorStatus]) -> Iterable[str]:
    """Yield a few lines on each sector."""
    for sector in sectors:
        name = f"{sector.pipeline} sector {sector.sector}"
        files = sector.partitions - sector.partitions_missing
        parts = [f"{name}: {sector.written} of {sector.asked} light curves in {files} partitions"]
        if sector.complete:
            parts.append("complete")
        if sector.failures:
            reasons = ", ".join(f"{count} {kind}" for kind, count in sector.reasons().items())
            parts.append(f"{len(sector.failures)} failed ({reasons})")
        if sector.missing:
            parts.append(
                f"{sector.missing} still to be built "
                f"({_partitions(sector.partitions_missing)} of {sector.partitions} missing)"
            )
        yield ", ".join(parts) + (" [synthetic data]" if sector.synthetic else "")
        for finding in sector.findings:
            yield f"  lists: {finding}"
        if sector.moved:
            yield f"  {sector.moved} stars lie elsewhere by their header than by the target list"
        if sector.unknown_columns:
            columns = ", ".join(f"{name} ({n} files)" for name, n in sector.unknown_columns.items())
            yield f"  FITS columns that tessloom does not know and left out: {columns}"


def _planned(sector: SectorStatus) -> str:
    return (
        f"{sector.pipeline} sector {sector.sector}: {sector.asked} light curves in "
        f"{_partitions(sector.partitions)}, {sector.partitions_missing} of them to be built "
        f"({sector.missing} light curves to fetch)"
    )


def _takes(estimates: Sequence[Estimate]) -> str:
    download = sum(estimate.download for estimate in estimates)
    disk = sum(estimate.disk for estimate in estimates)
    seconds = sum(estimate.seconds for estimate in estimates)
    return f"{size_text(download)} to download, {size_text(disk)} on disk, {_duration(seconds)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _partitions(number: int) -> str:
    return "1 partition" if number == 1 else f"{number} partitions"
