"""What the archive says it has: download scripts, target lists and the index of scripts."""

import functools

from tessloom.demo.faults import Faults
from tessloom.demo.products import Product, light_curves

# The archive's directories also hold scripts for runs of sectors, here 14 to 26.
_MULTI_SECTOR = 1426


@functools.lru_cache(maxsize=32)
def script(product: Product, sector: int, faults: Faults) -> bytes:
    """Return the download script of a sector."""
    lines = ["#!/bin/sh"]
    for path in light_curves(product.pipeline.name, sector):
        if faults.hit("unscripted", path):
            continue
        output = path.removeprefix(f"{product.pipeline.hlsp}/")
        line = product.command.format(path=path, output=output)
        lines += [line] * (1 + faults.hit("duplicate", path))
    return _text(lines)


@functools.lru_cache(maxsize=32)
def target_list(product: Product, sector: int, faults: Faults) -> bytes:
    """Return the target list of a sector, as CSV."""
    lines = [product.list_header]
    for path, target in light_curves(product.pipeline.name, sector).items():
        if faults.hit("unlisted", path):
            continue
        unknown = faults.hit("nan", path)
        ra, dec = ("nan", "nan") if unknown else (target.star.ra, target.star.dec)
        line = product.list_row.format(star=target.star, ra=ra, dec=dec)
        lines += [line] * (1 + faults.hit("duplicate", path))
    return _text(lines)


def index(product: Product) -> bytes:
    """Return the HTML page of the directory of scripts."""
    title = f"/hlsps/{product.pipeline.script_directory}"
    names = [
        product.pipeline.script.format(sector=sector).rpartition("/")[2]
        for sector in (*product.sectors, _MULTI_SECTOR)
    ]
    links = [f'<a href="{name}">{name}</a>' for name in names]
    return _text(
        [
            f"<html><head><title>Index of {title}</title></head><body>",
            f"<h1>Index of {title}</h1><hr><pre>",
            '<a href="../">../</a>',
            *links,
            "</pre><hr></body></html>",
        ]
    )


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("ascii")
