"""How the embedded archive misbehaves on request, as the real one does on its own."""

import hashlib
from dataclasses import dataclass, fields
from typing import Self

from tessloom.errors import RequestError

_SETTINGS = ("retry_after", "delay", "down")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which share of the archive's paths each fault hits, 0 to 1.

    A path and a fault's name alone decide whether it is hit, so every run meets the same faults.

    Attributes
    ----------
    busy, unavailable
        Of any path, the first request is answered with 429 and ``Retry-After``, or with 503.
    cut, truncated
        The first answer is broken off in its middle, or is shorter and announced as such.
    slow
        The first answer takes `delay` seconds longer.
    missing, html, corrupt, wrong
        A light curve is for good missing (404), an HTML page with status 200, cut short in the
        archive itself, or another star's file.
    duplicate, nan, unlisted, unscripted
        A target is twice in script and list, without RA and Dec, absent from the list, or
        absent from the script.
    retry_after
        Seconds that a busy archive asks to wait.
    delay
        Seconds that a slow answer takes longer.
    down
        Every request is answered with 503.
    """

    busy: float = 0.0
    unavailable: float = 0.0
    cut: float = 0.0
    truncated: float = 0.0
    slow: float = 0.0
    missing: float = 0.0
    html: float = 0.0
    corrupt: float = 0.0
    wrong: float = 0.0
    duplicate: float = 0.0
    nan: float = 0.0
    unlisted: float = 0.0
    unscripted: float = 0.0
    retry_after: float = 1.0
    delay: float = 0.5
    down: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in _SETTINGS and not 0 <= value <= 1:
                raise RequestError(f"fault {field.name}={value}: a rate lies between 0 and 1")
        if not (0 <= self.retry_after < float("inf") and 0 <= self.delay < float("inf")):
            raise RequestError("retry_after and delay are seconds: a number from 0 up")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read faults from a text like ``"busy=0.02,missing=0.01"`` or ``"down"``.

        Raises
        ------
        RequestError
            A fault is unknown or its value is no number in its range.
        """
        values: dict[str, float | bool] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            if name not in cls.__dataclass_fields__:
                known = ", ".join(cls.__dataclass_fields__)
                raise RequestError(f"unknown fault {name!r}: the demo archive knows {known}")
            try:
                values[name] = part == "down" or float(value)
            except ValueError:
                raise RequestError(f"fault {part!r}: expected {name}=NUMBER") from None
        return cls(**values)  # type: ignore[arg-type] # names and values are checked above

    def hit(self, fault: str, path: str) -> bool:
        """Return whether a fault hits a path."""
        digest = hashlib.blake2b(f"{fault} {path}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < float(getattr(self, fault)) * 2**64

    def first(self, path: str, *names: str) -> str | None:
        """Return the first of the named faults that hits a path."""
        return next((name for name in names if self.hit(name, path)), None)
