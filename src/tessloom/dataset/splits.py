"""Which stars a model may learn from, and which it is judged by.

A star is in one split, in whichever sectors and pipelines it has light curves: its TIC id decides,
or its Gaia id where it has none. The numbers are made from the id alone, so that they are the same
everywhere and for ever. A dataset whose shares are not the usual ones has them in a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from tessloom.dataset.layout import CARD, write_text
from tessloom.dataset.opening import bytes_from_start
from tessloom.errors import DatasetError, RequestError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

_ROUNDING = 1e-9
_WRITTEN = 1e-6  # a third has an end when people write it
_ON_THE_CARD = re.compile(
    r"^splits = tessloom\.Splits\(train=([0-9.e-]+), validation=([0-9.e-]+), test=([0-9.e-]+)\)$",
    re.MULTILINE,
)
SPLITS_FILE = "splits.json"
_RULE = (
    "By the star's TIC id, or its Gaia DR3 id where it has none: SplitMix64, of which the upper 53 "
    "bits give a number from 0 to 1. The shares of that range belong to the splits in this order."
)


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
        if not (min(shares) >= 0 and abs(sum(shares) - 1) < _ROUNDING):  # NaN neither
            raise RequestError(f"the shares of the splits are {shares}: they must add up to 1")

    @classmethod
    def parse(cls, shares: str) -> Self:
        """Return splits from text such as ``80/10/10`` or ``0.7/0.2/0.1``.

        Raises
        ------
        RequestError
            These are no three numbers that add up to 1, or 100.
        """
        try:
            train, validation, test = (float(share) for share in shares.split("/"))
        except ValueError:
            raise RequestError(
                f"the splits {shares!r} are not train/validation/test, such as 80/10/10"
            ) from None
        total = train + validation + test
        whole = 100.0 if abs(total - 100) < 1 else 1.0
        if _ROUNDING < abs(total / whole - 1) < _WRITTEN:
            whole = total
        return cls(train=train / whole, validation=validation / whole, test=test / whole)

    def __str__(self) -> str:
        return "/".join(f"{100 * share:.10g}" for share in asdict(self).values())

    def borders(self) -> tuple[float, float]:
        """Return the number below which a star is in ``train``, and in ``validation`` if not."""
        return self.train, self.train + self.validation

    def holds(self, split: str, stars: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which of the stars are in a split.

        Parameters
        ----------
        split
            ``train``, ``validation`` or ``test``.
        stars
            TIC ids, and Gaia DR3 ids of stars without one; whole numbers, as numpy has them, Arrow
            or a list; shape ``(n,)``.

        Raises
        ------
        RequestError
            There is no such split, or these are no ids. Where some are missing numpy and pandas
            have floats, which can't hold a Gaia id.
        """
        number = self.check(split).index(split)
        # Rounded, the shares may add up to a little less than 1.
        borders = [0.0, *self.borders(), np.inf]
        ids = np.asarray(stars)
        if ids.dtype.kind not in "iu":
            raise RequestError(
                f"stars are of type {ids.dtype}: give whole ids, the Gaia id of a star without a "
                "TIC id, such as pyarrow.compute.coalesce(tic_id, gaia_dr3_id) has them"
            )
        fractions = star_fractions(ids)
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


def read_splits(root: Path) -> Splits:
    """Return the splits of a dataset: those that were recorded, or else the usual ones.

    Raises
    ------
    DatasetError
        The file in which they are is damaged, or the store does not give it.
    """
    path = root / SPLITS_FILE
    try:
        with bytes_from_start(path) as file:
            shares = json.loads(file.read())["shares"]
        return Splits(**shares)
    except FileNotFoundError:
        return _splits_of_card(root)
    except (KeyError, TypeError, ValueError, RequestError) as error:
        raise DatasetError(
            f"{path} is damaged ({error}): record the splits again, as the card has them: "
            f"tessloom splits {root} TRAIN/VALIDATION/TEST"
        ) from error


def _splits_of_card(root: Path) -> Splits:
    """Return the splits that the card tells: if the file is lost, they stand there."""
    try:
        with bytes_from_start(root / CARD) as card:
            match = _ON_THE_CARD.search(card.read().decode("utf-8", "replace"))
    except FileNotFoundError:
        match = None
    if match is None:
        return Splits()
    train, validation, test = map(float, match.groups())
    return Splits(train=train, validation=validation, test=test)


def write_splits(root: Path, splits: Splits) -> None:
    """Write the splits of a dataset into its file."""
    content = {"rule": _RULE, "shares": asdict(splits)}
    write_text(root / SPLITS_FILE, json.dumps(content, indent=1) + "\n")
