"""The interface of the Multimodal Universe's TESS builder, over tessloom's own build."""

from tessloom.multimodal_universe.downloader import (
    QLP_Downloader,
    SPOC_Downloader,
    TESS_Downloader,
    TGLC_Downloader,
)

__all__ = ["QLP_Downloader", "SPOC_Downloader", "TESS_Downloader", "TGLC_Downloader"]
