"""Sectors that an archive has, in words, and the answer to one that it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.errors import UnknownSectorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessloom.pipelines import Pipeline

_NEAREST = 2


def ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers in words: ``1-3, 7``."""
    if not numbers:
        return "none"
    parts: list[str] = []
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            last = numbers[end - 1]
            parts.append(f"{numbers[start]}" + (f"-{last}" if end - start > 1 else ""))
            start = end
    return ", ".join(parts)


def unknown_sector(
    archive: str, pipeline: Pipeline, sector: int, known: Sequence[int]
) -> UnknownSectorError:
    """Return the error for a sector that is not there; it names the nearest that are.

    Parameters
    ----------
    archive
        What the error calls the archive.
    known
        The sectors that it has, sorted.
    """
    nearest = sorted(sorted(known, key=lambda number: abs(number - sector))[:_NEAREST])
    near = f"; nearest: {' and '.join(map(str, nearest))}" if nearest else ""
    return UnknownSectorError(
        f"{archive} has no sector {sector} of {pipeline.title}{near}; it has: {ranges(known)}"
    )
