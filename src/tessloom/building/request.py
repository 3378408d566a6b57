"""What a caller asks for, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.archive import TINY, Selection, read_target_ids
from tessloom.building.workers import Workers
from tessloom.dataset.formats import choose_format
from tessloom.dataset.storage import local_path
from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES, Pipeline, get_pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from distributed import Client

    from tessloom.building.progress import Progress
    from tessloom.dataset._protocol import DatasetFormat

LAST_SECTOR = 9999
_SPAN = re.compile(r"(\d{1,4})(\s*-\s*(\d{1,4})?)?")


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


@dataclass(frozen=True)
class Sectors:
    """Which sectors a call asks for.

    Attributes
    ----------
    single
        Those that it names, and that must be there.
    spans
        First and last of ranges, of which those are taken that are there.
    """

    single: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()

    def among(self, known: Iterable[int]) -> list[int]:
        """Return what is asked for of the sectors that are there; those named in any case."""
        if not self.spans:
            return [*self.single]
        there = {n for n in known if any(first <= n <= last for first, last in self.spans)}
        return sorted(there | set(self.single))

    def lacking(self, known: Iterable[int]) -> list[int]:
        """Return what ranges ask for and is not there; nothing of one without an end."""
        asked = {
            number
            for first, last in self.spans
            if last < LAST_SECTOR
            for number in range(first, last + 1)
        }
        return sorted(asked - set(known) - set(self.single))


def parse_sectors(sector: int | str | Iterable[int | str]) -> Sectors:
    """Check sectors: numbers, ranges such as ``"1-26"`` or ``"27-"``, ``"all"``."""
    given: list[Any]
    given = [sector] if isinstance(sector, str) or not isinstance(sector, Iterable) else [*sector]
    parts: list[Any] = []
    for item in given:
        parts += item.split(",") if isinstance(item, str) else [item]
    if not parts:
        raise RequestError("name at least one sector")
    spans = [_parse_span(part) for part in parts]
    single = dict.fromkeys(first for first, last in spans if first == last)
    return Sectors((*single,), tuple(span for span in spans if span[0] != span[1]))


def _parse_span(part: Any) -> tuple[int, int]:
    """Return the first and the last sector of a range, which may be the same."""
    first, last = part, part
    if isinstance(part, str):
        text = part.strip().lower()
        match = _SPAN.fullmatch(f"1-{LAST_SECTOR}" if text == "all" else text)
        if match is None:
            raise RequestError(
                f"{part!r} is not a sector: give a number, a range such as 1-26 or 27-, or all"
            )
        first = int(match[1])
        last = int(match[3] or LAST_SECTOR) if match[2] else first
    for number in (first, last):
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 1 <= number <= LAST_SECTOR:
            raise RequestError(f"{number!r} is not a sector: they are numbered from 1")
    if first > last:
        raise RequestError(f"the range of sectors {part!r} ends before it begins")
    return int(first), int(last)


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
