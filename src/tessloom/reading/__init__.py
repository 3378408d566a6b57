"""Reading datasets: a star in all sectors and pipelines, places, conditions, training."""

from tessloom.dataset.splits import Splits
from tessloom.reading.catalogue import Catalogue
from tessloom.reading.dataset import Dataset, open_dataset
from tessloom.reading.light_curve import LightCurve
from tessloom.reading.match import Match
from tessloom.reading.selection import Selection
from tessloom.reading.targets import Targets

__all__ = [
    "Catalogue",
    "Dataset",
    "LightCurve",
    "Match",
    "Selection",
    "Splits",
    "Targets",
    "open_dataset",
]
