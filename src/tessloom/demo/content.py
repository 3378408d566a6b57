"""What stands at a path of the embedded archive."""

from dataclasses import dataclass

from tessloom.demo import listings
from tessloom.demo.faults import Faults
from tessloom.demo.products import PRODUCTS, Product, light_curves
from tessloom.demo.sectors import SECTORS


@dataclass(frozen=True)
class Content:
    """The body of an answer. Files that people fetch again carry an ETag."""

    body: bytes
    media_type: str
    tagged: bool = False


def content_at(path: str, faults: Faults) -> Content | None:
    """Return what a path below ``hlsps/`` holds, None if nothing does."""
    for product in PRODUCTS.values():
        if path.startswith(f"{product.pipeline.hlsp}/"):
            return _listing_at(product, path, faults) or _light_curve_at(product, path, faults)
    return None


def _listing_at(product: Product, path: str, faults: Faults) -> Content | None:
    pipeline = product.pipeline
    if path == pipeline.script_directory:
        return Content(listings.index(product), "text/html")
    for sector in product.sectors:
        if path == pipeline.script.format(sector=sector):
            return Content(listings.script(product, sector, faults), "text/x-sh", tagged=True)
        if path == pipeline.target_list.format(sector=sector):
            return Content(listings.target_list(product, sector, faults), "text/csv", tagged=True)
    return None


def _light_curve_at(product: Product, path: str, faults: Faults) -> Content | None:
    match = product.pipeline.file_name.fullmatch(path.rpartition("/")[2])
    sector = int(match["sector"]) if match else 0
    if sector not in product.sectors:
        return None
    curves = light_curves(product.pipeline.name, sector)
    if path not in curves or faults.hit("missing", path):
        return None
    if faults.hit("html", path):
        return Content(b"<html><body>The file was not found.</body></html>\n", "text/html")
    target = curves[path]
    if faults.hit("wrong", path):
        paths = list(curves)
        # Index -1 is the last path's, so the first path is served the last star.
        target = curves[paths[paths.index(path) - 1]]
    body = product.file(SECTORS[sector], target)
    if faults.hit("corrupt", path):
        body = body[: len(body) * 2 // 3]
    return Content(body, "application/fits")
