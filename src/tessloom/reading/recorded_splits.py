"""A dataset's own splits, which its card has too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.card import check_card
from tessloom.dataset.formats import existing_format
from tessloom.dataset.lock import locked
from tessloom.dataset.splits import read_splits, write_splits
from tessloom.dataset.storage import open_directory, store_failures

if TYPE_CHECKING:
    from pathlib import Path

    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.splits import Splits
    from tessloom.dataset.storage import Place


def record_splits(place: Place, splits: Splits) -> None:
    """Record which shares of the stars a dataset's splits are, in a file and on its card.

    `Catalogue.torch` and `Catalogue.to_hf` take them from there.

    Parameters
    ----------
    place
        The dataset's directory, or its URL.

    Raises
    ------
    RequestError
        There is no dataset.
    DatasetError
        It can't be written to, a build is writing to it, or its README.md is somebody's own.
    """
    root, dataset_format = _found(place)
    with store_failures(root), locked(root):
        check_card(root)
        write_splits(root, splits)
        dataset_format.publish(root)


def recorded_splits(place: Place) -> Splits:
    """Return a dataset's splits: the shares that were recorded, or else the usual ones.

    Raises
    ------
    RequestError
        There is no dataset.
    """
    root, _ = _found(place)
    with store_failures(root):
        return read_splits(root)


def _found(place: Place) -> tuple[Path, DatasetFormat]:
    root = open_directory(place)
    with store_failures(root):
        return root, existing_format(root)
