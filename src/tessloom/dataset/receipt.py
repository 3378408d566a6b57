"""What a partition's file says of itself, in its own footer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tessloom.dataset.opening import damaged, parquet_file
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tessloom.errors import TargetError

KEY = b"tessloom"
# Raised when files of an older tessloom can no longer stand beside new ones.
LAYOUT = 1


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One target that could not be had, and why.

    Attributes
    ----------
    id, camera, ccd
        As the file's name says; camera and CCD are 0 where it does not.
    path
        Of the file, relative to the archive's root; empty where there is none.
    reason
        `TargetError.reason`: the kind of failure.
    detail
        The same in a sentence.
    """

    id: int
    camera: int
    ccd: int
    path: str
    reason: str
    detail: str

    @classmethod
    def of(cls, target: Mapping[str, Any], path: str, error: TargetError) -> Self:
        """Return the failure of a listing's target."""
        return cls(
            id=target["id"],
            camera=target["camera"],
            ccd=target["ccd"],
            path=path,
            reason=error.reason,
            detail=str(error),
        )


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was asked for in one partition and what became of it.

    Attributes
    ----------
    digest
        Of the targets that were asked for: equal digests mean equal requests.
    asked, written
        Numbers of light curves.
    moved
        Of those written, how many lie in another pixel, or beyond a neighbour, by their header
        than by the target list; their ``_healpix_29`` is the list's.
    unknown_columns
        FITS columns that the pipeline's declaration does not know, and in how many files they
        were. Their values are not in the dataset.
    synthetic
        Whether any file says that it is based on simulated data (``SIMDATA``).
    features
        Names of the features that HDF5 was asked to hold; a file may lack optional ones.
    contiguous
        Whether the arrays of HDF5 are contiguous rather than compressed.
    checksum
        ``crc32:`` and 8 hexadecimal digits: of all bytes of the file, with hyphens in place of
        these digits. The writer adds it.
    """

    pipeline: str
    sector: int
    pixel: int
    digest: str
    asked: int
    written: int
    failures: tuple[Failure, ...] = ()
    moved: int = 0
    unknown_columns: dict[str, int] = field(default_factory=dict)
    synthetic: bool = False
    software: str = ""
    features: tuple[str, ...] = ()
    contiguous: bool = False
    checksum: str = ""
    layout: int = LAYOUT

    def to_metadata(self) -> dict[bytes, bytes]:
        """Return the receipt as key-value metadata of a Parquet file's footer."""
        return {KEY: self.to_json().encode()}

    def to_json(self) -> str:
        """Return the receipt as it stands in a file."""
        return json.dumps(asdict(self), sort_keys=True)


def read_receipt(path: Path) -> Receipt:
    """Read the receipt from a Parquet partition's footer.

    Raises
    ------
    DatasetError
        The file is damaged, has no receipt, or has one of another layout.
    """
    with parquet_file(path) as file:
        metadata = file.metadata.metadata or {}
    return parse_receipt(metadata, path)


def parse_receipt(metadata: Mapping[Any, str | bytes], path: Path, key: Any = KEY) -> Receipt:
    """Return the receipt among a file's metadata; `path` is for errors.

    Raises
    ------
    DatasetError
        There is none, a damaged one, or one of another layout.
    """
    if key not in metadata:
        raise DatasetError(
            f"{path} was not written by tessloom: choose another directory, or move the file away"
        )
    try:
        content: dict[str, Any] = json.loads(metadata[key])
        if content["layout"] == LAYOUT:
            failures = tuple(Failure(**failure) for failure in content.pop("failures"))
            features = tuple(content.pop("features", ()))
            return Receipt(failures=failures, features=features, **content)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    raise DatasetError(
        f"{path} has layout {content['layout']}, this tessloom writes {LAYOUT}: "
        "use the version that wrote it, or build into another directory"
    )
