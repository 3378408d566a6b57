"""FITS headers as texts that look like them, with named gaps to fill.

The texts in ``layouts/`` keep the keywords, order, comments and units of the archive's files.
They are the one place where a demo file's layout is declared: the table's columns are read
from them too.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_BLOCK = 2880
_CARD = 80
_TYPES = {"D": ">f8", "E": ">f4", "J": ">i4", "I": ">i2"}


@dataclass(frozen=True)
class _Card:
    """One line of the text: formats of keyword, value and comment."""

    keyword: str
    value: str
    comment: str

    @classmethod
    def parse(cls, line: str) -> Self:
        keyword, _, rest = line.partition("=")
        value, _, comment = rest.partition(" / ")
        return cls(f"{keyword:8}=", value.strip(), comment and f" / {comment}")

    def render(self, values: Mapping[str, Any]) -> bytes:
        value = self.value.format_map(values)
        if value.startswith("'"):
            value = f"'{value[1:-1]:8}'".ljust(20)  # a FITS string has 8 characters at least
        text = f"{self.keyword} {value:>20}{self.comment}"
        if "{" in text:
            text = text.format_map(values)
        return text.ljust(_CARD)[:_CARD].encode("ascii")


class Header:
    """One header: its constant bytes, and the cards that depend on the file.

    Parameters
    ----------
    lines
        The header's cards as in ``layouts/``, the last one being ``END``.
    """

    def __init__(self, lines: list[str]) -> None:
        size = -(-len(lines) * _CARD // _BLOCK) * _BLOCK
        self._fixed = bytearray(b" " * size)
        self._open: list[tuple[int, _Card]] = []
        self._checksum_at: int | None = None
        self.columns: list[tuple[str, str]] = []
        for offset, line in zip(range(0, size, _CARD), lines, strict=False):
            self._place(offset, line)

    def _place(self, offset: int, line: str) -> None:
        if line == "END" or line.startswith("COMMENT "):
            self._fixed[offset : offset + _CARD] = line.ljust(_CARD).encode("ascii")
            return
        card = _Card.parse(line)
        if card.keyword == "CHECKSUM=":
            self._checksum_at = offset + 11
        if card.keyword.startswith("TTYPE"):
            self.columns.append((card.value.strip("'"), ""))
        if card.keyword.startswith("TFORM"):
            self.columns[-1] = (self.columns[-1][0], _TYPES[card.value.strip("'")])
        if "{" in line:
            self._open.append((offset, card))
        else:
            self._fixed[offset : offset + _CARD] = card.render({})

    def fill(self, values: Mapping[str, Any], data: bytes = b"") -> bytearray:
        """Return header and data as whole blocks, with a ``CHECKSUM`` where there is one."""
        header = self._fixed.copy()
        for offset, card in self._open:
            header[offset : offset + _CARD] = card.render(values)
        unit = header + data + bytes(-len(data) % _BLOCK)
        if self._checksum_at is not None:
            unit[self._checksum_at : self._checksum_at + 16] = _checksum(unit)
        return unit


@dataclass(frozen=True)
class Layout:
    """The headers of one kind of file, and the columns of its table in HDU 1."""

    headers: tuple[Header, ...]
    dtype: np.dtype[np.void]

    def file(self, values: Mapping[str, Any], table: npt.NDArray[np.void], *images: bytes) -> bytes:
        """Return a whole FITS file.

        Parameters
        ----------
        values
            What the gaps of the headers are filled with.
        table
            The light curve, of type `dtype`.
        images
            The data of the HDUs that follow, big-endian.
        """
        parts = (b"", table.tobytes(), *images)
        return b"".join(
            header.fill(values, data) for header, data in zip(self.headers, parts, strict=True)
        )


@functools.cache
def load_layout(name: str) -> Layout:
    """Return the layout in ``layouts/<name>.txt``."""
    text = resources.files(__package__).joinpath("layouts", f"{name}.txt").read_text("ascii")
    units = [f"{unit}\nEND".split("\n") for unit in text.split("\nEND\n")[:-1]]
    headers = tuple(Header(lines) for lines in units)
    return Layout(headers, np.dtype(headers[1].columns))


def _checksum(unit: bytearray) -> bytes:
    """Return the value that makes the unit's ones' complement sum zero (FITS 4.0, appendix J)."""
    total = int(np.frombuffer(unit, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    columns = [_encode_byte(byte) for byte in (0xFFFFFFFF - total).to_bytes(4, "big")]
    text = bytes(column[row] for row in range(4) for column in columns)
    return text[-1:] + text[:-1]  # the value starts one byte before a 4-byte boundary


@functools.cache
def _encode_byte(byte: int) -> list[int]:
    """Return four letters or digits that add up to the byte, counted from ``0`` each."""
    quarter, rest = divmod(byte, 4)
    letters = [quarter + rest + 48, quarter + 48, quarter + 48, quarter + 48]
    while not all(chr(letter).isalnum() for letter in letters):
        for pair in (0, 2):
            if not (chr(letters[pair]).isalnum() and chr(letters[pair + 1]).isalnum()):
                letters[pair] += 1
                letters[pair + 1] -= 1
    return letters
