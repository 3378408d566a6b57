"""The demo's files look like the archive's."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import Target

REALDATA = Path(
    os.environ.get("TESSLOOM_REALDATA", Path(__file__).parents[1] / ".." / "shared" / "realdata")
)
ERAS = [(name, sector) for name, product in PRODUCTS.items() for sector in product.sectors]
REAL = {
    ("qlp", 24): "qlp/hlsp_qlp_tess_ffi_s0024-0000000039903405_tess_v01_llc.fits",
    ("qlp", 56): "qlp/hlsp_qlp_tess_ffi_s0056-0000000267574918_tess_v01_llc.fits",
    ("spoc", 1): "tess-spoc/hlsp_tess-spoc_tess_phot_0000000033910247-s0001_tess_v1_lc.fits",
    ("spoc", 24): "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits",
    ("spoc", 40): "tess-spoc/hlsp_tess-spoc_tess_phot_0000000300000680-s0040_tess_v1_lc.fits",
    ("tglc", 1): "tglc/hlsp_tglc_tess_ffi_gaiaid-6399196263939178880-s0001-cam2-ccd1"
    "_tess_v1_llc.fits",
}


def targets(pipeline: str, sector: int) -> list[Target]:
    return list(light_curves(pipeline, sector).values())


def demo_bytes(pipeline: str, sector: int, target: Target) -> bytes:
    return PRODUCTS[pipeline].file(SECTORS[sector], target)


def demo_file(pipeline: str, sector: int, target: Target | None = None) -> Any:
    target = target or targets(pipeline, sector)[0]
    return fits.open(io.BytesIO(demo_bytes(pipeline, sector, target)))


@pytest.mark.parametrize(("pipeline", "sector"), ERAS)
def test_every_file_obeys_the_standard(pipeline: str, sector: int) -> None:
    for target in targets(pipeline, sector)[::97]:
        with demo_file(pipeline, sector, target) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["SIMDATA"] is True
            assert len(hdus[1].data) == hdus[1].header["NAXIS2"]


@pytest.mark.parametrize(("pipeline", "sector"), REAL)
def test_cards_and_columns_are_those_of_a_real_file(pipeline: str, sector: int) -> None:
    path = REALDATA / REAL[pipeline, sector]
    if not path.exists():
        pytest.skip(f"needs the real file {path}; see $TESSLOOM_REALDATA")
    with fits.open(path) as real, demo_file(pipeline, sector) as demo:
        assert len(demo) == len(real)
        for ours, theirs in zip(demo, real, strict=True):
            assert layout(ours.header) == layout(theirs.header)
            assert comments(ours.header) == comments(theirs.header)


def layout(header: Any) -> list[tuple[str, str]]:
    """Return the keywords in order; those of columns with their values."""
    fixed = ("TTYPE", "TFORM", "TUNIT", "TDISP", "EXTNAME", "TIMESYS", "TELESCOP")
    return [
        # TMOFSTij names the camera and CCD
        ("TMOFST" if keyword.startswith("TMOFST") else keyword, value)
        for keyword, value in (
            (card.keyword, card.value if card.keyword.startswith(fixed) else "")
            for card in header.cards
        )
        if keyword != "SIMDATA"
    ]


def comments(header: Any) -> dict[str, str]:
    """Return the comments that the pipelines never reword."""
    changing = ("TMOFST", "CHECKSUM", "SIMDATA", "TICVER")
    return {
        card.keyword: card.comment for card in header.cards if not card.keyword.startswith(changing)
    }


@pytest.mark.parametrize("sector", PRODUCTS["spoc"].sectors)
def test_spoc_checksums_are_correct(sector: int) -> None:
    content = demo_bytes("spoc", sector, targets("spoc", sector)[0])
    with fits.open(io.BytesIO(content)) as hdus:
        starts = [hdu.fileinfo()["hdrLoc"] for hdu in hdus]
    for start, stop in zip(starts, [*starts[1:], len(content)], strict=True):
        words = np.frombuffer(content[start:stop], ">u4").astype(object)
        assert sum(words) % 0xFFFFFFFF == 0


@pytest.mark.parametrize(
    ("pipeline", "sector", "rows"),
    [("spoc", 24, 1272), ("spoc", 40, 3816), ("spoc", 56, 11448)],
)
def test_spoc_has_a_row_for_every_cadence_and_nan_in_gaps(
    pipeline: str, sector: int, rows: int
) -> None:
    with demo_file(pipeline, sector) as hdus:
        data = hdus[1].data
        assert len(data) == rows
        gap = np.isnan(data["TIME"])
        assert 0 < gap.sum() < rows / 10
        assert np.isnan(data["PDCSAP_FLUX"][gap]).all()


def test_qlp_leaves_out_the_cadences_that_spoc_has_no_time_for() -> None:
    both = [target for target in targets("spoc", 24) if target in targets("qlp", 24)]
    with demo_file("spoc", 24, both[0]) as spoc, demo_file("qlp", 24, both[0]) as qlp:
        observed = spoc[1].data["TIME"][~np.isnan(spoc[1].data["TIME"])]
        delay = (qlp[1].data["TIME"] - observed) * 86400
    np.testing.assert_allclose(delay, 1.92, atol=1e-3)


def test_qlp_renames_columns_and_versions_between_eras() -> None:
    with demo_file("qlp", 40) as early, demo_file("qlp", 56) as late:
        assert {"KSPSAP_FLUX"} <= set(early[1].columns.names)
        assert {"DET_FLUX", "SYS_RM_FLUX"} <= set(late[1].columns.names)
    assert all("_v01_" in path for path in light_curves("qlp", 56))
    assert all("_v02_" in path for path in light_curves("qlp", 57))


def test_tglc_has_its_oddities() -> None:
    some = targets("tglc", 23)
    assert any(not target.star.tic for target in some)
    nameless = next(target for target in some if not target.star.tic)
    with demo_file("tglc", 23, nameless) as hdus:
        assert hdus[0].header["TICID"] == ""
    failed = next(target for target in some if target.star.gaia_dr3_id % 41 == 0)
    with demo_file("tglc", 23, failed) as hdus:
        assert hdus[1].header["PSF_ERR"] == "NaN"
        assert hdus[1].header["CAPE_ERR"] > 0
        assert (hdus[1].data["TESS_flags"] < 0).any()


def test_spoc_leaves_the_card_of_an_unknown_metallicity_blank() -> None:
    unknown = next(target for target in targets("spoc", 24) if np.isnan(target.star.mh))
    with demo_file("spoc", 24, unknown) as hdus:
        assert hdus[0].header["MH"] is None
        assert hdus[0].header["TEFF"] > 0


@pytest.mark.parametrize(("pipeline", "sector"), ERAS)
def test_the_same_star_gives_the_same_bytes(pipeline: str, sector: int) -> None:
    target = targets(pipeline, sector)[0]
    first, second = (hashlib.sha256(demo_bytes(pipeline, sector, target)) for _ in range(2))
    assert first.digest() == second.digest()


def test_all_pipelines_see_the_same_variation() -> None:
    eclipsing = next(
        target
        for target in targets("spoc", 24)
        if target.star.variability.name == "eclipsing binary" and target.star.tess_mag < 10
        if target in targets("qlp", 24) and target in targets("tglc", 24)
    )
    flux = {"spoc": "PDCSAP_FLUX", "qlp": "KSPSAP_FLUX", "tglc": "cal_aper_flux"}
    series = {}
    for pipeline, column in flux.items():
        with demo_file(pipeline, 24, eclipsing) as hdus:
            data = hdus[1].data
            values = data[column][np.isfinite(data[data.names[0]])]
            series[pipeline] = values / np.nanmedian(values)
    for pipeline in ("spoc", "tglc"):
        both = np.isfinite(series[pipeline])
        assert np.corrcoef(series[pipeline][both], series["qlp"][both])[0, 1] > 0.95
