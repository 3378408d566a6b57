"""Whether a sector's files hold what its listing asks for, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tessloom.dataset.verification import Missing, Problem
from tessloom.healpix import coarser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from tessloom.dataset.partition_checks import CheckedFile, Key
    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline

_NAMED = 5


def targets_by_pixel(pipeline: Pipeline, targets: pa.Table) -> dict[int, pa.Table]:
    """Return the targets of a listing that have a position, by pixel."""
    placed = targets.filter(pc.is_null(targets["reason"]))
    pixels = coarser(placed["healpix_29"].to_numpy(), pipeline.healpix_order)
    order = np.argsort(pixels, kind="stable")
    found, starts = np.unique(pixels[order], return_index=True)
    placed = placed.take(pa.array(order))
    stops = np.append(starts, len(order))[1:]
    return {
        pixel: placed.slice(start, stop - start)
        for pixel, start, stop in zip(found.tolist(), starts.tolist(), stops.tolist(), strict=True)
    }


def check_targets(
    file: CheckedFile, pipeline: Pipeline, targets: pa.Table
) -> Iterator[Problem | Missing]:
    """Compare the light curves of a file with the targets of its partition."""
    if file.receipt is None:
        return
    rows = targets.select(["id", "tic_id", "camera", "ccd"]).to_pylist()
    expected, unknown = _without_failures(rows, file.receipt)
    if unknown:
        yield Problem(
            path=file.path,
            what=f"has failures in its receipt that the listing lacks: {_names(unknown)}",
        )
    lacking, surplus = _difference(file, expected, names_ccd=pipeline.names_ccd)
    if surplus:
        what = f"has {surplus.total()} light curves that the listing lacks: {_names(surplus)}"
        yield Problem(path=file.path, what=what)
    # A build that was stopped has written down what it was asked for, and not yet built it.
    later = min(lacking.total(), max(0, len(rows) - file.receipt.asked))
    if lacking.total() > later:
        what = f"lacks {lacking.total()} light curves of the listing: {_names(lacking)}"
        yield Problem(path=file.path, what=what)
    elif lacking:
        yield Missing(
            pipeline=pipeline.name,
            sector=file.sector,
            pixel=file.pixel,
            light_curves=lacking.total(),
            path=file.path,
        )


def _without_failures(
    rows: Iterable[Mapping[str, Any]], receipt: Receipt
) -> tuple[list[Mapping[str, Any]], Counter[Key]]:
    """Return the targets that should be there, and the failures that are no targets."""
    failed = Counter((str(f.id), f.camera, f.ccd) for f in receipt.failures)
    expected = []
    for row in rows:
        key = (str(row["id"]), row["camera"], row["ccd"])
        if failed[key]:
            failed[key] -= 1
        else:
            expected.append(row)
    return expected, +failed


def _difference(
    file: CheckedFile, expected: Iterable[Mapping[str, Any]], *, names_ccd: bool
) -> tuple[Counter[Key], Counter[Key]]:
    """Return which light curves a file lacks and which it has too much.

    Camera and CCD are compared where both the listing and the file tell them.
    """
    tells_ccd = names_ccd and all(camera for _, camera, _ in file.keys)
    left: Counter[Key] = Counter()
    for (name, camera, ccd), count in file.keys.items():
        left[(name, camera, ccd) if tells_ccd else (name, 0, 0)] += count
    lacking: Counter[Key] = Counter()
    for row in expected:
        on = (row["camera"], row["ccd"]) if tells_ccd else (0, 0)
        # By object_id a star is known by its TIC id, which the list may lack, or its other one.
        names = [row["tic_id"], row["id"]] if file.by_object_id else [row["id"]]
        keys: list[Key] = [(str(name), *on) for name in names if name is not None]
        key = next((key for key in keys if left[key]), None)
        if key is None:
            lacking[keys[-1]] += 1
        else:
            left[key] -= 1
    return lacking, +left


def _names(keys: Counter[Key]) -> str:
    names = [
        f"{name} (camera {camera}, CCD {ccd})" if camera else name
        for name, camera, ccd in sorted(keys)[:_NAMED]
    ]
    return ", ".join(names) + (", …" if len(keys) > _NAMED else "")
