"""Whole files: whether all HDUs are there, and whether their check sums agree.

Format facts are from the FITS standard 4.0, sections 3.3, 4.4.1 and 4.4.2.7 and appendix J.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessloom.errors import CorruptFitsError, FitsError, NotFitsError, TruncatedFitsError
from tessloom.fits.cards import (
    CARD,
    LARGEST_SIZE,
    find_card,
    find_end,
    mandatory_integer,
    padded,
    value_at,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessloom.fits.cards import HeaderValue

EXTENSIONS = b"NEXTEND "
CHECKSUM = b"CHECKSUM"
_SIMPLE = b"SIMPLE  ="
_XTENSION = b"XTENSION="
_ELEMENT_BITS = {8, 16, 32, 64, -32, -64}
_MOST_AXES = 999
_ALL_ONES = 0xFFFFFFFF
# What numpy widens at a time; as many as it takes by itself push the words out of the cache.
_WORDS_AT_A_TIME = 1024


def check_file(body: bytes) -> None:
    """Check that `body` is a FITS file, whole and undamaged; see `check_size` and `check_sum`.

    Raises
    ------
    FitsError
        It is not.
    """
    check_start(body)
    position = find_card(body, EXTENSIONS, 0, find_end(body, 0))
    check_size(body, hdus=1 + promised(body, position))
    start = 0
    while start < len(body):
        stop = next_hdu(body, start)
        check_sum(body, start, stop, find_card(body, CHECKSUM, start, find_end(body, start)))
        start = stop


def check_start(body: bytes) -> None:
    """Check that `body` starts as FITS files do.

    Raises
    ------
    NotFitsError
        It does not.
    """
    if not body.startswith(_SIMPLE):
        raise NotFitsError(f"this is not a FITS file: it starts with {body[:24]!r}")


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
        offset = next_hdu(body, offset)
        hdus -= 1
    if offset > len(body) or hdus > 0:
        raise TruncatedFitsError(
            f"the file has {len(body)} bytes, its headers say at least {offset}: it was cut off"
        )


def check_sum(body: bytes, start: int, stop: int, position: int) -> None:
    """Check the HDU in ``body[start:stop]`` against the CHECKSUM card at `position`.

    An HDU without the card (-1), or where it is blank or all zeros, has no check sum. Else the
    ones' complement sum of its big-endian 32-bit words, the card's own included, is all ones.

    Raises
    ------
    CorruptFitsError
        It is not.
    """
    if position < 0 or not body[position + 10 : position + CARD].partition(b"/")[0].strip(b" '0"):
        return
    words = np.frombuffer(body, ">u4", (stop - start) // 4, start)
    usual = np.setbufsize(_WORDS_AT_A_TIME)
    try:
        total = int(np.add.reduce(words, dtype=np.uint64))
    finally:
        np.setbufsize(usual)
    # To carry round from bit 32 to bit 0, as ones' complement does, is to reckon modulo 2^32 - 1.
    if total % _ALL_ONES:
        raise CorruptFitsError(
            f"the bytes {start} to {stop} do not agree with their CHECKSUM: the file was damaged"
        )


def primary_values(body: bytes, keywords: Sequence[str]) -> tuple[HeaderValue, ...]:
    """Return values of the primary header; the body may end anywhere after it.

    Raises
    ------
    FitsError
        There is no whole primary header.
    """
    check_start(body)
    end = find_end(body, 0)
    return tuple(
        value_at(body, find_card(body, f"{keyword:<8}".encode(), 0, end)) for keyword in keywords
    )


def promised(body: bytes, position: int) -> int:
    """Return the extensions that the card at `position` promises; some files have more."""
    value = value_at(body, position)
    return value if isinstance(value, int) else 0


def next_hdu(body: bytes, offset: int) -> int:
    """Return the offset that follows the HDU at `offset`, padding included.

    Raises
    ------
    FitsError
        There is no HDU, or its size is impossible.
    """
    if not body.startswith((_SIMPLE, _XTENSION), offset):
        if _XTENSION.startswith(body[offset : offset + len(_XTENSION)]):
            raise TruncatedFitsError(f"the file ends after {len(body)} bytes, at a header's start")
        raise FitsError(
            f"{len(body) - offset} bytes follow the last HDU, and they are no further HDU"
        )
    data = padded(find_end(body, offset) + CARD)
    bits = mandatory_integer(body, offset + CARD, b"BITPIX  = ")
    axes = mandatory_integer(body, offset + 2 * CARD, b"NAXIS   = ")
    if bits not in _ELEMENT_BITS or axes > _MOST_AXES:
        raise FitsError(f"the header has the impossible BITPIX {bits} or NAXIS {axes}")
    size = abs(bits) // 8 if axes else 0
    for axis in range(axes):
        length = mandatory_integer(body, offset + (3 + axis) * CARD, b"NAXIS%-3d= " % (axis + 1))
        size = min(size * length, LARGEST_SIZE)
    return padded(data + size)
