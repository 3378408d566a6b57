"""TESS-SPOC: the Multimodal Universe's downloader, and its loading script for datasets up to 3.6.

From version 4.1 on Hugging Face datasets loads the directory itself: ``load_dataset(directory)``.
"""

from tessloom.multimodal_universe import SPOC_Downloader, TESS_Downloader
from tessloom.multimodal_universe.loading import LightCurves

__all__ = ["SPOC", "SPOC_Downloader", "TESS_Downloader"]


class SPOC(LightCurves):
    """Loads the HDF5 files of TESS-SPOC."""
