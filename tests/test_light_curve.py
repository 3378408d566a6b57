"""What a `LightCurve` does: masks, parts on one scale, other packages' types, plots."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.io import fits

import tessloom
from support import NAMES, shared_ids
from tessloom.errors import RequestError, UnknownNameError
from tessloom.pipelines import get_pipeline
from tessloom.reading.joining import end_to_end
from tessloom.reading.light_curve import LightCurve
from tessloom.reading.plot import figure, flux_range, time_spans
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
    with pytest.raises(RequestError, match=r"no column 'sap_flux' \(did you mean flux.*has time"):
        light_curve["sap_flux"]


def test_a_name_that_is_not_there_is_a_key_error_that_says_what_was_meant() -> None:
    light_curve = made((1, 1, [1, 1]))
    with pytest.raises(KeyError, match=r"did you mean quality\?"):
        light_curve["qualty"]
    with pytest.raises(UnknownNameError, match=r"take header\['tic_id'\]"):
        light_curve["tic_id"]
    with pytest.raises(UnknownNameError, match=r"no header value 'tic' \(did you mean tic_id"):
        light_curve.header["tic"]


def test_a_star_in_two_sectors_has_one_header_where_they_agree() -> None:
    nan = float("nan")
    light_curve = made((1, 1, [1]), (2, 1, [1]))
    headers = tuple(
        dict(header) | {"tess_mag": nan, "teff": None, "near_edge": edge}
        for header, edge in zip(light_curve.headers, (True, False), strict=True)
    )
    light_curve = replace(light_curve, headers=headers)
    assert dict(light_curve.header) == {
        name: headers[0][name]
        for name in ("tic_id", "gaia_dr3_id", "ra", "dec", "camera", "ccd", "tess_mag", "teff")
    }
    assert light_curve.header.differing == ("sector", "near_edge")
    for error in (RequestError, KeyError):
        with pytest.raises(error, match=r"the parts of the light curve differ in sector.*headers"):
            light_curve.header["sector"]
    assert light_curve.header.get("sector") is None
    assert dict(light_curve.parts()[1].header) == headers[1]


def test_cadences_are_chosen_as_those_of_an_array_are() -> None:
    light_curve = made((1, 1, [1, 2, 3]), (2, 1, []), (3, 1, [4, 5]))
    for chosen, sectors, lengths in (
        (slice(None, 2), (1,), (2,)),
        (slice(None, None, 2), (1, 3), (2, 1)),
        (light_curve.flux > 2, (1, 3), (1, 2)),
        (light_curve["sector"] == 3, (3,), (2,)),
        ([0, 4], (1, 3), (1, 1)),
        (np.array([2, 1, -1]), (1, 3), (2, 1)),
    ):
        few = light_curve[chosen]
        assert few.flux.tolist() == light_curve.flux[chosen].tolist()
        assert (few.sectors, few.lengths) == (sectors, lengths)
        assert [len(part) for part in few.parts()] == [*lengths]
    assert light_curve[[]].lengths == (0, 0, 0)
    assert light_curve.clean().sectors == (1, 2, 3)
    assert light_curve["sector"].tolist() == [1, 1, 1, 3, 3]
    assert "sector" in light_curve
    assert "sap_flux" not in light_curve


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (1, r"light_curve\[1:2\]"),
        (1.5, "takes the name of a column"),
        ((0, 1), "takes the name of a column"),
        (["time", "flux"], "takes the name of a column"),
        ([True], "the mask has 1 values, the light curve 4 cadences"),
        ([4], "4 cadences"),
        (slice(None, None, -1), "the order of the sectors"),
        (slice("a", "b"), "no cadences can be chosen"),
    ],
)
def test_what_chooses_no_cadences_is_an_error(chosen: object, message: str) -> None:
    light_curve = made((1, 1, [1, 2]), (2, 1, [3, 4]))
    with pytest.raises(RequestError, match=message):
        light_curve[chosen]


def test_a_light_curve_says_what_to_iterate_over() -> None:
    with pytest.raises(RequestError, match=r"columns.*parts\(\)"):
        list(made((1, 1, [1, 2])))


def test_masks_are_names_or_bits_in_any_form() -> None:
    light_curve = made((1, 1, [1, 2, np.nan, 4]))
    quality = np.array([0, 128, 0, 4096 + 1024], np.int32)
    light_curve = replace(light_curve, columns={**light_curve.columns, "quality": quality})
    for mask in (128, np.int64(128), np.uint8(128), "128"):
        assert light_curve.clean(mask).flux.tolist() == [1, 4]
    for nothing in (None, "none", 0, 1 << 30):
        assert light_curve.clean(nothing).flux.tolist() == [1, 2, 4]
    for wrong in (-1, 2**31, 1.0, True, "soft", "-1", [128], light_curve.quality == 0):
        with pytest.raises(RequestError, match="mask is"):
            light_curve.clean(wrong)  # type: ignore[arg-type]


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
    assert shifted.normalised == {"flux": "offset"}
    assert light_curve.stitch("none") is light_curve


def test_stitch_wants_to_know_how() -> None:
    with pytest.raises(RequestError, match=r"choose 'median'.*'offset'.*'none'"):
        made((1, 1, [1, 2])).stitch()


def test_another_flux_and_its_error_are_stitched_alike(curves: dict[str, LightCurve]) -> None:
    light_curve = curves["spoc"]
    stitched = light_curve.stitch("median", column="sap_flux")
    for part, before in zip(stitched.parts(), light_curve.parts(), strict=True):
        median = np.nanmedian(before["sap_flux"].astype(float))
        for name in ("sap_flux", "sap_flux_err"):
            np.testing.assert_allclose(part[name], before[name] / median, rtol=1e-6)
    np.testing.assert_array_equal(stitched.flux, light_curve.flux)
    assert (stitched.units["sap_flux"], stitched.units["flux"]) == ("", "electron/s")
    alone = curves["tglc"].stitch("median", column="psf_flux")
    assert np.nanmedian(alone.parts()[0]["psf_flux"]) == pytest.approx(1)
    with pytest.raises(RequestError, match="quality is no flux"):
        light_curve.stitch("median", column="quality")


@pytest.mark.parametrize("name", NAMES)
def test_every_column_and_header_value_has_a_unit_or_an_empty_one(
    name: str, curves: dict[str, LightCurve]
) -> None:
    light_curve = curves[name]
    assert set(light_curve.units) == {*light_curve.columns, *light_curve.headers[0]}
    assert light_curve.units["flux"] == ("electron/s" if name == "spoc" else "")
    assert light_curve.units["time"] == "d"


@pytest.mark.parametrize("name", NAMES)
def test_a_data_frame_says_whose_it_is_and_in_which_units(
    name: str, curves: dict[str, LightCurve]
) -> None:
    light_curve = curves[name]
    attributes = light_curve.to_pandas().attrs
    assert attributes["pipeline"] == name
    assert attributes["tic_id"] == light_curve.headers[0]["tic_id"]
    assert attributes["units"]["time"] == "d"
    assert set(attributes["units"]) == set(light_curve.columns)


@pytest.mark.parametrize("name", NAMES)
def test_a_time_series_written_as_fits_keeps_the_header(
    name: str, curves: dict[str, LightCurve], tmp_path: Path
) -> None:
    light_curve = curves[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The unit 'electron / s'")  # which FITS does not know
        light_curve.to_astropy().write(tmp_path / "star.fits")
    header = fits.getheader(tmp_path / "star.fits", 1)
    shared = light_curve.header
    assert header["OBJECT"] == light_curve.name
    assert (header["RA_OBJ"], header["DEC_OBJ"]) == (shared["ra"], shared["dec"])
    assert header["TESSMAG"] == shared["tess_mag"]
    assert "SECTOR" not in header  # there are two
    step = header["XPTIME"] if name == "tglc" else header["TIMEDEL"] * 86400
    assert step == pytest.approx(1800)
    (tmp_path / "star.fits").unlink()
    one = light_curve.parts()[0].to_astropy()
    assert one.meta["SECTOR"] == 23


def test_a_time_series_is_folded(curves: dict[str, LightCurve]) -> None:
    light_curve = curves["qlp"].clean()
    folded = light_curve.to_astropy().fold(period=2.5 * units.day)
    assert len(folded) == len(light_curve)
    assert np.abs(folded.time.to_value("day")).max() <= 1.25


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
    assert len(by_label["QLP"].get_xdata()) < len(light_curve.plot(mask=None).lines[1].get_xdata())  # type: ignore[arg-type]


def test_an_axis_says_what_stitch_did_and_which_column_it_is(
    curves: dict[str, LightCurve],
) -> None:
    from matplotlib.figure import Figure

    light_curve = curves["spoc"]

    def label(curve: LightCurve, column: str = "flux") -> str:
        return curve.plot(Figure().subplots(), column=column).get_ylabel()

    assert label(light_curve.stitch("offset")) == "flux - median (electron/s)"
    assert label(light_curve.stitch("median")) == "relative flux"
    assert label(light_curve, "sap_flux") == "sap_flux (electron/s)"
    assert label(light_curve.stitch("median", column="sap_flux"), "sap_flux") == "relative sap_flux"
    assert label(curves["qlp"].stitch("offset")) == "relative flux - median"
    axes = light_curve.plot(Figure().subplots(), column="sap_flux", mask=None)
    shown = np.isfinite(light_curve.time) & np.isfinite(light_curve["sap_flux"])
    assert len(axes.lines[1].get_xdata()) == shown.sum()  # type: ignore[arg-type]


def test_a_pipeline_has_one_colour_in_every_plot(curves: dict[str, LightCurve]) -> None:
    from matplotlib.figure import Figure

    alone = {
        name: curve.plot(Figure().subplots()).lines[1].get_color() for name, curve in curves.items()
    }
    assert len(set(alone.values())) == 3
    for names in (NAMES, NAMES[1:], NAMES[::-1]):
        panels = figure({name: curves[name] for name in names}, "TIC", "default").axes
        assert [panel.lines[1].get_color() for panel in panels] == [alone[n] for n in names]


def test_a_plot_counts_cadences_without_flux_apart_from_masked_ones(
    curves: dict[str, LightCurve],
) -> None:
    light_curve = curves["spoc"]
    lacking = int((~np.isfinite(light_curve.flux)).sum())
    assert lacking > 0
    text = text_plot({"spoc": light_curve}, "TIC", width=120)
    assert f"{len(light_curve):,} cadences, {lacking:,} without flux, 0 masked" in text
    assert "without" not in text_plot({"qlp": curves["qlp"]}, "TIC", width=120)


def test_a_star_without_any_flux_has_a_panel_that_says_so() -> None:
    light_curve = made((1, 1, [np.nan] * 50))
    text = text_plot({"spoc": light_curve}, "TIC 7", width=80)
    assert "50 cadences, 50 without flux" in text
    assert any(line.endswith("  no flux") for line in text.splitlines())
    (panel,) = figure({"spoc": light_curve}, "TIC 7", "default").axes
    assert [written.get_text() for written in panel.texts] == ["no flux"]


@pytest.mark.parametrize("width", [20, 21, 40, 79])
def test_a_plot_as_text_is_no_wider_than_it_may_be(
    width: int, curves: dict[str, LightCurve]
) -> None:
    far = made((1, 1, [1, 2] * 500), (2, 1, [1] * 9), (60, 1, [5] * 1000), name="spoc")
    for shown in (curves, {"spoc": far}):
        lines = text_plot(shown, "TIC 7, " * 9, width=width).splitlines()
        assert max(map(len, lines)) <= width


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
