"""What a caller asks for, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessloom.archive import TINY, Selection, read_target_ids
from tessloom.building.workers import Workers
from tessloom.dataset.formats import choose_format
from tessloom.dataset.storage import local_path
from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES, Pipeline, get_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from distributed import Client

    from tessloom.building.progress import Progress
    from tessloom.dataset._protocol import DatasetFormat


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of `tessloom.build`; its arguments are described there.

    Attributes
    ----------
    sectors
        Of each pipeline, as `dataset_format` declares it.
    workers
        Who builds.
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
    sectors: Mapping[Pipeline, Sequence[int]]
    selection: Selection
    workers: Workers
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
        identifiers = read_target_ids(local_path(targets))
    else:
        identifiers = None if targets is None else _parse_ids(targets)
    if identifiers == ():
        raise RequestError("targets names no ids")
    return Selection(limit=TINY if tiny else limit, sample=sample, targets=identifiers)


def _parse_ids(targets: Iterable[int]) -> tuple[int, ...]:
    identifiers = set(targets)
    for identifier in identifiers:
        whole = isinstance(identifier, int | np.integer) and not isinstance(identifier, bool)
        if not whole or not 0 <= identifier < 2**63:
            raise RequestError(f"{identifier!r} in targets is not an id: they are whole numbers")
    return tuple(sorted(map(int, identifiers)))


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


def parse_workers(
    number: int | None, dask: str | Client | None = None, executor: Executor | None = None
) -> Workers:
    """Check who shall build."""
    if dask is not None and executor is not None:
        raise RequestError("dask and executor exclude each other: choose one")
    if dask == "":
        raise RequestError("dask names no scheduler: give its address, such as tcp://host:8786")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise RequestError(f"{executor!r} is no executor: it has no method submit")
    if number is not None:
        number = parse_count("workers", number)
    elif executor is not None:
        raise RequestError(
            "say with workers how many tasks the executor runs at a time: they share the "
            "archive's connections"
        )
    return Workers(number=number, dask=dask, executor=executor)


def parse_folder(name: str, folder: str | os.PathLike[str] | None) -> Path | None:
    """Check a folder of this machine; `name` is for the error."""
    if folder is None:
        return None
    if "://" in os.fspath(folder) or not os.fspath(folder):
        raise RequestError(f"{name} must be a path of this machine, not {os.fspath(folder)!r}")
    return local_path(folder)


def parse_count(name: str, number: int) -> int:
    """Check a number of things; `name` is for the error."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
        raise RequestError(f"{name} must be at least 1 and a whole number, not {number!r}")
    return int(number)
