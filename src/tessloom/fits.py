"""Bytes of one light-curve file → columns and header values: the hot loop.

astropy takes 3 to 6 ms for such a file, at a cost per card and per column. The files of one
pipeline and era differ in their values and in the number of rows alone, so their *layout* is
parsed once and recognised again by comparing bytes; a file then costs a few comparisons, one
``numpy.frombuffer`` and one parse per wanted card.

Format facts are from the FITS standard 4.0 (sections 3.3, 4.2, 4.4.1 and 7.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.errors import FitsError, NotFitsError, TruncatedFitsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

__all__ = ["Decoder", "LightCurve", "check_file", "check_size", "primary_values"]

BLOCK = 2880
CARD = 80
_END = b"END" + b" " * 77
_SIMPLE = b"SIMPLE  ="
_XTENSION = b"XTENSION="
_EXTENSIONS = b"NEXTEND ="
# Cards of a table header by which two layouts are told apart; their values shape the records.
_STRUCTURAL = re.compile(rb"T(TYPE|FORM|DIM|SCAL|ZERO|NULL|UNIT|DISP)\d+ *=")
_TFORM = re.compile(r"(\d*)([LBIJKEDA])")
_NUMPY_TYPES = {
    "L": "i1",  # the letter T or F; no light-curve column has it
    "B": "u1",
    "I": ">i2",
    "J": ">i4",
    "K": ">i8",
    "E": ">f4",
    "D": ">f8",
    "A": "S",
}
_MANDATORY_TABLE_CARDS = (b"XTENSION", b"BITPIX  ", b"NAXIS   ", b"NAXIS1  ", b"NAXIS2  ")
_ROWS_CARD = 4
# The first eight bytes of every card, compared as one integer each.
_CARD_KEYWORD = np.dtype({"names": ["k"], "formats": ["<u8"], "offsets": [0], "itemsize": CARD})
# Headers vary with what a pipeline did to a star, TESS-SPOC's most: a sector has a few kinds.
_LAYOUTS_KEPT = 32

HeaderValue = str | int | float | bool | None
_Convert = type[int] | type[float]


@dataclass(frozen=True, slots=True)
class LightCurve:
    """One decoded file.

    Attributes
    ----------
    records
        Structured array of shape ``(cadences,)``, big-endian.
    values
        The wanted header values in the order they were asked for; None where the card is
        missing or has no value.
    """

    records: npt.NDArray[np.void]
    values: tuple[HeaderValue, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    """The keywords of one header, to recognise another one like it."""

    start: int
    end: int  # offset of the END card
    keywords: npt.NDArray[np.uint64]

    @classmethod
    def parse(cls, body: bytes, start: int) -> _Header:
        end = _find_end(body, start)
        return cls(start, end, _keywords(body, start, (end - start) // CARD + 1))

    def fits(self, body: bytes) -> bool:
        return body.startswith(_END, self.end) and bool(
            (_keywords(body, self.start, len(self.keywords)) == self.keywords).all()
        )


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in the files of one pipeline and era."""

    primary: _Header
    table: _Header
    primary_shape: bytes  # the primary header's structural cards
    before_rows: bytes  # the table's cards before NAXIS2
    after_rows: bytes  # and from there to its last structural card
    dtype: np.dtype[np.void]
    data: int  # offset of the records
    extensions: int  # offset of the card that promises how many there are, or -1
    wanted: tuple[tuple[int, _Convert | None], ...]  # position (-1: absent), how to read it first

    def fits(self, body: bytes) -> bool:
        start = self.table.start
        return (
            body.startswith(self.after_rows, start + (_ROWS_CARD + 1) * CARD)
            and body.startswith(self.before_rows, start)
            and body.startswith(self.primary_shape)
            and self.primary.fits(body)
            and self.table.fits(body)
        )

    def values(self, body: bytes) -> Iterator[HeaderValue]:
        for position, convert in self.wanted:
            if position < 0:
                yield None
                continue
            if convert is not None:
                try:
                    yield convert(body[position + 10 : position + CARD].partition(b"/")[0])
                    continue
                except ValueError:
                    pass
            yield _parse_value(body[position : position + CARD])


class Decoder:
    """Decodes light-curve files; remembers the layouts it has met.

    Parameters
    ----------
    wanted
        ``(hdu, keyword)`` of the header values to read; `hdu` is 0 or 1.
    """

    def __init__(self, wanted: Sequence[tuple[int, str]]) -> None:
        self._wanted = tuple((hdu, f"{keyword:<8}=".encode()) for hdu, keyword in wanted)
        self._layouts: list[_Layout] = []

    def decode(self, body: bytes) -> LightCurve:
        """Decode one file.

        Parameters
        ----------
        body
            The whole file. `LightCurve.records` may read from it and keep it alive.

        Raises
        ------
        TruncatedFitsError
            The body is shorter than its headers say.
        FitsError
            It is no FITS file with a table in HDU 1, or has a table of an unknown kind.
        """
        layout = self._layout(body)
        rows = _integer(body, layout.table.start + _ROWS_CARD * CARD)
        end_of_records = layout.data + rows * layout.dtype.itemsize
        check_size(body, _padded(end_of_records), _promised(body, layout.extensions) - 1)
        records = np.frombuffer(body, layout.dtype, rows, layout.data)
        if len(body) > 2 * records.nbytes:
            records = records.copy()  # so that a cube in the primary HDU is not kept in memory
        return LightCurve(records, tuple(layout.values(body)))

    def _layout(self, body: bytes) -> _Layout:
        for index, layout in enumerate(self._layouts):
            if layout.fits(body):
                if index:
                    self._layouts.insert(0, self._layouts.pop(index))
                return layout
        layout = _parse_layout(body, self._wanted)
        self._layouts.insert(0, layout)
        del self._layouts[_LAYOUTS_KEPT:]
        return layout


def check_size(body: bytes, offset: int = 0, hdus: int = 0) -> None:
    """Check that `body` ends where its headers say, from the HDU at `offset` on.

    Parameters
    ----------
    hdus
        How many there are at least from there on: a file may be cut off between two.

    Raises
    ------
    TruncatedFitsError
        It ends before.
    FitsError
        It goes on after, or is no FITS file.
    """
    while offset < len(body):
        offset = _next_hdu(body, offset)
        hdus -= 1
    if offset > len(body) or hdus > 0:
        raise TruncatedFitsError(
            f"the file has {len(body)} bytes, its headers say at least {offset}: it was cut off"
        )


def primary_values(body: bytes, keywords: Sequence[str]) -> tuple[HeaderValue, ...]:
    """Return values of the primary header; the body may end anywhere after it.

    Raises
    ------
    FitsError
        There is no whole primary header.
    """
    if not body.startswith(_SIMPLE):
        raise NotFitsError(_not_fits(body))
    end = _find_end(body, 0)
    positions = [_find_card(body, f"{keyword:<8}=".encode(), 0, end) for keyword in keywords]
    return tuple(
        None if position < 0 else _parse_value(body[position : position + CARD])
        for position in positions
    )


def check_file(body: bytes) -> None:
    """Check that `body` is a FITS file and whole; see `check_size`.

    Raises
    ------
    FitsError
        It is not.
    """
    if not body.startswith(_SIMPLE):
        raise NotFitsError(_not_fits(body))
    position = _find_card(body, _EXTENSIONS, 0, _find_end(body, 0))
    check_size(body, hdus=1 + _promised(body, position))


def _promised(body: bytes, position: int) -> int:
    """Return the extensions that the card at `position` promises; some files have more."""
    value = _parse_value(body[position : position + CARD]) if position >= 0 else 0
    return value if isinstance(value, int) else 0


def _not_fits(body: bytes) -> str:
    return f"this is not a FITS file: it starts with {body[:24]!r}"


def _parse_layout(body: bytes, wanted: Sequence[tuple[int, bytes]]) -> _Layout:
    if not body.startswith(_SIMPLE):
        raise NotFitsError(_not_fits(body))
    start = _next_hdu(body, 0)
    if not body.startswith(b"XTENSION= 'BINTABLE'", start):
        if start + CARD > len(body):
            raise TruncatedFitsError(f"the file ends after {len(body)} bytes, before its table")
        raise FitsError("HDU 1 is not a binary table")
    headers = (_Header.parse(body, 0), _Header.parse(body, start))
    cards = [body[at : at + CARD] for at in range(start, headers[1].end, CARD)]
    if tuple(card[:8] for card in cards[:5]) != _MANDATORY_TABLE_CARDS:
        raise FitsError("the table's header does not start with its mandatory cards")
    last = max((i for i, card in enumerate(cards) if _STRUCTURAL.match(card)), default=0)
    return _Layout(
        *headers,
        primary_shape=body[: (3 + _integer(body, 2 * CARD)) * CARD],
        before_rows=b"".join(cards[:_ROWS_CARD]),
        after_rows=b"".join(cards[_ROWS_CARD + 1 : last + 1]),
        dtype=_record_dtype(cards),
        data=_padded(headers[1].end + CARD),
        extensions=_find_card(body, _EXTENSIONS, 0, headers[0].end),
        wanted=tuple(_locate(body, headers[hdu], keyword) for hdu, keyword in wanted),
    )


def _locate(body: bytes, header: _Header, keyword: bytes) -> tuple[int, _Convert | None]:
    position = _find_card(body, keyword, header.start, header.end)
    kind = type(_parse_value(body[position : position + CARD])) if position >= 0 else None
    return position, kind if kind is int or kind is float else None


def _keywords(body: bytes, start: int, cards: int) -> npt.NDArray[np.uint64]:
    keywords: npt.NDArray[np.uint64] = np.frombuffer(body, _CARD_KEYWORD, cards, start)["k"]
    return keywords


def _record_dtype(cards: Sequence[bytes]) -> np.dtype[np.void]:
    header: dict[str, HeaderValue] = {}
    for card in cards:
        if card[8:10] == b"= ":
            header.setdefault(card[:8].decode("ascii", "replace").rstrip(), _parse_value(card))
    fields: list[tuple[Any, ...]] = []
    for n in range(1, _header_integer(header, "TFIELDS") + 1):
        name, form = header.get(f"TTYPE{n}"), header.get(f"TFORM{n}")
        match = _TFORM.fullmatch(form.strip()) if isinstance(form, str) else None
        if match is None or not isinstance(name, str):
            raise FitsError(f"column {n} of the table ({name!r}) has the unknown format {form!r}")
        if header.get(f"TSCAL{n}", 1) != 1 or header.get(f"TZERO{n}", 0) != 0:
            raise FitsError(f"column {name!r} is scaled (TSCAL, TZERO); such files are not known")
        repeat, code = int(match[1] or 1), match[2]
        if code == "A":
            fields.append((name, f"S{repeat}"))
        elif repeat == 1:
            fields.append((name, _NUMPY_TYPES[code]))
        else:
            fields.append((name, _NUMPY_TYPES[code], (repeat,)))
    try:
        dtype = np.dtype(fields)
    except ValueError as error:
        raise FitsError(f"the table's columns can't be laid out: {error}") from None
    if dtype.itemsize != _header_integer(header, "NAXIS1") or not fields:
        raise FitsError(
            f"the table's columns take {dtype.itemsize} bytes a row, NAXIS1 says {header['NAXIS1']}"
        )
    return dtype


def _header_integer(header: dict[str, HeaderValue], keyword: str) -> int:
    value = header.get(keyword)
    if not isinstance(value, int):
        raise FitsError(f"the table's header has no integer {keyword}")
    return value


def _next_hdu(body: bytes, offset: int) -> int:
    """Return the offset that follows the HDU at `offset`, padding included."""
    if not body.startswith((_SIMPLE, _XTENSION), offset):
        if _XTENSION.startswith(body[offset:]):
            raise TruncatedFitsError(f"the file ends after {len(body)} bytes, at a header's start")
        raise FitsError(
            f"{len(body) - offset} bytes follow the last HDU, and they are no further HDU"
        )
    data = _padded(_find_end(body, offset) + CARD)
    axes = _integer(body, offset + 2 * CARD)
    if axes == 0:
        return data
    size = abs(_integer(body, offset + CARD)) // 8
    for axis in range(axes):
        size *= _integer(body, offset + (3 + axis) * CARD)
    return _padded(data + size)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _find_end(body: bytes, offset: int) -> int:
    position = _find_card(body, _END, offset, len(body))
    if position < 0:
        raise TruncatedFitsError(
            f"the file ends after {len(body)} bytes, in the middle of a header"
        )
    return position


def _find_card(body: bytes, keyword: bytes, start: int, stop: int) -> int:
    """Return the position of the first card of `keyword`, or -1."""
    position = body.find(keyword, start, stop)
    while position >= 0 and (position - start) % CARD:
        position = body.find(keyword, position + 1, stop)
    return position


def _integer(body: bytes, position: int) -> int:
    """Return the value of a mandatory integer card, which has a fixed format."""
    try:
        value = int(body[position + 10 : position + 30])
    except ValueError:
        card = body[position : position + 30]
        raise FitsError(f"a mandatory card of the header is not an integer: {card!r}") from None
    if value < 0 and not body.startswith(b"BITPIX", position):
        raise FitsError(f"a size in the header is negative: {body[position : position + 30]!r}")
    return value


def _parse_value(card: bytes) -> HeaderValue:
    """Return the value of a card as astropy does, or None for a blank or unreadable one."""
    text = card[10:].lstrip()
    if text[:1] == b"'":
        return _parse_string(text)
    text = text.partition(b"/")[0].strip()
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.replace(b"D", b"E"))
    except ValueError:
        return {b"T": True, b"F": False}.get(text)


def _parse_string(text: bytes) -> str:
    position = 1
    while True:
        position = text.find(b"'", position)
        if position < 0:
            return text[1:].decode("ascii", "replace").rstrip()
        if text[position + 1 : position + 2] != b"'":  # a doubled quote is part of the string
            return text[1:position].decode("ascii", "replace").replace("''", "'").rstrip()
        position += 2
