"""What stands at a path of the embedded archive, and what a fault makes of it."""

import dataclasses
import hashlib
import re
from dataclasses import dataclass

from tessloom.demo import listings
from tessloom.demo.faults import Faults, place
from tessloom.demo.products import PRODUCTS, Product, light_curves
from tessloom.demo.sectors import SECTORS

_BLOCK = 2880
_END = b"END".ljust(80)
_AXES = re.compile(rb"NAXIS[12]  = *(\d+)")
_GARBLED_BYTES = 64


@dataclass(frozen=True)
class Content:
    """The body of an answer. Files that people fetch again carry an ETag."""

    body: bytes
    media_type: str
    etag: str | None = None


_PAGE = Content(b"<html><body>The file was not found.</body></html>\n", "text/html")


def content_at(path: str, faults: Faults) -> Content | None:
    """Return what a path below ``hlsps/`` holds, None if nothing does."""
    for product in PRODUCTS.values():
        if path.startswith(f"{product.pipeline.hlsp}/"):
            return _listing_at(product, path, faults) or _light_curve_at(product, path, faults)
    return None


def sector_of(product: Product, path: str) -> int:
    """Return the sector that the name of a light curve tells, 0 if it is none's."""
    match = product.pipeline.file_name.fullmatch(path.rpartition("/")[2])
    return int(match["sector"]) if match else 0


def altered(content: Content, fault: str, path: str) -> Content:
    """Return what an answer brings instead of a path's content. It keeps the sound one's ETag."""
    if fault == "html_once":
        return _PAGE
    if fault in ("truncated", "unannounced"):
        return dataclasses.replace(content, body=content.body[: len(content.body) // 2])
    if content.media_type != "application/fits":
        return content
    if fault == "wrong_once":
        return dataclasses.replace(content, body=_file_before(path))
    if fault == "garbled":
        return dataclasses.replace(content, body=_garbled(content.body, place("bytes", path)))
    return content


def _listing_at(product: Product, path: str, faults: Faults) -> Content | None:
    pipeline = product.pipeline
    if path == pipeline.script_directory:
        return Content(listings.index(product), "text/html")
    for sector in product.sectors:
        if path == pipeline.script.format(sector=sector):
            body = listings.script(product, sector, faults)
            if faults.hit("script_short", path):
                body = _short_of_a_line(body)
            return Content(body, "text/x-sh", _tag(body))
        if path == pipeline.target_list.format(sector=sector):
            body = listings.target_list(product, sector, faults)
            return Content(body, "text/csv", _tag(body))
    return None


def _tag(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def _short_of_a_line(script: bytes) -> bytes:
    start = script.rindex(b"\n", 0, len(script) * 2 // 3) + 1
    stop = script.index(b"\n", start)
    return script[: (start + stop) // 2]


def _light_curve_at(product: Product, path: str, faults: Faults) -> Content | None:
    sector = sector_of(product, path)
    if sector not in product.sectors:
        return None
    curves = light_curves(product.pipeline.name, sector)
    if path not in curves or faults.hit("missing", path):
        return None
    if faults.hit("html", path):
        return _PAGE
    if faults.hit("wrong", path):
        body = _file_before(path)
    else:
        body = product.file(SECTORS[sector], curves[path])
    if faults.hit("corrupt", path):
        body = body[: len(body) * 2 // 3]
    return Content(body, "application/fits")


def _file_before(path: str) -> bytes:
    """Return the light curve of the star that precedes a path's in the script."""
    product = next(
        product for product in PRODUCTS.values() if path.startswith(f"{product.pipeline.hlsp}/")
    )
    sector = sector_of(product, path)
    curves = light_curves(product.pipeline.name, sector)
    paths = list(curves)
    # Index -1 is the last path's, so the first path is served the last star.
    return product.file(SECTORS[sector], curves[paths[paths.index(path) - 1]])


def _garbled(body: bytes, share: float) -> bytes:
    """Return a file with a run of its table inverted, `share` of the way into it."""
    primary = _header_end(body, 0)
    table = _header_end(body, primary)
    width, rows = (int(number) for number in _AXES.findall(body, primary, table)[:2])
    start = table + int(share * (width * rows - _GARBLED_BYTES))
    stop = start + _GARBLED_BYTES
    return body[:start] + bytes(255 - byte for byte in body[start:stop]) + body[stop:]


def _header_end(body: bytes, start: int) -> int:
    """Return where the blocks of a header end that has no data before it."""
    end = body.index(_END, start) + len(_END)
    return -(-end // _BLOCK) * _BLOCK
