"""What the embedded archive declares of a pipeline's collection."""

from collections.abc import Callable
from dataclasses import dataclass

from tessloom.demo.sectors import Sector
from tessloom.demo.sky import Star, Target
from tessloom.pipelines import Pipeline


@dataclass(frozen=True, kw_only=True)
class Product:
    """One pipeline's collection in the embedded archive.

    Attributes
    ----------
    pipeline
        Gives paths and names.
    sectors
        Sectors that exist, in order.
    faintest
        TESS magnitude to which stars have a light curve.
    command
        A line of the download script, to be formatted with ``path`` (below ``hlsps/``) and
        ``output`` (the same below the collection).
    list_header
        First line of the target list.
    list_row
        A line of it, to be formatted with ``star``, ``ra`` and ``dec``.
    order
        Sort key of script and list.
    version
        Version that a sector's file names carry.
    file
        Makes the bytes of one light-curve file.
    """

    pipeline: Pipeline
    sectors: tuple[int, ...]
    faintest: float
    command: str
    list_header: str
    list_row: str
    order: Callable[[Target], tuple[int, ...]]
    version: Callable[[int], str]
    file: Callable[[Sector, Target], bytes]

    def path(self, sector: Sector, target: Target) -> str:
        """Return the path of a target's light curve below ``hlsps/``."""
        identifier = getattr(target.star, self.pipeline.id_name)
        version = self.version(sector.number)
        return self.pipeline.light_curve_path(
            sector.number, identifier, target.camera, target.ccd, version
        )

    def holds(self, star: Star) -> bool:
        """Return whether the star has light curves in this collection."""
        return star.tess_mag < self.faintest and getattr(star, self.pipeline.id_name) > 0
