"""What is asked for, as people and libraries write it: ids, sectors, conditions, places."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.coordinates import FK5, SkyCoord

import tessloom
from support import NAMES, read_table, shared_ids
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.reading import Catalogue


@pytest.fixture(scope="module")
def opened(dataset: Path) -> tessloom.Dataset:
    return tessloom.open(dataset)


@pytest.fixture(scope="module")
def qlp(opened: tessloom.Dataset) -> Catalogue:
    return opened["qlp"]


def test_no_comparison_holds_where_there_is_no_value(opened: tessloom.Dataset) -> None:
    tglc = opened["tglc"]
    valid = len(tglc.select(["tic_id"], where="tic_id is not null"))
    assert valid < len(tglc)
    for condition in (
        "tic_id not in (1, 2)",
        "not (tic_id in (1, 2))",
        "not (tic_id = 1 or tic_id = 2)",
        pc.invert(pc.equal(pc.field("tic_id"), 1)),
    ):
        assert len(tglc.select(["tic_id"], where=condition)) == valid


@pytest.mark.parametrize(
    "written",
    [int, str, float, np.int64, np.float64, np.array, pa.scalar, "TIC {}".format, " tic{} ".format],
)
def test_an_id_is_taken_as_libraries_and_people_write_it(
    written: Callable[[int], Any], qlp: Catalogue
) -> None:
    star = shared_ids("qlp")[0]
    expected = qlp.light_curve(tic=star)
    for found in (qlp.light_curve(tic=written(star)), qlp.light_curve(written(star))):
        assert found.headers == expected.headers


def test_a_gaia_id_is_no_float_but_may_be_a_text(opened: tessloom.Dataset) -> None:
    star = shared_ids("tglc")[0]
    expected = opened["tglc"].light_curve(gaia=star).headers
    assert opened["tglc"].light_curve(f"Gaia DR3 {star}").headers == expected
    assert opened["tglc"].light_curve(gaia=str(star)).headers == expected
    with pytest.raises(RequestError, match="can't hold all digits"):
        opened["tglc"].light_curve(gaia=float(star))  # type: ignore[arg-type]
    with pytest.raises(NotInDatasetError, match="has no Gaia ids"):
        opened["qlp"].light_curve(f"Gaia DR3 {star}")


def test_no_id_changes_on_its_way_to_pandas(dataset: Path, opened: tessloom.Dataset) -> None:
    import pandas as pd

    names = ["tic_id", "gaia_dr3_id", "gaia_dr2_id", "sector", "cut_x"]
    table = read_table(dataset, "tglc")
    assert table["tic_id"].null_count
    frame = opened["tglc"].select(["_healpix_29", *names]).to_pandas()
    frame = frame.sort_values(["_healpix_29", "sector"], kind="stable")
    table = table.sort_by([("_healpix_29", "ascending"), ("sector", "ascending")])
    for name in names:
        found = [None if pd.isna(value) else value for value in frame[name]]
        assert found == table[name].to_pylist(), name
        assert "int" in str(frame[name].dtype).lower(), name


@pytest.mark.parametrize(
    "sector",
    ["23", np.int16(23), 23.0, pa.scalar(23), [23], {"23"}, np.array([23]), range(23, 24), "1-23"],
)
def test_a_sector_is_taken_as_the_command_line_and_libraries_write_it(
    sector: Any, dataset: Path, qlp: Catalogue
) -> None:
    star = shared_ids("qlp")[0]
    assert len(qlp.select(sector=sector)) == len(read_table(dataset, "qlp", 23)) > 0
    assert qlp.light_curve(tic=star, sector=sector).sectors == (23,)


@pytest.mark.parametrize("sector", [True, [], "x", "", [23, None], 1.5, b"23", 0, "24-23"])
def test_what_is_no_sector_is_an_error(sector: Any, qlp: Catalogue) -> None:
    for ask in (qlp.select, qlp.torch, qlp.targets):
        with pytest.raises(RequestError):
            ask(sector=sector)
    with pytest.raises(RequestError):
        qlp.light_curve(tic=shared_ids("qlp")[0], sector=sector)


@pytest.mark.parametrize("sector", [99, [23, 99], "90-99"])
def test_a_sector_that_was_not_built_is_an_error_that_names_those_that_were(
    sector: Any, qlp: Catalogue
) -> None:
    for ask in (qlp.select, qlp.targets):
        with pytest.raises(NotInDatasetError, match="it has 23, 24, 56"):
            ask(sector=sector)
    with pytest.raises(NotInDatasetError, match="it has 23, 24, 56"):
        qlp.cone(0, 0, 1, sector=sector)


def test_a_star_in_other_sectors_is_an_error_that_names_them(qlp: Catalogue) -> None:
    with pytest.raises(NotInDatasetError, match="in sector 99; it has it in 23, 24"):
        qlp.light_curve(tic=shared_ids("qlp")[0], sector=99)


@pytest.mark.parametrize(
    ("sql", "python"),
    [
        ("sector = 23 AND tess_mag <> 10", "sector == 23 and tess_mag != 10"),
        ("NOT sector IN (23)", "sector not in (23,)"),
        ("teff IS NOT NULL OR logg Is Null", "teff is not None or logg is None"),
        ("TESS_MAG < 11\n  and sector = '23'", "tess_mag < 11 and sector == 23"),
        ("sector < 100000", "sector > 0"),
    ],
)
def test_a_condition_may_be_spelled_as_in_sql(sql: str, python: str, qlp: Catalogue) -> None:
    ids = [qlp.select(["object_id", "sector"], where).to_arrow() for where in (sql, python)]
    assert ids[0].equals(ids[1])
    assert len(ids[0]) > 0


def test_numbers_find_ids_that_are_text_and_floats_that_are_short(
    dataset: Path, opened: tessloom.Dataset
) -> None:
    qlp, table = opened["qlp"], read_table(dataset, "qlp")
    identifier, magnitude = table["object_id"][0].as_py(), table["tess_mag"].to_numpy()[0]
    assert len(qlp.select(where=f"object_id == {identifier}")) >= 1
    assert len(qlp.select(where=f"object_id in ('{identifier}')")) >= 1
    number = int((table["tess_mag"].to_numpy() == magnitude).sum())
    for where in (f"tess_mag = {magnitude}", f"tess_mag in ({magnitude},)"):
        assert len(qlp.select(where=where)) == number, where
    edge = opened["tglc"].select(where="near_edge == 1")
    assert len(edge) == sum(read_table(dataset, "tglc")["near_edge"].to_pylist())


def test_an_expression_of_pyarrow_is_a_condition(dataset: Path, qlp: Catalogue) -> None:
    expected = (np.abs(read_table(dataset, "qlp")["dec"].to_numpy()) < 10).sum()
    assert len(qlp.select(where=pc.abs(pc.field("dec")) < 10)) == expected > 0


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("tess_mag < 'x'", "numbers"),
        ("tess_mag < True", "numbers"),
        ("sector == 23.5", "whole numbers"),
        ("tic_id == 99999999999999999999", "64 bits"),
        ("tic_id in (1, None)", "is null"),
        ("'5' in tic_id", "a list"),
        ("object_id in '217639630'", "a list"),
        ("object_id < 100", "neither less nor more"),
        ("tic_id = object_id", "does not fit"),
        ("abs(dec) < 5", r"'abs\(dec\)' is no column, number or text.*pc.abs"),
        ("dec + 1 < 5", "'dec [+] 1' is no column.*pyarrow"),
        ("object_id LIKE '2%'", "is no condition.*patterns"),
        ("tess_mag is 5", "for null alone"),
        ("'abc", "is no condition"),
        ("(" * 5000 + "sector == 1" + ")" * 5000, "no condition|too deeply"),
        ("not " * 20_000 + "near_edge", "too deeply|no condition"),
        (" or ".join(f"tic_id = {n}" for n in range(2000)), "take 'in' a list"),
        (5, "where is 5"),
        (pc.field("nothing") > 1, "does not fit"),
        (pc.field("dec") + 1, "not true or false"),
    ],
)
def test_a_condition_that_can_t_hold_is_an_error_in_words_at_once(
    where: Any, error: str, opened: tessloom.Dataset
) -> None:
    with pytest.raises(RequestError, match=error) as caught:
        opened["tglc"].select(["tic_id"], where)
    assert " object at 0x" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("columns", [[1], [], [None], "flux", 5])
def test_what_names_no_columns_is_an_error(columns: Any, qlp: Catalogue) -> None:
    with pytest.raises(RequestError):
        qlp.select(columns)


def test_a_place_may_be_astropy_s(dataset: Path, qlp: Catalogue) -> None:
    table = read_table(dataset, "qlp")
    place = SkyCoord(table["ra"][0].as_py(), table["dec"][0].as_py(), unit="deg")
    ra, dec = place.ra.deg, place.dec.deg
    expected = qlp.cone(ra, dec, 6.0, columns=["object_id"]).to_arrow()
    assert len(expected) >= 1
    for asked in [
        (place, 6.0),
        (place, 360 * u.arcmin),
        (place.galactic, 6.0),
        (place.transform_to(FK5()), 6.0),
        (place.frame, 6.0),
        (ra * u.deg, dec * u.deg, 6.0 * u.deg),
        (place.ra, np.float64(dec), pa.scalar(6.0)),
    ]:
        assert qlp.cone(*asked, columns=["object_id"]).to_arrow().equals(expected)


@pytest.mark.parametrize(
    "asked",
    [
        ("10", 1, 1),
        (None, 1, 1),
        ([1], 1, 1),
        (1, 1),
        (1, 1, 1 * u.m),
        (1, 1, 181),
        (True, 1, 1),
        (SkyCoord([1, 2], [1, 2], unit="deg"), 1),
        (SkyCoord(1, 2, unit="deg"),),
        (SkyCoord(1, 2, unit="deg"), 1, 1),
    ],
)
def test_what_is_no_place_is_an_error(asked: tuple[Any, ...], qlp: Catalogue) -> None:
    with pytest.raises(RequestError):
        qlp.cone(*asked)


def test_a_cone_has_columns_and_conditions(dataset: Path, qlp: Catalogue) -> None:
    table = read_table(dataset, "qlp")
    found = qlp.cone(0, 0, 180, columns=["tic_id", "flux"], where="tess_mag < 10").to_arrow()
    assert found.column_names == ["tic_id", "flux"]
    assert len(found) == (table["tess_mag"].to_numpy() < 10).sum() > 0


def test_a_selection_prints_on_a_line_and_is_taken_by_what_takes_arrow(qlp: Catalogue) -> None:
    import duckdb
    import polars as pl

    selection = qlp.select(["tic_id", "sector"], "tess_mag < 10")
    assert repr(selection).startswith("<Quick-Look Pipeline (QLP): tic_id, sector of light curves")
    assert "\n" not in repr(qlp.select())
    expected = selection.to_arrow()
    assert pa.table(selection).equals(expected)
    assert pl.DataFrame(selection).equals(selection.to_polars())
    assert duckdb.execute("SELECT count(*) FROM selection").fetchall() == [(len(expected),)]
    with pytest.raises(TypeError, match="not iterable"):
        iter(selection)  # type: ignore[call-overload]


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _zeroed_inside(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[100 : len(body) // 2] = bytes(len(body) // 2 - 100)
    path.write_bytes(body)


@pytest.mark.parametrize(
    "spoil",
    [
        _truncated,
        _zeroed_inside,
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        lambda path: pa.parquet.write_table(pa.table({"tic_id": ["a"]}), path),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(
    spoil: Callable[[Path], object], dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(dataset / "qlp", tmp_path / "qlp")
    qlp = tessloom.open(tmp_path)["qlp"]
    path = qlp.select().paths[2]
    spoil(path)
    for ask in (qlp.select().to_arrow, qlp.cone(0, 0, 180).to_pandas, qlp.targets().to_arrow):
        with pytest.raises(DatasetError, match=str(path)):
            ask()


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_the_stars_with_their_sectors(
    name: str, dataset: Path, opened: tessloom.Dataset
) -> None:
    column = opened[name].pipeline.id_name
    table = read_table(dataset, name)
    expected: dict[int, list[int]] = {}
    for star, sector in zip(table[column].to_pylist(), table["sector"].to_pylist(), strict=True):
        expected.setdefault(star, []).append(sector)
    targets = opened[name].targets()
    found = targets.to_arrow()
    assert found[column].to_pylist() == sorted(expected)
    assert found["sectors"].to_pylist() == [sorted({*expected[star]}) for star in sorted(expected)]
    assert found["light_curves"].to_pylist() == [len(expected[star]) for star in sorted(expected)]
    assert len(targets) == len(targets.to_pandas()) == len(targets.to_polars()) == len(expected)
    some = opened[name].targets(["ra", "tess_mag"], sector="23").to_arrow()
    assert some.column_names == ["ra", "tess_mag", "sectors", "light_curves"]
    assert {*some["sectors"].combine_chunks().flatten().to_pylist()} == {23}
    with pytest.raises(RequestError, match="flux"):
        opened[name].targets(columns=["flux"])


@pytest.mark.parametrize("name", NAMES)
def test_a_catalogue_says_how_long_it_is_and_what_its_columns_are(
    name: str, dataset: Path, opened: tessloom.Dataset
) -> None:
    catalogue = opened[name]
    assert len(catalogue) == len(read_table(dataset, name))
    columns = {column.name: column for column in catalogue.columns}
    assert columns["time"][1:3] == ("float64", "d")
    assert columns["time"].description.startswith("BTJD: BJD - 2457000, TDB")
    assert columns["time"].where == "light curve"
    assert columns["tess_mag"][1:] == ("float32", "mag", "TESS magnitude", "header")
    assert len(catalogue.select(list(columns), sector=23).to_arrow().schema) == len(columns)
    assert repr(catalogue.columns).splitlines()[0].split() == [
        *("name", "dtype", "unit", "where", "description")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_many_stars_are_those_that_come_one_by_one(
    name: str, dataset: Path, opened: tessloom.Dataset
) -> None:
    argument = {"qlp": "tic", "tglc": "gaia", "spoc": "tic"}[name]
    column = opened[name].pipeline.id_name
    stars = read_table(dataset, name)[column]
    found = {
        curve.headers[0][column]: curve for curve in opened[name].light_curves(**{argument: stars})
    }
    assert found.keys() == set(stars.to_pylist())
    for star in shared_ids(name):
        one = opened[name].light_curve(**{argument: star})
        assert one.headers == found[star].headers
        for series, values in one.columns.items():
            np.testing.assert_array_equal(values, found[star][series])


def test_files_are_read_once_for_many_stars(
    qlp: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tessloom.dataset import opening
    from tessloom.reading import many_stars

    read = []

    def watched(path: Path) -> Any:
        read.append(path)
        return original(path)

    original = opening.parquet_file
    monkeypatch.setattr(many_stars, "parquet_file", watched)
    frame = qlp.targets(sector=23).to_pandas()
    curves = [*qlp.light_curves(tic=frame["tic_id"], sector=23)]
    assert len(curves) == len(frame)
    assert sorted(read) == sorted(qlp.select(sector=23).paths)


def test_stars_that_are_not_there_are_an_error_or_left_out(qlp: Catalogue) -> None:
    there = shared_ids("qlp")
    with pytest.raises(NotInDatasetError, match="tic_id 1, 2 from"):
        qlp.light_curves(tic=[2, 1, *there])
    assert len([*qlp.light_curves(tic=[1, *there], missing="skip")]) == len(there)
    with pytest.raises(NotInDatasetError, match="in sector 99"):
        [*qlp.light_curves(tic=there, sector=99)]
    assert [*qlp.light_curves(tic=there, sector=99, missing="skip")] == []
    for wrong in ({}, {"tic": "1"}, {"tic": [None]}, {"gaia": [1]}, {"tic": [], "missing": "no"}):
        with pytest.raises(RequestError):
            qlp.light_curves(**wrong)
