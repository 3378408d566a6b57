"""TGLC: the Multimodal Universe's downloader, and its loading script for datasets up to 3.6.

From version 4.1 on Hugging Face datasets loads the directory itself: ``load_dataset(directory)``.
"""

from tessloom.multimodal_universe import TESS_Downloader, TGLC_Downloader
from tessloom.multimodal_universe.loading import LightCurves

__all__ = ["TGLC", "TESS_Downloader", "TGLC_Downloader"]


class TGLC(LightCurves):
    """Loads the HDF5 files of TGLC."""
