"""What a verification finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.errors import DatasetError

BUILD_AGAIN = "Remove it, then run the same build again."
PUBLISH_AGAIN = "Run the same build again: it writes what is beside the light curves anew."
MOVE_AWAY = "Move it out of the dataset."
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is not as it was written.

    Attributes
    ----------
    path
        Of the file or directory.
    what
        What is wrong, to be read after the path.
    advice
        What to do, in a sentence.
    """

    path: Path
    what: str
    advice: str = BUILD_AGAIN

    @classmethod
    def of(cls, path: Path, error: DatasetError, advice: str = BUILD_AGAIN) -> Self:
        """Return the problem that an error about a file tells of."""
        # Errors say what happened and, after the last colon, what to do.
        what, _, _ = str(error).removeprefix(f"{path} ").rpartition(": ")
        return cls(path=path, what=what or str(error), advice=advice)

    def __str__(self) -> str:
        return f"{self.path} {self.what}. {self.advice}"


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A partition that still has to be built: incomplete, not damaged.

    Attributes
    ----------
    pipeline
        Its name.
    sector
        The TESS sector.
    pixel
        HEALPix pixel, NESTED, of the pipeline's order.
    light_curves
        How many of them.
    path
        Of its file; there is one if it was built when less was asked for.
    """

    pipeline: str
    sector: int
    pixel: int
    light_curves: int
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found when a dataset was read again.

    Attributes
    ----------
    directory
        The dataset's.
    files
        Light-curve files that were read.
    light_curves
        How many are in them.
    bytes_read
        How large they are.
    compared
        Light curves that were compared with the archive's.
    problems
        Damage of any kind; empty for a sound dataset.
    missing
        What still has to be built.
    notes
        What was not checked, and what is left over, a sentence each.
    """

    directory: Path
    files: int
    light_curves: int
    bytes_read: int
    compared: int = 0
    problems: tuple[Problem, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether everything that is there is as it was written."""
        return not self.problems

    @property
    def complete(self) -> bool:
        """Whether no light curve still has to be asked for."""
        return not self.missing

    def to_dict(self) -> dict[str, Any]:
        """Return the verification as JSON has it."""
        content = asdict(self) | {"sound": self.sound, "complete": self.complete}
        content["directory"] = str(self.directory)
        for entry in (*content["problems"], *content["missing"]):
            entry["path"] = None if entry["path"] is None else str(entry["path"])
        return {name: list(v) if isinstance(v, tuple) else v for name, v in content.items()}

    def __str__(self) -> str:
        """Return the verification in a few lines for people."""
        size = f"{self.bytes_read / 1e6:.1f} MB"
        lines = [f"{self.directory}: {self.files} files, {self.light_curves} light curves, {size}"]
        if self.compared:
            lines.append(f"{self.compared} light curves were compared with the archive's.")
        lines += [str(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"and {len(self.problems) - _SHOWN} further problems: --json has them all")
        if self.missing:
            count = sum(missing.light_curves for missing in self.missing)
            lines.append(
                f"{count} light curves in {len(self.missing)} partitions still have to be built: "
                "run the same build again."
            )
        found = f"{len(self.problems)} problems." if self.problems else "Everything is sound."
        return "\n".join([*lines, *self.notes, found])
