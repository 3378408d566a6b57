"""The three collections of the embedded archive, each declared in one file."""

import functools

from tessloom.demo.products import qlp, spoc, tglc
from tessloom.demo.products._spec import Product
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import Target, sector_targets

__all__ = ["PRODUCTS", "Product", "light_curves"]

PRODUCTS: dict[str, Product] = {
    product.pipeline.name: product for product in (qlp.PRODUCT, spoc.PRODUCT, tglc.PRODUCT)
}


@functools.cache
def light_curves(pipeline: str, sector: int) -> dict[str, Target]:
    """Return what a collection holds of a sector: path below ``hlsps/`` to target.

    The order is that of the download script.
    """
    product = PRODUCTS[pipeline]
    held = [target for target in sector_targets(SECTORS[sector]) if product.holds(target.star)]
    return {
        product.path(SECTORS[sector], target): target for target in sorted(held, key=product.order)
    }
