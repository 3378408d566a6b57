"""The demo's sky and its lists."""

import csv

import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude
from cdshealpix.nested import lonlat_to_healpix

from tessloom.demo.faults import Faults
from tessloom.demo.listings import script, target_list
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import sector_targets, stars

COLLECTIONS = [(name, sector) for name, product in PRODUCTS.items() for sector in product.sectors]


def test_ids_are_unique() -> None:
    gaia = [star.gaia_dr3_id for star in stars()]
    tic = [star.tic_id for star in stars() if star.tic_id]
    assert len(set(gaia)) == len(gaia)
    assert len(set(tic)) == len(tic)
    assert max(tic) < 10**10


def test_gaia_ids_carry_the_pixel_of_order_12() -> None:
    some = stars()[:500]
    pixels = lonlat_to_healpix(
        Longitude([star.ra for star in some], unit="deg"),
        Latitude([star.dec for star in some], unit="deg"),
        depth=12,
    )
    assert [star.gaia_dr3_id >> 35 for star in some] == pixels.tolist()


@pytest.mark.parametrize(("pipeline", "sector"), COLLECTIONS)
def test_collections_have_a_size_for_a_first_try(pipeline: str, sector: int) -> None:
    low, high = {"spoc": (400, 700), "qlp": (800, 1100), "tglc": (1250, 1600)}[pipeline]
    assert low < len(light_curves(pipeline, sector)) < high


def test_the_first_hundred_targets_of_all_pipelines_share_stars() -> None:
    first = [
        {target.star.gaia_dr3_id for target in list(light_curves(name, 23).values())[:100]}
        for name in PRODUCTS
    ]
    assert len(set.intersection(*first)) >= 20


def test_stars_near_the_pole_recur_in_the_next_sector() -> None:
    this, following = (
        {target.star.gaia_dr3_id for target in sector_targets(SECTORS[number])}
        for number in (23, 24)
    )
    assert len(this & following) > 100


def test_some_stars_lie_on_two_ccds() -> None:
    listed = [target.star.gaia_dr3_id for target in light_curves("tglc", 23).values()]
    assert 0 < len(listed) - len(set(listed)) < 50


def test_every_ccd_sees_stars() -> None:
    seen = {(target.camera, target.ccd) for target in sector_targets(SECTORS[1])}
    assert seen == {(camera, ccd) for camera in range(1, 5) for ccd in range(1, 5)}


@pytest.mark.parametrize(("pipeline", "sector"), COLLECTIONS)
def test_script_list_and_paths_agree(pipeline: str, sector: int) -> None:
    product = PRODUCTS[pipeline]
    lines = script(product, sector, Faults()).decode().splitlines()[1:]
    rows = list(csv.DictReader(target_list(product, sector, Faults()).decode().splitlines()))
    curves = light_curves(pipeline, sector)
    assert len(lines) == len(rows) == len(curves)
    for line, row, (path, target) in zip(lines, rows, curves.items(), strict=True):
        match = product.pipeline.file_name.search(path)
        assert match is not None
        assert path in line
        values = {name.lstrip("#"): value for name, value in row.items()}
        assert int(values[product.pipeline.id_in_list]) == int(match["id"])
        assert float(values["RA"]) == target.star.ra
        assert path == product.pipeline.light_curve_path(
            sector, int(match["id"]), target.camera, target.ccd, match["version"]
        )


def test_lists_can_disagree_as_the_archive_s_do() -> None:
    product = PRODUCTS["tglc"]
    faults = Faults(duplicate=0.05, nan=0.05, unlisted=0.05, unscripted=0.05)
    lines = script(product, 23, faults).decode().splitlines()[1:]
    rows = target_list(product, 23, faults).decode().splitlines()[1:]
    listed = {row.split(",")[0] for row in rows}
    scripted = {line.partition("gaiaid-")[2].partition("-")[0] for line in lines}
    assert len(set(lines)) < len(lines)
    assert len(listed) < len(rows)
    assert scripted - listed
    assert listed - scripted
    share = np.mean([row.endswith("nan,nan") for row in rows])
    assert share == pytest.approx(0.05, abs=0.02)
