"""The wanted header values of files that have one layout, by one regular expression.

To find out card by card what a value is takes as long as all else in decoding a file. In files of
one layout a card is at the same place and mostly of the same kind, in the standard's fixed format
(FITS standard 4.0, section 4.2). Where a file has anything else, its cards are read one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tessloom.fits.cards import CARD, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tessloom.fits.cards import HeaderValue

# A value's columns, from the value indicator to the blank before a comment. Of `value_at`'s values
# they allow a part, and for these they say the same.
_FIELD = 23
# What follows: a comment or nothing, up to the card's end.
_REST = rb"(?=/| {49})"


def _number(form: bytes) -> bytes:
    """Return the pattern of a number in its columns, or of none."""
    return rb"= (?: {20}|(?= *%b +(?:/| {49}))([ +\-.E\d]{20})) %b" % (form, _REST)


def _as_number(text: bytes) -> HeaderValue:
    return float(text) if b"." in text else int(text)


def _as_text(text: bytes) -> HeaderValue:
    return text.decode("ascii", "replace").rstrip()


# Python can hold all of these numbers; three digits of an exponent may be too many.
_INTEGER = rb"[+-]?\d+"
_REAL = rb"[+-]?\d+\.\d*(?:E[+-]?\d\d?)?"
# Patterns and what turns the text that they find into a value; each for a card that it matches.
# Of a blank card nobody knows which number another file has there.
_KINDS: tuple[tuple[bytes, Callable[[bytes], HeaderValue]], ...] = (
    (_number(rb"(?:%b|%b)" % (_REAL, _INTEGER)), _as_number),
    (_number(_INTEGER), int),
    (_number(_REAL), float),
    (rb"= {20}([TF]) " + _REST, b"T".__eq__),
    (rb"(?== '([^']{0,68})'(?!')).{23}", _as_text),
)


class WantedCards:
    """Reads the cards at some positions of files that have the layout of one of them.

    Parameters
    ----------
    body
        That file.
    positions
        Of the cards; -1 for one that such files lack.
    """

    def __init__(self, body: bytes, positions: Sequence[int]) -> None:
        self._positions = tuple(positions)
        self._others: list[int] = []
        self._converts: list[tuple[int, Callable[[bytes], HeaderValue]]] = []
        pattern: list[bytes] = []
        self._start = end = min((at for at in positions if at >= 0), default=0) + 8
        for position, place in sorted(zip(positions, range(len(positions)), strict=True)):
            kind = _kind(body, position)
            if kind is None:
                self._others.append(place)
                continue
            pattern += [b".{%d}" % (position + 8 - end), kind[0]]
            self._converts.append((place, kind[1]))
            end = position + 8 + _FIELD
        self._pattern = re.compile(b"".join(pattern), re.DOTALL)

    def read(self, body: bytes) -> tuple[HeaderValue, ...]:
        """Return the values in the order of the positions."""
        match = self._pattern.match(body, self._start)
        if match is None:
            return tuple([value_at(body, position) for position in self._positions])
        values: list[HeaderValue] = [None] * len(self._positions)
        for (place, convert), text in zip(self._converts, match.groups(), strict=True):
            if text is not None:
                values[place] = convert(text)
        for place in self._others:
            values[place] = value_at(body, self._positions[place])
        return tuple(values)


def _kind(body: bytes, position: int) -> tuple[bytes, Callable[[bytes], HeaderValue]] | None:
    """Return the pattern and the converter of the card at `position`; None if it has no kind."""
    if position < 0:
        return None
    card = body[position : position + CARD]
    blank, *others = _KINDS
    kinds = [blank] if not card[10:].partition(b"/")[0].strip() else others
    return next((kind for kind in kinds if re.compile(kind[0], re.DOTALL).match(card, 8)), None)
