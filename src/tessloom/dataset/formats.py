"""The formats that there are: by name, or as a directory has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tessloom.dataset._protocol import DatasetFormat

FORMATS = ("parquet", "hdf5")


def choose_format(
    name: str, features: Iterable[str] | None = None, *, contiguous: bool = False
) -> DatasetFormat:
    """Return a format by name.

    Parameters
    ----------
    features
        Names of the arrays of HDF5 files; see `features.choose_features`. None: the usual ones.
    contiguous
        Whether the arrays of HDF5 files are one block each, uncompressed.

    Raises
    ------
    RequestError
        There is no such format, or it has no such choice.
    """
    # Each brings its own libraries along, of which a build needs one.
    if name == "hdf5":
        from tessloom.dataset.features import DEFAULT  # noqa: PLC0415
        from tessloom.dataset.standard import StandardFormat  # noqa: PLC0415

        names = (DEFAULT,) if features is None else tuple(features)
        return StandardFormat(names, contiguous)
    if name != "parquet":
        raise RequestError(f"unknown format {name!r}: choose from {', '.join(FORMATS)}")
    if features is not None:
        raise RequestError(
            "features are chosen with format hdf5; parquet files have every column, and readers "
            "choose"
        )
    if contiguous:
        raise RequestError("contiguous arrays are of format hdf5; parquet files are compressed")
    from tessloom.dataset.hats import PARQUET  # noqa: PLC0415

    return PARQUET


def find_format(root: Path) -> DatasetFormat | None:
    """Return the format of the dataset in a directory, or None if there is none yet."""
    for name in FORMATS:
        found = choose_format(name)
        if any(found.sectors(root, pipeline) for pipeline in PIPELINES.values()):
            return found
    return None


def existing_format(root: Path) -> DatasetFormat:
    """Return the format of the dataset in a directory.

    Raises
    ------
    RequestError
        There is none.
    """
    found = find_format(root)
    if found is None:
        raise RequestError(f"there is no tessloom dataset in {root}")
    return found


def check_format(root: Path, wanted: DatasetFormat) -> None:
    """Check that a directory will not come to hold two formats.

    Raises
    ------
    RequestError
        It holds another one.
    """
    found = find_format(root)
    if found is not None and found.name != wanted.name:
        raise RequestError(
            f"{root} holds a dataset in the format {found.name}: choose another directory for one "
            f"in the format {wanted.name}"
        )
