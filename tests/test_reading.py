"""A dataset opened with `tessloom.open`: stars by id, by place, by condition, and side by side."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

import tessloom
from support import NAMES, demo_paths, fetch, read_table, shared_ids
from tessloom.demo import DemoServer
from tessloom.errors import DatasetError, NotInDatasetError, RequestError

TIME = {"qlp": "TIME", "tglc": "time", "spoc": "TIME"}
FLUX = {"qlp": "KSPSAP_FLUX", "tglc": "cal_aper_flux", "spoc": "PDCSAP_FLUX"}
IDS = {"qlp": "tic", "tglc": "gaia", "spoc": "tic"}


@pytest.fixture(scope="module")
def opened(dataset: Path) -> tessloom.Dataset:
    return tessloom.open(dataset)


def star_of(name: str) -> int:
    return shared_ids(name)[-1]


def fits_of(server: DemoServer, name: str, sector: int, identifier: int) -> fits.HDUList:
    paths = demo_paths(name, sector)
    path = next(path for (star, *_), path in paths.items() if star == identifier)
    return fits.open(io.BytesIO(fetch(server.address + path)))


@pytest.mark.parametrize("name", NAMES)
def test_a_star_s_light_curve_is_that_of_its_fits_files_in_all_sectors(
    name: str, opened: tessloom.Dataset, server: DemoServer
) -> None:
    star = star_of(name)
    light_curve = opened[name].light_curve(**{IDS[name]: star})
    assert light_curve.sectors[:2] == (23, 24)
    for part, sector in zip(light_curve.parts(), light_curve.sectors, strict=True):
        if sector == 56:
            continue
        records = fits_of(server, name, sector, star)[1].data
        assert part.time.dtype == np.float64
        np.testing.assert_array_equal(part.time, records[TIME[name]])
        np.testing.assert_array_equal(part.flux, records[FLUX[name]].astype(np.float32))
        assert part.header["sector"] == sector
    assert len(light_curve) == sum(len(part) for part in light_curve.parts())


@pytest.mark.parametrize("name", NAMES)
def test_a_sector_can_be_chosen(name: str, opened: tessloom.Dataset) -> None:
    star = {IDS[name]: star_of(name)}
    assert opened[name].light_curve(**star, sector=24).sectors == (24,)
    assert opened[name].light_curve(**star, sector=[23, 24]).sectors == (23, 24)
    with pytest.raises(NotInDatasetError, match="in sector 99"):
        opened[name].light_curve(**star, sector=99)


def test_a_star_is_found_by_each_of_its_ids(opened: tessloom.Dataset) -> None:
    by_gaia = opened["tglc"].light_curve(gaia=star_of("tglc"))
    tic = by_gaia.headers[0]["tic_id"]
    for found in (
        opened["tglc"].light_curve(tic=tic),
        opened["tglc"].light_curve(object_id=str(tic)),
    ):
        np.testing.assert_array_equal(found.flux, by_gaia.flux)


def test_only_the_files_that_hold_a_star_are_read(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tessloom.reading import catalogue, rows

    read = []

    def watched(path: Path, column: str, value: int) -> object:
        read.append(path)
        return original(path, column, value)

    original = rows.rows_where
    monkeypatch.setattr(catalogue, "rows_where", watched)
    light_curve = tessloom.open(dataset)["qlp"].light_curve(tic=star_of("qlp"))
    assert len(read) == len(set(light_curve.sectors))
    assert len({path.parent for path in read}) == 1


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, "give one of"),
        ({"tic": 1, "gaia": 2}, "give one of"),
        ({"tic": "a star"}, "which is no id"),
        ({"gaia": 5}, "no index by gaia"),
    ],
)
def test_ids_that_can_t_be_asked_for_are_errors(
    asked: dict[str, object], error: str, opened: tessloom.Dataset
) -> None:
    with pytest.raises(RequestError, match=error):
        opened["qlp"].light_curve(**asked)  # type: ignore[arg-type]


def test_a_star_that_is_not_there_is_an_error_that_names_it(opened: tessloom.Dataset) -> None:
    for missing in (1, 2**62):
        with pytest.raises(NotInDatasetError, match=f"no light curve of tic_id {missing}"):
            opened["spoc"].light_curve(tic=missing)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("radius", [0.0, 0.5, 4.0, 60.0])
def test_a_cone_holds_what_astropy_finds_in_it(
    name: str, radius: float, dataset: Path, opened: tessloom.Dataset
) -> None:
    table = read_table(dataset, name)
    sky = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    inside = table.filter((sky.separation(sky[0]).deg <= radius).tolist())
    cone = opened[name].cone(sky[0].ra.deg, sky[0].dec.deg, radius)
    found = cone.to_arrow()
    assert len(found) == len(cone) == len(inside) >= 1
    assert sorted(found["object_id"].to_pylist()) == sorted(inside["object_id"].to_pylist())


@pytest.mark.parametrize("cone", [(0, 91, 1), (float("nan"), 0, 1), (0, 0, -1)])
def test_what_is_no_circle_is_an_error(
    cone: tuple[float, float, float], opened: tessloom.Dataset
) -> None:
    with pytest.raises(RequestError, match="no circle"):
        opened["qlp"].cone(*cone)


@pytest.mark.parametrize(
    "where",
    [
        "tess_mag < 10",
        "8 < tess_mag <= 11 and not sector == 24",
        "sector in (24, 56) or teff > 6000",
        "teff is not None and logg is None",
    ],
)
def test_rows_are_chosen_by_conditions(where: str, dataset: Path, opened: tessloom.Dataset) -> None:
    expected = read_table(dataset, "qlp").drop_columns(["lightcurve"]).to_pandas()
    condition = where.replace("is not None", ".notna()").replace("is None", ".isna()")
    chosen = expected.query(condition.replace("teff .n", "teff.n").replace("logg .i", "logg.i"))
    found = opened["qlp"].select(["object_id", "sector", "flux"], where).to_arrow()
    assert found.column_names == ["object_id", "sector", "flux"]
    assert sorted(
        zip(found["object_id"].to_pylist(), found["sector"].to_pylist(), strict=True)
    ) == sorted(zip(chosen["object_id"], chosen["sector"], strict=True))
    assert len(opened["qlp"].select(["flux"], where)) == len(chosen)


@pytest.mark.parametrize(
    "where",
    [
        "",
        "tess_mag",
        "tess_mag <",
        "magnitude < 10",
        "__import__('os')",
        "1 < 2",
        "tess_mag == None",
        "sector is 23",
        "tess_mag < teff()",
        "[sector]",
    ],
)
def test_what_is_no_condition_is_an_error(where: str, opened: tessloom.Dataset) -> None:
    with pytest.raises(RequestError):
        opened["qlp"].select(["flux"], where).to_arrow()


def test_the_pipelines_that_have_a_star_are_side_by_side(
    dataset: Path, opened: tessloom.Dataset
) -> None:
    shared = set.intersection(
        *({*read_table(dataset, name)["tic_id"].drop_null().to_pylist()} for name in NAMES)
    )
    match = opened.match("tic_id")
    assert [*match] == sorted(shared)
    assert len(match) == len(shared) > 0
    for tic in [*match][:2]:
        side_by_side = match[tic]
        assert set(side_by_side) == set(NAMES)
        assert {curve.headers[0]["tic_id"] for curve in side_by_side.values()} == {tic}


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_light_curve_lacks_what_is_flagged_and_nothing_else(
    name: str, opened: tessloom.Dataset
) -> None:
    light_curve = opened[name].light_curve(**{IDS[name]: star_of(name)})
    bits = {"qlp": 0xFFFFFFFF, "tglc": 0xFFFF, "spoc": 17087}[name]
    bad = (light_curve.quality.astype(np.int64) & bits) != 0
    if name == "tglc":
        bad |= light_curve["tglc_flags"] != 0
    bad |= ~np.isfinite(light_curve.time) | ~np.isfinite(light_curve.flux)
    clean = light_curve.clean()
    assert 0 < bad.sum() < len(light_curve)
    np.testing.assert_array_equal(clean.time, light_curve.time[~bad])
    assert [len(part) for part in clean.parts()] == [*clean.lengths]
    assert len(light_curve.clean("hardest")) <= len(clean)
    assert len(light_curve.clean(0)) == np.isfinite(light_curve.time * light_curve.flux).sum()
    with pytest.raises(RequestError, match="choose from"):
        light_curve.clean("soft")


def test_stitched_parts_have_a_median_of_one(opened: tessloom.Dataset) -> None:
    light_curve = opened["spoc"].light_curve(tic=star_of("spoc"))
    stitched = light_curve.stitch("median")
    for part, before in zip(stitched.parts(), light_curve.parts(), strict=True):
        assert np.nanmedian(part.flux) == pytest.approx(1)
        np.testing.assert_allclose(
            part.flux_err / part.flux, before.flux_err / before.flux, rtol=1e-5
        )
    assert "flux" not in stitched.units
    assert light_curve.stitch("none") is light_curve
    with pytest.raises(RequestError, match="normalise"):
        light_curve.stitch("mean")


def test_a_light_curve_becomes_what_others_know(opened: tessloom.Dataset) -> None:
    light_curve = opened["spoc"].light_curve(tic=star_of("spoc"), sector=23)
    frame = light_curve.to_pandas()
    np.testing.assert_array_equal(frame["time"], light_curve.time)
    assert set(frame["sector"]) == {23}
    series = light_curve.to_astropy()
    known = np.isfinite(light_curve.time)
    np.testing.assert_allclose(
        series.time.tdb.jd - 2457000, light_curve.time[known], atol=1e-8, rtol=0
    )
    assert str(series["flux"].unit) == "electron / s"
    np.testing.assert_array_equal(np.asarray(series["flux"]), light_curve.flux[known])


def test_eras_with_different_columns_come_as_one_light_curve(
    server: DemoServer, tmp_path: Path
) -> None:
    ids = ({identifier for identifier, *_ in demo_paths("qlp", of)} for of in (23, 56))
    star = min(set.intersection(*ids))
    for sector in (56, 23):
        tessloom.build("qlp", sector=sector, archive=server.address, out=tmp_path, targets=[star])
    early, late = tessloom.open(tmp_path)["qlp"].light_curve(tic=star).parts()
    assert np.isnan(early["sys_rm_flux"]).all()
    records = fits_of(server, "qlp", 56, star)[1].data
    np.testing.assert_array_equal(late["sys_rm_flux"], records["SYS_RM_FLUX"].astype(np.float32))
    np.testing.assert_array_equal(late.flux, records["DET_FLUX"].astype(np.float32))


def test_opening_takes_no_dask_and_no_pandas(dataset: Path) -> None:
    script = (
        f"import sys, tessloom; ds = tessloom.open({str(dataset)!r}); print(list(ds)); "
        "print(sorted(m for m in ('pandas', 'dask', 'torch', 'astropy') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['qlp', 'tglc', 'spoc']", "[]"]


def test_what_is_no_dataset_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no dataset in"):
        tessloom.open(tmp_path)


def test_a_pipeline_that_is_not_there_is_an_error_that_names_those_that_are(
    server: DemoServer, tmp_path: Path
) -> None:
    tessloom.build("qlp", sector=23, archive=server.address, out=tmp_path, limit=2)
    with pytest.raises(NotInDatasetError, match=r"nothing from TESS-SPOC.*; it has qlp"):
        tessloom.open(tmp_path)["spoc"]
