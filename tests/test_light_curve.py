"""What a `LightCurve` does: masks, parts on one scale, other packages' types, plots."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessloom
from support import NAMES, shared_ids
from tessloom.errors import RequestError
from tessloom.pipelines import get_pipeline
from tessloom.reading.light_curve import LightCurve, end_to_end
from tessloom.reading.plot import flux_range, time_spans
from tessloom.reading.terminal_plot import text_plot


@pytest.fixture(scope="module")
def curves(dataset: Path) -> dict[str, LightCurve]:
    opened = tessloom.open(dataset)
    return {
        name: opened[name].light_curve(object_id=shared_ids(name)[-1], sector=[23, 24])
        for name in NAMES
    }


def made(*parts: tuple[int, int, list[float]], name: str = "spoc") -> LightCurve:
    """Return a light curve of parts: sector, CCD, and fluxes, half an hour apart."""
    return end_to_end(
        get_pipeline(name),
        [
            {
                "tic_id": 7, "gaia_dr3_id": None, "ra": 1.0, "dec": 2.0,
                "sector": sector, "camera": 1, "ccd": ccd,
                "lightcurve": {
                    "time": 27.0 * sector + np.arange(len(flux)) / 48,
                    "flux": np.array(flux, np.float32),
                    "flux_err": np.full(len(flux), 0.5, np.float32),
                    "quality": np.zeros(len(flux), np.int32) if ccd < 3 else None,
                },
            }
            for sector, ccd, flux in parts
        ],
    )  # fmt: skip


def test_parts_of_two_ccds_in_one_sector_stay_apart() -> None:
    light_curve = made((24, 2, [1, 1]), (23, 2, [3, 3, 3]), (23, 1, [2, 2]))
    assert light_curve.sectors == (23, 23, 24)
    assert light_curve.flux.tolist() == [2, 2, 3, 3, 3, 1, 1]
    assert repr(light_curve) == "<TESS-SPOC: TIC 7, sectors 23, 24 in 3 parts, 7 cadences>"
    frame = light_curve.to_pandas()
    assert frame.groupby(["sector", "camera", "ccd"]).size().tolist() == [2, 3, 2]
    assert len(light_curve) == len(frame) == 7


def test_a_column_that_a_part_lacks_is_0_or_nan_in_it() -> None:
    light_curve = made((1, 1, [1, 1]), (2, 3, [1, 1, 1]))
    assert light_curve.quality.tolist() == [0] * 5
    assert "sap_flux" not in light_curve.columns
    with pytest.raises(RequestError, match="no column 'sap_flux'; it has time, flux"):
        light_curve["sap_flux"]


def test_a_single_header_is_asked_of_a_single_part() -> None:
    light_curve = made((1, 1, [1]), (2, 1, [1]))
    with pytest.raises(RequestError, match="parts of sectors 1, 2"):
        _ = light_curve.header
    assert light_curve.parts()[1].header["sector"] == 2


def test_light_curves_without_cadences_can_be_asked_for_everything() -> None:
    clean = made((1, 1, [np.nan] * 3), (2, 1, [])).clean()
    assert len(clean) == 0
    assert clean.lengths == (0, 0)
    assert len(clean.stitch("median")) == len(clean.to_pandas()) == len(clean.to_astropy()) == 0
    assert "0 cadences" in text_plot({"spoc": clean}, "TIC 7")
    nothing: dict[str, Any] = {"time": None, "flux": None, "quality": None}
    row = {"sector": 1, "camera": 1, "ccd": 1, "tic_id": 7, "gaia_dr3_id": None}
    assert len(end_to_end(get_pipeline("spoc"), [row | {"lightcurve": nothing}]).time) == 0


def test_parts_whose_median_is_not_positive_are_not_divided_by_it() -> None:
    light_curve = made((1, 1, [4, 5, 6]), (2, 1, [-3, -2, -1]))
    with pytest.raises(RequestError, match=r"sector 2 is -2.*take normalise='offset'"):
        light_curve.stitch("median")
    shifted = light_curve.stitch("offset")
    assert shifted.flux.tolist() == [-1, 0, 1, -1, 0, 1]
    assert shifted.flux_err.tolist() == [0.5] * 6
    assert shifted.units["flux"] == "electron/s"
    assert light_curve.stitch("none") is light_curve


@pytest.mark.parametrize("name", NAMES)
def test_an_astropy_time_series_keeps_time_and_units(
    name: str, curves: dict[str, LightCurve]
) -> None:
    light_curve = curves[name]
    series = light_curve.to_astropy()
    known = light_curve.time[np.isfinite(light_curve.time)]
    assert series.time.scale == "tdb"
    btjd = (series.time.jd1 - 2_457_000) + series.time.jd2
    assert np.abs(btjd - known).max() < 1e-9
    for column, values in light_curve.columns.items():
        if column == "time":
            continue
        np.testing.assert_array_equal(
            getattr(series[column], "value", series[column]),
            values[np.isfinite(light_curve.time)],
        )
        unit = getattr(series[column], "unit", None)
        assert str(unit or "").replace(" ", "") == light_curve.units.get(column, "")


def test_a_package_that_is_missing_is_named(
    curves: dict[str, LightCurve], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightkurve", None)
    with pytest.raises(RequestError, match=r"pip install 'tessloom\[lightkurve\]'"):
        curves["spoc"].to_lightkurve()


def test_a_plot_has_masked_points_apart_and_units_on_its_axes(
    curves: dict[str, LightCurve],
) -> None:
    from matplotlib.figure import Figure

    light_curve = curves["qlp"]
    axes = light_curve.plot(Figure().subplots())
    by_label = {str(line.get_label()): line for line in axes.lines}
    masked = light_curve.masked()
    finite = np.isfinite(light_curve.time) & np.isfinite(light_curve.flux)
    assert len(by_label["masked"].get_xdata()) == (finite & masked).sum() > 0  # type: ignore[arg-type]
    assert len(by_label["QLP"].get_xdata()) == (~masked).sum()  # type: ignore[arg-type]
    assert axes.get_ylabel() == "relative flux"
    assert curves["spoc"].plot(Figure().subplots()).get_ylabel() == "flux (electron/s)"
    assert "BJD - 2457000" in axes.get_xlabel()


def test_a_plot_shows_dips_whole_and_is_not_stretched_by_a_stray_point() -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, 500)
    flux = 1 + noise
    flux[200:206] -= 0.1
    flux[350] = 40
    light_curve = made((1, 1, flux.tolist()))
    low, high = flux_range(light_curve, light_curve.masked())
    assert 0.8 < low < 0.9
    assert 1 < high < 1.1
    lines = text_plot({"spoc": light_curve}, "TIC 7", width=80, height=24).splitlines()
    assert sum("^" in line for line in lines) == 1


def test_sectors_that_are_years_apart_are_drawn_beside_one_another() -> None:
    light_curve = made((1, 1, [1] * 1000), (2, 1, [1] * 1000), (60, 1, [1] * 1000))
    assert [round(stop - start) for start, stop in time_spans([light_curve])] == [48, 21]
    shifted = replace(
        light_curve, columns=dict(light_curve.columns) | {"time": light_curve.time * np.nan}
    )
    assert time_spans([shifted]) == []
