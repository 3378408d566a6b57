"""Header cards: where they are and what they say.

Format facts are from the FITS standard 4.0, sections 4.1, 4.2 and 4.4.1.
"""

from __future__ import annotations

import math
import re

from tessloom.errors import FitsError, TruncatedFitsError

BLOCK = 2880
CARD = 80
END = b"END" + b" " * 77
# Between keyword and value, in columns 9 and 10; a card without it has no value.
INDICATOR = b"= "
# No file has a size that 64 bits can't hold. Python's integers would go on.
LARGEST_SIZE = 2**63 - 1

# What follows the keyword in most cards with a number, up to the comment: quick to recognise.
# Python can hold all of them; three digits of an exponent may be too many.
INTEGER_CARD = re.compile(rb"= *([+-]?\d+) *(?:/|\Z)")
REAL_CARD = re.compile(rb"= *([+-]?\d+\.\d*(?:E[+-]?\d\d?)?) *(?:/|\Z)")
# All others. Python's own int and float also take "1_000", "nan" and "infinity", which are no
# numbers in FITS.
_INTEGER = re.compile(rb"[+-]?\d+")
_REAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EDed][+-]?\d+)?")

HeaderValue = str | int | float | bool | None


def padded(size: int) -> int:
    """Return `size` in whole blocks."""
    return -(-size // BLOCK) * BLOCK


def find_end(body: bytes, offset: int) -> int:
    """Return the position of the END card of the header at `offset`."""
    position = find_card(body, END, offset, len(body))
    if position < 0:
        raise TruncatedFitsError(
            f"the file ends after {len(body)} bytes, in the middle of a header"
        )
    return position


def find_card(body: bytes, keyword: bytes, start: int, stop: int) -> int:
    """Return the position of the first card of `keyword`, eight bytes or more, or -1."""
    position = body.find(keyword, start, stop)
    while position >= 0 and (position - start) % CARD:
        position = body.find(keyword, position + 1, stop)
    return position


def mandatory_integer(body: bytes, position: int, keyword: bytes) -> int:
    """Return the value of the mandatory card at `position`.

    Parameters
    ----------
    keyword
        What must stand there, with `INDICATOR`: ten bytes.

    Raises
    ------
    FitsError
        Another card stands there, or its value is no integer or can't be a size.
    """
    if not body.startswith(keyword, position):
        card = body[position : position + CARD]
        raise FitsError(f"the header has {card!r} where {keyword.decode()!r} must stand")
    match = INTEGER_CARD.match(body, position + 8, position + CARD)
    if match is None:
        card = body[position : position + CARD]
        raise FitsError(f"a mandatory card of the header is not an integer: {card!r}")
    value = int(match[1])
    if value > LARGEST_SIZE or (value < 0 and not keyword.startswith(b"BITPIX")):
        raise FitsError(f"the header says the impossible {keyword.decode()}{value}")
    return value


def value_at(body: bytes, position: int) -> HeaderValue:
    """Return the value of the card at `position`; None where that is -1."""
    return None if position < 0 else parse_value(body[position : position + CARD])


def parse_value(card: bytes) -> HeaderValue:
    """Return the value of a card as astropy does, or None for a blank or unreadable one."""
    if card[8:10] != INDICATOR:
        return None
    text = card[10:].lstrip()
    if text[:1] == b"'":
        return _parse_string(text)
    text = text.partition(b"/")[0].strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        value = float(text.upper().replace(b"D", b"E"))
        return value if math.isfinite(value) else None
    return {b"T": True, b"F": False}.get(text)


def _parse_string(text: bytes) -> str | None:
    position = 1
    while True:
        position = text.find(b"'", position)
        if position < 0:
            return None
        if text[position + 1 : position + 2] != b"'":  # a doubled quote is part of the string
            return text[1:position].decode("ascii", "replace").replace("''", "'").rstrip()
        position += 2
