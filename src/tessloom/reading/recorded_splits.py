"""A dataset's own splits, which its card has too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.formats import find_format
from tessloom.dataset.lock import locked
from tessloom.dataset.splits import write_splits
from tessloom.dataset.storage import open_directory, store_failures
from tessloom.errors import DatasetError

if TYPE_CHECKING:
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
    DatasetError
        There is no dataset, it can't be written to, or a build is writing to it.
    """
    root = open_directory(place)
    with store_failures(root):
        dataset_format = find_format(root)
    if dataset_format is None:
        raise DatasetError(f"there is no dataset in {root}: build it before")
    with locked(root):
        write_splits(root, splits)
        dataset_format.publish(root)
