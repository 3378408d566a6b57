"""Which targets of a sector are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessloom.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

TINY = 100


@dataclass(frozen=True, kw_only=True)
class Selection:
    """All targets of a sector, or some of them; at most one attribute is set.

    Attributes
    ----------
    limit
        The first so many of the download script.
    sample
        So many, spread over the whole sector by a hash of the id. A larger sample contains
        every smaller one.
    targets
        These ids (TIC ids; for TGLC also Gaia DR3 ids), sorted.
    """

    limit: int | None = None
    sample: int | None = None
    targets: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("limit", "sample", "targets") if getattr(self, name) is not None]
        if len(given) > 1:
            raise RequestError(f"{' and '.join(given)} exclude each other: choose one")
        for name in ("limit", "sample"):
            number = getattr(self, name)
            whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
            if number is not None and not (whole and number >= 1):
                raise RequestError(f"{name} must be at least 1 and a whole number, not {number!r}")

    @property
    def most(self) -> int | None:
        """How many targets of a sector it has at most; None: nobody knows."""
        if self.targets is not None:
            return len(self.targets)
        return self.limit if self.sample is None else self.sample

    def key(self) -> str:
        """Return a short text that is the same for the same selection."""
        if self.limit is not None:
            return f"limit={self.limit}"
        if self.sample is not None:
            return f"sample={self.sample}"
        if self.targets is not None:
            digest = hashlib.sha256(repr(self.targets).encode()).hexdigest()
            return f"targets={digest}"
        return "all"

    def by_number(self, identifiers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the positions that `limit` or `sample` chooses, in ascending order.

        Parameters
        ----------
        identifiers
            Ids of shape ``(n,)`` in the order of the script.
        """
        if self.sample is not None and self.sample < len(identifiers):
            chosen = np.argpartition(_hash(identifiers), self.sample - 1)[: self.sample]
            return np.sort(chosen)
        return np.arange(len(identifiers))[: self.limit]


def read_target_ids(path: Path) -> tuple[int, ...]:
    """Read a file of ids: the first word of each line; ``#`` starts a comment.

    A header before the first id, and further columns separated by commas or blanks, are allowed.

    Raises
    ------
    RequestError
        The file can't be read, holds no id, or a line does not start with one.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"can't read the ids in {path}: {error}") from None
    identifiers: set[int] = set()
    headers = 0
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if words[0].isdecimal() and int(words[0]) < 2**63:
            identifiers.add(int(words[0]))
        elif identifiers or headers:
            raise RequestError(f"{path}, line {number}: {words[0]!r} is not an id")
        else:
            headers += 1
    if not identifiers:
        raise RequestError(f"{path} holds no ids: one to a line is expected")
    return tuple(sorted(identifiers))


def _hash(identifiers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Mix the ids so that neighbours on the sky go apart (splitmix64's finaliser)."""
    mixed = identifiers.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
