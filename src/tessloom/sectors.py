"""Which sectors are meant: numbers, ranges, all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tessloom.errors import RequestError
from tessloom.whole_number import plain, whole_number

LAST_SECTOR = 9999
_SPAN = re.compile(r"(\d{1,4})(\s*-\s*(\d{1,4})?)?")


@dataclass(frozen=True)
class Sectors:
    """Which sectors a call asks for.

    Attributes
    ----------
    single
        Those that it names, and that must be there.
    spans
        First and last of ranges, of which those are taken that are there.
    """

    single: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()

    def among(self, known: Iterable[int]) -> list[int]:
        """Return what is asked for of the sectors that are there; those named in any case."""
        if not self.spans:
            return [*self.single]
        there = {n for n in known if any(first <= n <= last for first, last in self.spans)}
        return sorted(there | set(self.single))

    def lacking(self, known: Iterable[int]) -> list[int]:
        """Return what ranges ask for and is not there; nothing of one without an end."""
        asked = {
            number
            for first, last in self.spans
            if last < LAST_SECTOR
            for number in range(first, last + 1)
        }
        return sorted(asked - set(known) - set(self.single))

    def __str__(self) -> str:
        spans = (f"{first}-{'' if last == LAST_SECTOR else last}" for first, last in self.spans)
        return ", ".join([*map(str, self.single), *spans])


def parse_sectors(sector: object) -> Sectors:
    """Check sectors: numbers, ranges such as ``"1-26"`` or ``"27-"``, ``"all"``, or several.

    Raises
    ------
    RequestError
        Something is no sector.
    """
    if isinstance(sector, Sectors):
        return sector
    parts: list[object] = []
    for item in _items(sector):
        parts += item.split(",") if isinstance(item, str) else [item]
    if not parts:
        raise RequestError("name at least one sector")
    spans = [_parse_span(part) for part in parts]
    single = dict.fromkeys(first for first, last in spans if first == last)
    return Sectors((*single,), tuple(span for span in spans if span[0] != span[1]))


def _items(sector: object) -> list[object]:
    sector = plain(sector)
    if isinstance(sector, Iterable) and not isinstance(sector, str | bytes):
        return [plain(item) for item in sector]
    return [sector]


def _parse_span(part: object) -> tuple[int, int]:
    """Return the first and the last sector of a range, which may be the same."""
    number = whole_number(part)
    first, last = number, number
    if isinstance(part, str):
        text = part.strip().lower()
        match = _SPAN.fullmatch(f"1-{LAST_SECTOR}" if text == "all" else text)
        if match is None:
            raise RequestError(
                f"{part!r} is not a sector: give a number, a range such as 1-26 or 27-, or all"
            )
        first = int(match[1])
        last = int(match[3] or LAST_SECTOR) if match[2] else first
    if first is None or last is None or not (1 <= first <= LAST_SECTOR and last >= 1):
        raise RequestError(f"{part!r} is not a sector: they are numbered from 1")
    if first > last:
        raise RequestError(f"the range of sectors {part!r} ends before it begins")
    return first, last
