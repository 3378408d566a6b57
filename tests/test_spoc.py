"""The whole way of SPOC's tiny sample, as the Multimodal Universe's tests go it."""

from spoc import SPOC_Downloader

from whole_way import WholeWay


class TestSPOC(WholeWay):
    downloader_class = SPOC_Downloader
    parameter_names = ["TIC_ID", "fp1", "fp2", "fp3", "fp4"]  # noqa: RUF012
