"""The whole way of QLP's tiny sample, as the Multimodal Universe's tests go it."""

from qlp import QLP_Downloader

from whole_way import WholeWay


class TestQLP(WholeWay):
    downloader_class = QLP_Downloader
    parameter_names = ["TIC_ID", "fp1", "fp2", "fp3", "fp4"]  # noqa: RUF012
