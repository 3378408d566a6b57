"""A body that comes in over several requests: each takes it up where the last one broke off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tessloom.archive.client import PARTIAL, Fault

if TYPE_CHECKING:
    import aiohttp

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", re.ASCII)
_BEYOND_THE_END = 416


class PartialBody:
    """How much of a body has come in, over several requests."""

    def __init__(self, *, lines: bool) -> None:
        # What does not end in a line feed is doubted, once.
        self._doubtful = lines
        self._last = b"\n"
        self.done = 0
        self.whole = False
        self._length: int | None = None
        self._tag: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest."""
        if not self.done:
            return {}
        # Should the file have changed meanwhile, the whole of the new one is sent. A weak tag does
        # not stand for the same bytes.
        strong = self._tag is not None and not self._tag.startswith("W/")
        tag = {"If-Range": self._tag} if strong and self._tag else {}
        return {"Range": f"bytes={self.done}-"} | tag

    def begin(self, response: aiohttp.ClientResponse) -> int:
        """Take note of an answer; return how many of its bytes are known already."""
        start, length = 0, response.content_length
        if response.status == PARTIAL:
            start, length = _part(response)
            if start != self.done:
                raise Fault("another part of the file was sent than was asked for")
        tag = response.headers.get("ETag")
        if self.done and (_differ(length, self._length) or _differ(tag, self._tag)):
            raise Fault(
                "the file changed while it was read: run the same command again", final=True
            )
        self._length, self._tag = length, tag
        return self.done - start

    def take(self, piece: bytes) -> None:
        """Take note of a piece."""
        self.done += len(piece)
        self._last = piece[-1:]

    def has_no_rest(self, response: aiohttp.ClientResponse) -> bool:
        """Return whether the answer is that the body has ended where it was doubted."""
        ended = response.status == _BEYOND_THE_END and self.done > 0 and not self._doubtful
        self.whole = self.whole or ended
        return ended

    def end(self) -> None:
        """Check that nothing is lacking."""
        if self._length is not None and self.done < self._length:
            raise Fault(f"the body ended after {self.done} of {self._length} bytes", overload=True)
        if self._doubtful and self._last != b"\n":
            self._doubtful, self._length = False, None
        else:
            self.whole = True


def _differ(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other


def _part(response: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """Return where the part begins that was sent, and the length of the whole (RFC 9110, 14.4)."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None:
        return -1, None
    return int(match[1]), int(match[2]) if match[2] != "*" else None
