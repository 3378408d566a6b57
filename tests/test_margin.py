"""Margins: cross-matches at the borders of pixels, and readers that are not to see them."""

import shutil
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import Latitude, Longitude, SkyCoord
from cdshealpix.nested import cone_search, lonlat_to_healpix

import tessloom
from support import NAMES, open_with_lsdb, read_table, shared_ids
from tessloom.errors import RequestError
from tessloom.pipelines import PIPELINES
from tessloom.reading.margin import pixels_near

WIDTH = 600.0  # arcseconds, at which the demo archive's few stars have neighbours beyond borders


@pytest.fixture(scope="module")
def margined(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset whose catalogues have margins, one of which is empty or nearly so."""
    copied = shutil.copytree(dataset, tmp_path_factory.mktemp("margined") / "copied")
    opened = tessloom.open(copied)
    for name in NAMES:
        opened[name].write_margin()
        opened[name].write_margin(WIDTH)
    return copied


def sky(table: pa.Table) -> SkyCoord:
    return SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")


def margin_table(root: Path, name: str) -> pa.Table:
    """Return the rows of a margin, with the pixel in whose margin each is."""
    tables = []
    for path in sorted((root / name / "margin_600arcs").glob("dataset/*/*/*/*.parquet")):
        table = pq.read_table(path, partitioning=None)
        pixel = int(path.parent.name.removeprefix("Npix="))
        tables.append(table.append_column("in", pa.array([pixel] * len(table), pa.int64())))
    return pa.concat_tables(tables)


def match(left: Any, right: Any, radius: float) -> Counter[tuple[int, int, int, int]]:
    matched = left.crossmatch(
        right,
        radius_arcsec=radius,
        n_neighbors=30,
        suffixes=("_l", "_r"),
        suffix_method="all_columns",
    ).compute()
    columns = ("tic_id_l", "sector_l", "tic_id_r", "sector_r")
    return Counter(zip(*(matched[column].tolist() for column in columns), strict=True))


def pairs(root: Path, left: str, right: str, radius: float) -> Counter[tuple[int, int, int, int]]:
    """Return what astropy finds among all stars, whatever pixel they are in."""
    one, other = (read_table(root, name) for name in (left, right))
    i, j, *_ = sky(other).search_around_sky(sky(one), radius * u.arcsec)
    columns = [one.take(i)["tic_id"], one.take(i)["sector"]]
    columns += [other.take(j)["tic_id"], other.take(j)["sector"]]
    return Counter(zip(*(column.to_pylist() for column in columns), strict=True))


def test_lsdb_matches_two_pipelines_and_finds_each_star_in_the_other(margined: Path) -> None:
    spoc, tglc = (open_with_lsdb(margined / name) for name in ("spoc", "tglc"))
    found = match(spoc, tglc, 1)
    assert found == pairs(margined, "spoc", "tglc", 1)
    assert any(one == other for one, _, other, _ in found)


def test_without_a_margin_lsdb_warns_and_loses_a_match_and_with_one_it_does_neither(
    tmp_path: Path,
) -> None:
    # Two stars of the demo archive that are neighbours across the border of two pixels.
    for name, star in (("spoc", 672932260), ("qlp", 657621088)):
        tessloom.build(name, sector=23, out=tmp_path, archive="demo", targets=[star])
    expected = pairs(tmp_path, "spoc", "qlp", WIDTH)
    assert expected == {(672932260, 23, 657621088, 23): 1}

    with pytest.warns(RuntimeWarning, match="margin"), pytest.raises(RuntimeError, match="overlap"):
        match(open_with_lsdb(tmp_path / "spoc"), open_with_lsdb(tmp_path / "qlp"), WIDTH)

    tessloom.open(tmp_path)["qlp"].write_margin(WIDTH)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        found = match(open_with_lsdb(tmp_path / "spoc"), open_with_lsdb(tmp_path / "qlp"), WIDTH)
    assert found == expected
    assert not [warning for warning in raised if "margin" in str(warning.message)]


@pytest.mark.parametrize("name", NAMES)
def test_a_collection_with_margins_passes_the_strict_validation(name: str, margined: Path) -> None:
    from hats.io.validation import is_valid_catalog

    assert is_valid_catalog(margined / name, strict=True, verbose=False)
    collection = (margined / name / "collection.properties").read_text()
    assert "all_margins=margin_10arcs margin_600arcs\n" in collection
    assert "default_margin=margin_600arcs\n" in collection


@pytest.mark.parametrize("name", NAMES)
def test_a_margin_has_the_stars_near_each_pixel_as_they_are_in_it(
    name: str, margined: Path
) -> None:
    table, margin = read_table(margined, name), margin_table(margined, name)
    order = PIPELINES[name].healpix_order
    expected = set()
    for star, sector, ra, dec in zip(
        *(table[c].to_pylist() for c in ("object_id", "sector", "ra", "dec")), strict=True
    ):
        own, near = disc(ra, dec, order, WIDTH)
        expected |= {(star, sector, pixel) for pixel in near - {own}}
    keys = zip(*(margin[c].to_pylist() for c in ("object_id", "sector", "in")), strict=True)
    found = Counter(keys)
    assert expected
    assert expected <= set(found)
    assert set(found.values()) == {1}
    originals = {(row["object_id"], row["sector"]): repr(row) for row in table.to_pylist()}
    for row in margin.drop_columns(["in"]).to_pylist():
        assert repr(row) == originals[row["object_id"], row["sector"]]


def disc(ra: float, dec: float, order: int, arcsec: float) -> tuple[int, set[int]]:
    """Return the pixel of a place, and those of many points that are no farther than so much."""
    centre = SkyCoord(ra, dec, unit="deg")
    distances = np.repeat(np.linspace(0.05, 1, 20), 90) * arcsec
    points = centre.directional_offset_by(
        np.tile(np.arange(0, 360, 4), 20) * u.deg, distances * u.arcsec
    )
    pixels = lonlat_to_healpix(Longitude(points.ra), Latitude(points.dec), order)
    own = lonlat_to_healpix(Longitude([ra] * u.deg), Latitude([dec] * u.deg), order)
    return int(own[0]), {int(pixel) for pixel in pixels}


def corners(order: int) -> npt.NDArray[np.float64]:
    """Return places at and about corners of pixels, where the most pixels are near."""
    from cdshealpix.nested import vertices

    some = np.random.default_rng(4).integers(0, 12 * 4**order, 40).astype(np.uint64)
    # Those at the poles, and where three base pixels meet.
    lon, lat = vertices(np.append(some, [0, 4**order - 1, 4 * 4**order - 1]), order)
    places = np.stack([lon.deg.ravel(), lat.deg.ravel()], axis=1)
    places += np.random.default_rng(5).normal(0, WIDTH / 3600 / 2, places.shape)
    return np.asarray(np.clip(places, [-360, -90], [720, 90]), np.float64)


@pytest.mark.parametrize("order", [4, 5])
def test_no_pixel_within_a_margin_is_missed_and_none_beyond_twice_its_width_is_taken(
    order: int,
) -> None:
    places = corners(order)
    near = pixels_near(places[:, 0], places[:, 1], order, WIDTH)
    for (ra, dec), found in zip(places, near, strict=True):
        _, expected = disc(ra, dec, order, WIDTH)
        assert expected <= set(found.tolist())
        most, *_ = cone_search(
            Longitude(ra, u.deg), Latitude(dec, u.deg), 2.01 * WIDTH * u.arcsec, order, flat=True
        )
        assert set(found.tolist()) <= set(most.astype(np.int64).tolist())


def test_a_margin_disturbs_neither_cones_nor_searches_by_id(margined: Path) -> None:
    catalogue, table = open_with_lsdb(margined / "qlp"), read_table(margined, "qlp")
    star = shared_ids("qlp")[-1]
    rows = table.filter(pa.compute.equal(table["tic_id"], star))
    found = catalogue.id_search(values={"tic_id": star}).compute()
    assert sorted(found["sector"]) == sorted(rows["sector"].to_pylist())
    centre = sky(table)[0]
    inside = table.filter(pa.array(sky(table).separation(centre).deg < 5))
    cone = catalogue.cone_search(centre.ra.deg, centre.dec.deg, 5 * 3600).compute()
    assert sorted(cone["object_id"]) == sorted(inside["object_id"].to_pylist())


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_sees_no_margin(streaming: bool, margined: Path, tmp_path: Path) -> None:
    import datasets

    stars = datasets.load_dataset(
        str(margined), "qlp", split="s0023", streaming=streaming, cache_dir=str(tmp_path)
    )
    expected = read_table(margined, "qlp", 23)
    assert [star["object_id"] for star in stars] == expected["object_id"].to_pylist()
    first = next(iter(stars.with_format("arrow").iter(batch_size=1)))
    assert first["lightcurve"].type.field("time").type.value_type == pa.float64()
    time = first["lightcurve"].combine_chunks().field("time").flatten()
    assert time.to_pylist() == expected["lightcurve"][0]["time"].as_py()


def registered(root: Path) -> bool:
    return "margin_600arcs" in (root / "qlp" / "collection.properties").read_text()


def test_a_margin_that_a_build_has_overtaken_is_no_longer_used_until_it_is_written_again(
    tmp_path: Path,
) -> None:
    def build(limit: int) -> tessloom.Report:
        return tessloom.build("qlp", sector=23, out=tmp_path, archive="demo", limit=limit)

    build(20)
    tessloom.open(tmp_path)["qlp"].write_margin(WIDTH)
    assert registered(tmp_path)

    same = build(20)
    assert registered(tmp_path)
    assert "margin" not in str(same)

    more = build(30)
    assert not registered(tmp_path)
    assert "margin_600arcs is out of date and no longer used" in str(more)
    assert open_with_lsdb(tmp_path / "qlp").margin is None

    rows = tessloom.open(tmp_path)["qlp"].write_margin(WIDTH)
    assert registered(tmp_path)
    assert len(open_with_lsdb(tmp_path / "qlp").margin.compute()) == rows > 0
    assert "margin" not in str(build(30))


def test_an_interrupted_margin_is_not_named_and_is_written_anew(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tessloom.reading import margin

    root = shutil.copytree(dataset, tmp_path / "copied")
    catalogue = tessloom.open(root)["qlp"]
    whole = catalogue.write_margin(WIDTH)
    files = sorted((root / "qlp" / "margin_600arcs").rglob("*.parquet"))
    before = [path.read_bytes() for path in files]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(margin, "write_catalogue_directory", stop)
        with pytest.raises(KeyboardInterrupt):
            catalogue.write_margin(WIDTH)
    assert not registered(root)
    assert open_with_lsdb(root / "qlp").margin is None
    assert catalogue.write_margin(WIDTH) == whole
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("arcsec", [0, -1, 601, float("nan")])
def test_a_width_that_is_none_is_a_wrong_call(arcsec: float, dataset: Path) -> None:
    with pytest.raises(RequestError, match="give more than 0, 600 at most"):
        tessloom.open(dataset)["qlp"].write_margin(arcsec)
