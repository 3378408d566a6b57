"""Which stars a model may learn from, and which it is judged by.

A star is in one split, in whichever sectors and pipelines it has light curves: its TIC id decides,
or its Gaia id where it has none. The numbers are made from the id alone, so that they are the same
everywhere and for ever.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessloom.errors import RequestError

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Shares of the stars, from 0 to 1; together 1.

    Attributes
    ----------
    train
        For a model to learn from.
    validation
        To choose between models by.
    test
        To judge the chosen one by.

    Raises
    ------
    RequestError
        They are negative, or not all together.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = list(asdict(self).values())
        if not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-9):  # NaN neither
            raise RequestError(f"the shares of the splits are {shares}: they must add up to 1")

    def holds(self, split: str, stars: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which of the `stars` are in a split.

        Parameters
        ----------
        split
            ``train``, ``validation`` or ``test``.
        stars
            TIC ids, of stars without one Gaia DR3 ids; shape ``(n,)``.

        Raises
        ------
        RequestError
            There is no such split.
        """
        names = self.check(split)
        # Rounded, the shares may add up to a little less than 1.
        borders = [0.0, *np.cumsum(list(asdict(self).values()))[:-1], np.inf]
        number = names.index(split)
        fractions = star_fractions(stars)
        return np.asarray((fractions >= borders[number]) & (fractions < borders[number + 1]))

    def check(self, split: str) -> list[str]:
        """Return the names of the splits.

        Raises
        ------
        RequestError
            There is no such split.
        """
        names = list(asdict(self))
        if split not in names:
            raise RequestError(f"there is no split {split!r}: choose from {', '.join(names)}")
        return names


def star_fractions(stars: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each id, as good as random, and always the same.

    It is SplitMix64 (Steele, Lea & Flood 2014), of which the upper 53 bits make a double.
    """
    mixed = stars.astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)
