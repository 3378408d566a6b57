"""Lines of a text that comes in pieces: whole ones, many at a time, none of them endless."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tessloom.archive.findings import EXAMPLES_KEPT

# No line of a script or list is near this; an endless one must not fill the memory.
LONGEST_LINE = 64 * 1024


class LineBlocks:
    """Turns pieces of any size into blocks of whole lines.

    Parameters
    ----------
    size
        Bytes that a block should have at least; 0: whatever lines are complete.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pieces: list[bytes] = []
        self._pending = 0

    def feed(self, piece: bytes) -> bytes:
        """Return the lines that are complete now, each with its line feed, or nothing yet.

        A line longer than `LONGEST_LINE` may come without some of its end.
        """
        self._pieces.append(piece)
        self._pending += len(piece)
        endless = self._pending > max(self._size, 2 * LONGEST_LINE)
        if not endless and (self._pending < self._size or b"\n" not in piece):
            return b""
        complete, line_feed, rest = b"".join(self._pieces).rpartition(b"\n")
        # One byte too many still tells that it is too long.
        self._keep(rest[: LONGEST_LINE + 1])
        return complete + line_feed

    def close(self) -> tuple[bytes, bytes]:
        """Return the complete lines that are left, and what stands after the last line feed."""
        complete, line_feed, rest = b"".join(self._pieces).rpartition(b"\n")
        self._keep(b"")
        return complete + line_feed, rest[: LONGEST_LINE + 1]

    def _keep(self, rest: bytes) -> None:
        self._pieces = [rest]
        self._pending = len(rest)


def split_lines(block: bytes) -> pa.BinaryArray:
    """Return the lines of a block, each with its line feed; nothing is copied.

    Parameters
    ----------
    block
        Less than 2 GiB, ending with a line feed.
    """
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)]
    )


def first_texts(lines: pa.BinaryArray) -> list[str]:
    """Return the first few lines as text, for people to look at."""
    return [
        line.rstrip(b"\r\n").decode("ascii", "replace")
        for line in lines[:EXAMPLES_KEPT].to_pylist()
    ]
