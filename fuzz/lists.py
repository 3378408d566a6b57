"""Any script and any target list is read or refused with an `ArchiveError`: looks for others.

``make fuzz`` runs it. A crash leaves its bytes in ``.venv/fuzz``; give that file as the argument to
run it again.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tessloom.archive"]):
    from tessloom.archive import Findings, ScriptReader, TargetListReader
    from tessloom.demo.products import PRODUCTS, light_curves
    from tessloom.errors import ArchiveError
    from tessloom.pipelines import PIPELINES

SECTOR = 23


def read(body: bytes) -> None:
    """Read bytes as a script and as a target list, in two pieces."""
    cut = body[0] * len(body) // 256 if body else 0
    pieces = (body[1:cut], body[max(1, cut) :])
    for pipeline in PIPELINES.values():
        script = ScriptReader(pipeline, SECTOR, Findings())
        for piece in pieces:
            script.feed(piece)
        names = script.close()
        assert len(list(names.paths(pipeline, SECTOR))) == len(names)  # noqa: S101 - the property
        target_list = TargetListReader(pipeline, Findings(), "the list")
        with contextlib.suppress(ArchiveError):
            for piece in pieces:
                target_list.feed(piece)
            target_list.close()
            target_list.rows().validate(full=True)


def write_seeds(directory: Path) -> None:
    """Write the beginnings of the demo archive's scripts and lists."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, product in PRODUCTS.items():
        targets = list(light_curves(name, SECTOR).items())[:4]
        script = [product.command.format(path=path, output=path) for path, _ in targets]
        rows = [
            product.list_row.format(star=target.star, ra=target.star.ra, dec=target.star.dec)
            for _, target in targets
        ]
        (directory / f"{name}-script").write_text("\n".join(["x#!/bin/sh", *script, ""]))
        (directory / f"{name}-list").write_text("\n".join(["x" + product.list_header, *rows, ""]))


if __name__ == "__main__":
    corpora = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if corpora and not corpora[0].is_file():
        write_seeds(corpora[0])
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
