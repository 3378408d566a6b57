"""Where things are in the files of one pipeline and era, and how to recognise such files.

Two files have the same layout if their headers have the same keywords in the same places and the
same structural cards. What is remembered of a file is only what these decide, so that no file
can change how another one is read. Format facts are from the FITS standard 4.0, section 7.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.errors import FitsError, TruncatedFitsError
from tessloom.fits.cards import (
    CARD,
    END,
    INDICATOR,
    find_card,
    find_end,
    mandatory_integer,
    padded,
    parse_value,
)
from tessloom.fits.hdus import CHECKSUM, EXTENSIONS, check_start, next_hdu
from tessloom.fits.wanted import WantedCards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tessloom.fits.cards import HeaderValue

# Cards of a table header by which two layouts are told apart; their values shape the records.
_STRUCTURAL = re.compile(rb"(TFIELDS|T(TYPE|FORM|DIM|SCAL|ZERO|NULL|UNIT|DISP)\d+) *")
_TFORM = re.compile(r"(\d*)([LBIJKEDA])")
_NUMPY_TYPES = {
    "L": "S1",  # the letter T or F; no light-curve column has it
    "B": "u1",
    "I": ">i2",
    "J": ">i4",
    "K": ">i8",
    "E": ">f4",
    "D": ">f8",
    "A": "S",
}
_BINARY_TABLE = b"XTENSION= 'BINTABLE'"
_ROWS_CARD = 4
_MOST_COLUMNS = 999
# The first eight bytes of every card.
_CARD_KEYWORD = np.dtype({"names": ["k"], "formats": ["<u8"], "offsets": [0], "itemsize": CARD})


@dataclass(frozen=True, slots=True)
class _Header:
    """The keywords of one header, to recognise another one like it."""

    start: int
    end: int  # offset of the END card
    cards: int  # END included
    keywords: bytes  # the first eight bytes of each

    @classmethod
    def parse(cls, body: bytes, start: int) -> _Header:
        end = find_end(body, start)
        cards = (end - start) // CARD + 1
        keywords = _keywords(body, start, cards)
        if END[:8] in (keywords[at : at + 8] for at in range(0, len(keywords) - 8, 8)):
            raise FitsError("a header has an END card with a value")
        return cls(start, end, cards, keywords)

    def fits(self, body: bytes) -> bool:
        return (
            body.startswith(END, self.end)
            and _keywords(body, self.start, self.cards) == self.keywords
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in the files of one pipeline and era.

    Attributes
    ----------
    dtype
        Of the records.
    data
        Offset of the records.
    extensions
        Offset of the card that promises how many there are, or -1.
    table_start
        Offset of HDU 1.
    checksums
        Offsets of the CHECKSUM cards of HDU 0 and 1, or -1.
    wanted
        The wanted header cards.
    """

    dtype: np.dtype[np.void]
    data: int
    extensions: int
    table_start: int
    checksums: tuple[int, int]
    wanted: WantedCards
    _primary: _Header
    _table: _Header
    _primary_shape: bytes  # the primary header's structural cards
    _before_rows: bytes  # the table's cards before NAXIS2
    _after_rows: bytes  # and from there to its last structural card

    @property
    def cards(self) -> int:
        """The number of cards in both headers."""
        return self._primary.cards + self._table.cards

    def fits(self, body: bytes) -> bool:
        """Return whether `body` has this layout."""
        start = self.table_start
        return (
            body.startswith(self._after_rows, start + (_ROWS_CARD + 1) * CARD)
            and body.startswith(self._before_rows, start)
            and body.startswith(self._primary_shape)
            and self._primary.fits(body)
            and self._table.fits(body)
        )

    def rows(self, body: bytes) -> int:
        """Return the number of the table's rows; it is not checked against the body."""
        return mandatory_integer(body, self.table_start + _ROWS_CARD * CARD, b"NAXIS2  = ")


def parse_layout(body: bytes, wanted: Sequence[tuple[int, bytes]]) -> Layout:
    """Return the layout of a file.

    Parameters
    ----------
    wanted
        HDU and keyword, eight bytes long, of the header values that `Layout.wanted` shall give.

    Raises
    ------
    FitsError
        It is no FITS file with a table in HDU 1, or has a table of an unknown kind.
    """
    check_start(body)
    start = next_hdu(body, 0)
    if not body.startswith(_BINARY_TABLE, start):
        if start + CARD > len(body):
            raise TruncatedFitsError(f"the file ends after {len(body)} bytes, before its table")
        raise FitsError("HDU 1 is not a binary table")
    headers = (_Header.parse(body, 0), _Header.parse(body, start))
    width = _row_width(body, start)
    cards = [body[at : at + CARD] for at in range(start, headers[1].end, CARD)]
    structural = [i for i, card in enumerate(cards) if _STRUCTURAL.fullmatch(card[:8])]
    return Layout(
        dtype=_record_dtype([cards[i] for i in structural], width),
        data=padded(headers[1].end + CARD),
        extensions=find_card(body, EXTENSIONS, 0, headers[0].end),
        table_start=start,
        checksums=(
            find_card(body, CHECKSUM, 0, headers[0].end),
            find_card(body, CHECKSUM, start, headers[1].end),
        ),
        wanted=WantedCards(
            body,
            [
                find_card(body, keyword, headers[hdu].start, headers[hdu].end)
                for hdu, keyword in wanted
            ],
        ),
        _primary=headers[0],
        _table=headers[1],
        _primary_shape=body[: (3 + mandatory_integer(body, 2 * CARD, b"NAXIS   = ")) * CARD],
        _before_rows=b"".join(cards[:_ROWS_CARD]),
        _after_rows=b"".join(cards[_ROWS_CARD + 1 : structural[-1] + 1]),
    )


def _row_width(body: bytes, start: int) -> int:
    """Check the mandatory cards of the table at `start`; return the bytes of a row."""
    keywords = (b"BITPIX  = ", b"NAXIS   = ", b"NAXIS1  = ", b"NAXIS2  = ")
    bits, axes, width, _ = (
        mandatory_integer(body, start + position * CARD, keyword)
        for position, keyword in enumerate(keywords, 1)
    )
    if (bits, axes) != (8, 2):
        raise FitsError(f"the table has BITPIX {bits} and NAXIS {axes}, which no table has")
    if width > len(body):
        raise TruncatedFitsError(
            f"the file has {len(body)} bytes, one row of its table alone {width}: it was cut off"
        )
    return width


def _keywords(body: bytes, start: int, cards: int) -> bytes:
    """Return the first eight bytes of each of a header's cards; of those that there are."""
    cards = min(cards, (len(body) - start) // CARD)
    return np.frombuffer(body, _CARD_KEYWORD, max(cards, 0), start)["k"].tobytes()


def _record_dtype(cards: Sequence[bytes], width: int) -> np.dtype[np.void]:
    header: dict[str, HeaderValue] = {}
    for card in cards:
        if card[8:10] == INDICATOR:
            header.setdefault(card[:8].decode("ascii").rstrip(), parse_value(card))
    columns = header.get("TFIELDS")
    if type(columns) is not int or columns > _MOST_COLUMNS:
        raise FitsError(f"the table has an impossible number of columns: TFIELDS is {columns!r}")
    fields: list[tuple[Any, ...]] = []
    taken = 0
    for number in range(1, columns + 1):
        field, size = _field(header, number)
        fields.append(field)
        taken += size
    if taken != width or not width:
        raise FitsError(f"the table's columns take {taken} bytes a row, NAXIS1 says {width}")
    try:
        return np.dtype(fields)
    except ValueError as error:
        raise FitsError(f"the table's columns can't be laid out: {error}") from None


def _field(header: Mapping[str, HeaderValue], number: int) -> tuple[tuple[Any, ...], int]:
    """Return a column as numpy declares it, and how many bytes it takes."""
    name, form = header.get(f"TTYPE{number}"), header.get(f"TFORM{number}")
    match = _TFORM.fullmatch(form.strip()) if isinstance(form, str) else None
    if match is None or not isinstance(name, str) or not name:
        raise FitsError(f"column {number} of the table ({name!r}) has the unknown format {form!r}")
    if header.get(f"TSCAL{number}", 1) != 1 or header.get(f"TZERO{number}", 0) != 0:
        raise FitsError(f"column {name!r} is scaled (TSCAL, TZERO); such files are not known")
    repeat, code = int(match[1] or 1), match[2]
    if code == "A":
        return (name, f"S{repeat}"), repeat
    kind = _NUMPY_TYPES[code]
    size = repeat * np.dtype(kind).itemsize
    return ((name, kind) if repeat == 1 else (name, kind, (repeat,))), size
