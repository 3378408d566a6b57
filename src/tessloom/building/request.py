"""What a caller asks for, checked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.archive import TINY, Selection, read_target_ids
from tessloom.dataset.formats import choose_format
from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES, Pipeline, get_pipeline

if TYPE_CHECKING:
    from tessloom.building.progress import Progress
    from tessloom.dataset._protocol import DatasetFormat


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of `tessloom.build`; its arguments are described there.

    Attributes
    ----------
    pipelines
        As `dataset_format` declares them.
    rebuild
        Whether finished partitions are built too.
    only_failed
        Whether partitions that were never built are left alone.
    same_archive
        Whether the dataset is known to be of this archive, so that its kind need not be asked.
    log
        File to which events are logged.
    """

    root: Path
    dataset_format: DatasetFormat
    pipelines: list[Pipeline]
    sectors: list[int]
    selection: Selection
    workers: int
    progress: Progress
    keep_fits: Path | None = None
    retry_failed: bool = False
    refresh: bool = False
    rebuild: bool = False
    only_failed: bool = False
    same_archive: bool = False
    log: Path | None = None


def parse_pipelines(names: str | Iterable[str]) -> list[Pipeline]:
    """Return pipelines by name, each once."""
    given = [names] if isinstance(names, str) else list(names)
    if not given:
        raise RequestError(f"name at least one pipeline of {', '.join(PIPELINES)}")
    return list(dict.fromkeys(get_pipeline(name) for name in given))


def parse_sectors(sector: int | Iterable[int]) -> list[int]:
    """Check sectors, and return each once."""
    given: list[Any]
    given = [sector] if isinstance(sector, str) or not isinstance(sector, Iterable) else [*sector]
    if not given:
        raise RequestError("name at least one sector")
    for number in given:
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 1 <= number <= 9999:
            raise RequestError(f"{number!r} is not a sector: they are numbered from 1")
    return list(dict.fromkeys(map(int, given)))


def parse_selection(
    *,
    tiny: bool,
    limit: int | None,
    sample: int | None,
    targets: str | os.PathLike[str] | Iterable[int] | None,
) -> Selection:
    """Return the one selection that a call makes in one of several ways."""
    if tiny and (limit is not None or sample is not None or targets is not None):
        raise RequestError("tiny excludes limit, sample and targets: choose one")
    identifiers: tuple[int, ...] | None
    if isinstance(targets, str | os.PathLike):
        identifiers = read_target_ids(Path(targets))
    else:
        identifiers = None if targets is None else tuple(sorted(set(targets)))
    if identifiers == ():
        raise RequestError("targets names no ids")
    return Selection(limit=TINY if tiny else limit, sample=sample, targets=identifiers)


def parse_format(
    name: str, features: str | Iterable[str] | None, *, contiguous: bool = False
) -> DatasetFormat:
    """Return the format of the files, with the features that they shall hold."""
    return choose_format(name, parse_features(features), contiguous=contiguous)


def parse_features(features: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Return names of features, which may stand in one text with commas between them."""
    if isinstance(features, str):
        features = [part.strip() for part in features.split(",") if part.strip()]
    given = None if features is None else tuple(features)
    if given == ():
        raise RequestError("features names none; leave it out for the usual ones")
    return given


def parse_workers(number: int) -> int:
    """Check the number of workers."""
    return parse_count("workers", number)


def parse_count(name: str, number: int) -> int:
    """Check a number of things; `name` is for the error."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
        raise RequestError(f"{name} must be at least 1 and a whole number, not {number!r}")
    return int(number)
