"""How the embedded archive misbehaves on request, as the real one does on its own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Self

from tessloom.errors import RequestError

# Faults of one answer, after which the path is sound. In order of precedence: a path that several
# hit has the first of them that can apply to it.
REFUSALS = ("busy", "busy_until", "unavailable")
ALTERATIONS = ("html_once", "wrong_once", "garbled", "truncated", "unannounced")
BREAKS = ("script_cut", "reset", "cut", "stalled", "slow_body")
PASSING = (*REFUSALS, *ALTERATIONS, *BREAKS, "slow")
# What a path has to end in to have the fault; all others hit any path.
_SUFFIXES = {"wrong_once": ".fits", "garbled": ".fits", "script_cut": ".sh"}
_SECONDS = ("retry_after", "delay")
_OUTAGES = ("down", "down_s3", "down_static", "down_gateway")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which share of the archive's paths each fault hits, 0 to 1.

    A path and a fault's name alone decide whether it is hit, so every run meets the same faults.

    Faults that pass hit the first request of a path, over all mirrors, that they can hit: a
    request that an outage refuses, or a HEAD or a 404 where the body is meant, leaves them for
    the next. A path has one such fault at most, the first by the order below; then it is sound.
    A listing of the bucket is a path of its own.

    Attributes
    ----------
    busy, busy_until
        429 with ``Retry-After``: `retry_after` seconds, or the HTTP date that is so far away.
    unavailable
        503 without ``Retry-After``; the bucket's is S3's ``SlowDown``.
    html_once
        An HTML page with status 200 instead of what was asked for.
    wrong_once
        The light curve of the star before it in the script; the script's first gets the last.
    garbled
        All bits of 64 consecutive bytes of the light curve's table are inverted. The length is
        right, and an ETag is the sound file's.
    truncated
        The first half of the body, announced as such by ``Content-Length``.
    unannounced
        The first half, without ``Content-Length``: chunked and properly ended, so that nothing
        in HTTP tells.
    script_cut
        As `cut`, of a script.
    reset
        After half of the body, of which the whole length was announced, a TCP RST.
    cut
        After half of the body, of which the whole length was announced, the connection is closed.
    stalled
        After half of the body nothing comes, until the client leaves or the server stops.
    slow_body
        The body comes in ten pieces over `delay` seconds.
    slow
        The answer begins `delay` seconds later.
    missing
        A light curve is for good missing: 404, and not in the bucket's listings.
    html
        A light curve is for good a short HTML page with status 200.
    wrong
        A light curve is for good another star's, chosen as for `wrong_once`.
    corrupt
        A light curve is for good cut short in the archive itself.
    script_short
        A script ends for good in the middle of a line, with a matching ``Content-Length``.
    duplicate, nan, unlisted, unscripted
        A target is twice in script and list, without RA and Dec, absent from the list, or
        absent from the script.
    retry_after
        Seconds that a busy archive asks to wait. A date says whole seconds, rounded up.
    delay
        Seconds that a slow answer takes longer.
    down, down_s3, down_static, down_gateway
        Maintenance: all mirrors, or one, answer every request with 503 and an HTML page.
    nth
        Faults of single requests whatever their path, as (fault, number): ``("busy", 7)`` is the
        7th that the server gets, counted over all mirrors and with listings. Only faults that
        pass, and only where they can apply; it takes the place of the path's own.
    """

    busy: float = 0.0
    busy_until: float = 0.0
    unavailable: float = 0.0
    html_once: float = 0.0
    wrong_once: float = 0.0
    garbled: float = 0.0
    truncated: float = 0.0
    unannounced: float = 0.0
    script_cut: float = 0.0
    reset: float = 0.0
    cut: float = 0.0
    stalled: float = 0.0
    slow_body: float = 0.0
    slow: float = 0.0
    missing: float = 0.0
    html: float = 0.0
    wrong: float = 0.0
    corrupt: float = 0.0
    script_short: float = 0.0
    duplicate: float = 0.0
    nan: float = 0.0
    unlisted: float = 0.0
    unscripted: float = 0.0
    retry_after: float = 1.0
    delay: float = 0.5
    down: bool = False
    down_s3: bool = False
    down_static: bool = False
    down_gateway: bool = False
    nth: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        for name in _RATES:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise RequestError(f"fault {name}={value}: a rate lies between 0 and 1")
        if not (0 <= self.retry_after < float("inf") and 0 <= self.delay < float("inf")):
            raise RequestError("retry_after and delay are seconds: a number from 0 up")
        for name, number in self.nth:
            if name not in PASSING or number < 1:
                known = ", ".join(PASSING)
                raise RequestError(
                    f"fault {name}=#{number}: single requests, numbered from 1, have {known}"
                )
        if len(self.by_number) < len(self.nth):
            raise RequestError("two faults for one request: give each #NUMBER once")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read faults from a text like ``"busy=0.02,cut=#7,cut=#9,delay=2"`` or ``"down"``.

        Raises
        ------
        RequestError
            A fault is unknown or its value is no number in its range.
        """
        values: dict[str, float] = {}
        nth: list[tuple[str, int]] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            if name not in _NAMES:
                known = ", ".join(_NAMES)
                raise RequestError(f"unknown fault {name!r}: the demo archive knows {known}")
            try:
                if value.startswith("#"):
                    nth.append((name, int(value[1:])))
                else:
                    values[name] = True if part in _OUTAGES else float(value)
            except ValueError:
                raise RequestError(f"fault {part!r}: expected {name}=NUMBER or #NUMBER") from None
        return cls(**values, nth=tuple(nth))  # type: ignore[arg-type] # an outage may be 1 or 0

    @cached_property
    def by_number(self) -> Mapping[int, str]:
        """Which fault a request has because of its number."""
        return {number: name for name, number in self.nth}

    @cached_property
    def _passing(self) -> tuple[str, ...]:
        return tuple(name for name in PASSING if getattr(self, name))

    def passing(self, path: str) -> str | None:
        """Return the fault that a path's first answer has, None if it has none."""
        return next(
            (name for name in self._passing if applies(name, path) and self.hit(name, path)), None
        )

    def outage(self, mirror: str) -> bool:
        """Return whether maintenance keeps a mirror, ``"s3"`` or another, from answering."""
        return bool(self.down or getattr(self, f"down_{mirror}"))

    def hit(self, fault: str, path: str) -> bool:
        """Return whether a fault's rate hits a path, whatever other faults do."""
        rate = float(getattr(self, fault))
        return rate > 0 and place(fault, path) < rate


_NAMES = tuple(field.name for field in fields(Faults) if field.name != "nth")
_RATES = tuple(name for name in _NAMES if name not in (*_SECONDS, *_OUTAGES))


def applies(fault: str, path: str) -> bool:
    """Return whether a fault that passes can hit what a path names."""
    return path.endswith(_SUFFIXES.get(fault, ""))


def place(fault: str, path: str) -> float:
    """Return a number from 0 to 1 that a fault's name and a path alone decide."""
    digest = hashlib.blake2b(f"{fault} {path}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
