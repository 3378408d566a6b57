"""Margin caches of a catalogue: which there are, and which of them still belong to it.

A margin cache has, for each pixel, the stars just beyond its border, so that a cross-match by
pixels loses nobody there. `reading.margin` writes one. It is made of the catalogue's files as they
were then, so it says which they were; one that other files have overtaken is no longer named in
``collection.properties``, and LSDB then warns again that matches may be missing.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from tessloom.dataset.layout import write_text
from tessloom.dataset.storage import matching

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tessloom.dataset.receipt import Receipt
    from tessloom.pipelines import Pipeline

COLLECTION = "collection.properties"
# In a margin's properties: a digest of the files that it was made of.
MADE_OF = "tessloom_made_of"
_MARGIN = re.compile(r"margin_([0-9.]+)arcs")
_REGISTERED = ("all_margins=", "default_margin=")


def margin_directory(root: Path, pipeline: Pipeline, arcsec: float) -> Path:
    """Return the directory of a margin cache."""
    return root / pipeline.name / f"margin_{arcsec:g}arcs"


def digest_of(receipts: Iterable[Receipt]) -> str:
    """Return a digest of a catalogue's files: another one if any is added, changed or gone."""
    lines = sorted(f"{r.pixel} {r.sector} {r.written} {r.checksum}" for r in receipts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def margin_properties(root: Path, pipeline: Pipeline, digest: str) -> dict[str, str]:
    """Return what ``collection.properties`` says of the margins that belong to the catalogue.

    The widest is the default: a cross-match may not reach beyond its margin.
    """
    margins = _margins(root, pipeline)
    current = sorted(arcsec for arcsec, made_of in margins.items() if made_of == digest)
    if not current:
        return {}
    names = [margin_directory(root, pipeline, arcsec).name for arcsec in current]
    return {"all_margins": " ".join(names), "default_margin": names[-1]}


def overtaken_margins(root: Path, pipeline: Pipeline, digest: str) -> list[str]:
    """Return a sentence on each margin that no longer belongs to the catalogue."""
    return [
        f"The margin cache {margin_directory(root, pipeline, arcsec)} is out of date and no longer "
        f'used: tessloom.open(...)["{pipeline.name}"].write_margin({arcsec:g}) makes it anew.'
        for arcsec, made_of in sorted(_margins(root, pipeline).items())
        if made_of != digest
    ]


def withdraw_margins(root: Path, pipeline: Pipeline) -> None:
    """No longer name any margin in ``collection.properties``, before one is written anew."""
    path = root / pipeline.name / COLLECTION
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(path, "".join(line for line in lines if not line.startswith(_REGISTERED)))


def _margins(root: Path, pipeline: Pipeline) -> dict[float, str]:
    """Return by their widths the margins that are whole, and what each was made of."""
    found = {}
    # Written last, so a margin that has it is whole.
    for path in matching(root / pipeline.name, "margin_*arcs/hats.properties"):
        match = _MARGIN.fullmatch(path.parent.name)
        if match:
            lines = path.read_text(encoding="utf-8").splitlines()
            properties = dict(line.split("=", 1) for line in lines if "=" in line)
            found[float(match[1])] = properties.get(MADE_OF, "")
    return found
