"""Reading datasets: a star in all sectors and pipelines, places, conditions, training."""

from tessloom.dataset.splits import Splits
from tessloom.reading.catalogue import Catalogue
from tessloom.reading.dataset import Dataset, Match, open_dataset
from tessloom.reading.light_curve import LightCurve
from tessloom.reading.selection import Selection

__all__ = ["Catalogue", "Dataset", "LightCurve", "Match", "Selection", "Splits", "open_dataset"]
