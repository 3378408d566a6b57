"""The check sum of a partition's file, which stands in the file's own receipt.

It is CRC-32: it notices what disks and networks do to bytes, and costs a fifth of what SHA-256
does. Files are read, not mapped: a disk that fails in a mapped file ends the process.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tessloom.dataset.opening import bytes_from_start
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_PIECE = 1 << 18  # fits into a processor's cache
# What stands in a file while it is summed, in place of its check sum.
BLANK = "crc32:--------"
# As a receipt has it. In the texts inside a receipt quotation marks are escaped.
_ENTRY = '"checksum": "{}"'


def seal(path: Path) -> str:
    """Put the check sum of a file in place of the `BLANK` in its receipt, and return it.

    The file is read back, from the system's cache.

    Raises
    ------
    OSError
        The disk does not take or give it.
    """
    with path.open("r+b", buffering=0) as file:
        entry = _ENTRY.format(BLANK).encode()
        position = _find_last(file, entry)
        if position is None:
            raise DatasetError(f"{path} has no place for its check sum")
        checksum = _text(_sum(file, 0, None, 0))
        file.seek(position)
        file.write(_ENTRY.format(checksum).encode())
    return checksum


def is_intact(path: Path, checksum: str) -> bool:
    """Return whether every byte of a file is as it was sealed.

    Parameters
    ----------
    checksum
        What the file's receipt has.

    Raises
    ------
    OSError
        The disk does not give the file.
    """
    with bytes_from_start(path) as file:
        entry = _ENTRY.format(checksum).encode()
        position = _find_last(file, entry)
        if position is None:
            return False
        value = _sum(file, 0, position, 0)
        value = zlib.crc32(_ENTRY.format(BLANK).encode(), value)
        return _text(_sum(file, position + len(entry), None, value)) == checksum


def _text(value: int) -> str:
    return f"crc32:{value:08x}"


def _sum(file: BinaryIO, start: int, stop: int | None, value: int) -> int:
    """Go on with a check sum over a part of a file."""
    file.seek(start)
    piece = memoryview(bytearray(_PIECE))
    left = stop - start if stop is not None else None
    while left != 0:
        count = file.readinto(piece[:left])  # type: ignore[attr-defined]
        if not count:
            break
        value = zlib.crc32(piece[:count], value)
        left = left - count if left is not None else None
    return value


def _find_last(file: BinaryIO, text: bytes) -> int | None:
    """Return the last place of a text; it is near the end."""
    stop = file.seek(0, 2)
    while stop > 0:
        start = max(0, stop - _PIECE)
        file.seek(start)
        # A text may lie across the border to the piece behind.
        found = file.read(stop - start + len(text) - 1).rfind(text)
        if found >= 0:
            return start + found
        stop = start
    return None
