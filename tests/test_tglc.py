"""The whole way of TGLC's tiny sample, as the Multimodal Universe's tests go it."""

from tglc import TGLC_Downloader

from whole_way import WholeWay


class TestTGLC(WholeWay):
    downloader_class = TGLC_Downloader
    parameter_names = ["GAIADR3_ID", "cam", "ccd", "fp1", "fp2", "fp3", "fp4"]  # noqa: RUF012
