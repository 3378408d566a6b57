"""The dataset card and the Croissant file tell people and programs what a dataset is."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

import tessloom
from support import NAMES, partition_files, read_table
from tessloom.dataset.citations import bibtex
from tessloom.dataset.splits import Splits
from tessloom.demo import DemoServer, Faults
from tessloom.pipelines import PIPELINES

SECTORS = {"qlp": [23, 24, 56], "tglc": [23, 24], "spoc": [23, 24, 56]}
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def text(dataset: Path) -> str:
    return (dataset / "README.md").read_text("utf-8")


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table of a Markdown text, without its head."""
    runs = itertools.groupby(text.splitlines(), key=lambda line: line.startswith("|"))
    return [
        [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in list(lines)[2:]]
        for is_table, lines in runs
        if is_table
    ]


def in_bytes(size: str) -> float:
    number, unit = size.split()
    return float(number) * {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def test_the_card_has_the_numbers_of_each_pipeline(text: str, dataset: Path) -> None:
    rows = {name: rest for name, *rest in tables(text)[0]}
    assert list(rows) == list(NAMES)
    for name, (title, sectors, stars, light_curves, share, size) in rows.items():
        table = read_table(dataset, name)
        assert title == PIPELINES[name].title
        assert sectors == ", ".join(map(str, SECTORS[name]))
        assert int(light_curves) == len(table)
        assert int(stars) == len(set(table[PIPELINES[name].id_name].to_pylist()))
        assert share == "100 %"
        files = [path for path in partition_files(dataset).values() if name in path.parts]
        assert in_bytes(size) == pytest.approx(sum(p.stat().st_size for p in files), rel=0.01)


def test_the_card_has_the_numbers_of_each_sector(text: str, dataset: Path) -> None:
    rows = {(name, int(sector)): rest for name, sector, *rest in tables(text)[1]}
    assert list(rows) == [(name, sector) for name in NAMES for sector in SECTORS[name]]
    for (name, sector), (written, asked, share, size, failures) in rows.items():
        assert int(written) == int(asked) == len(read_table(dataset, name, sector))
        assert (share, failures) == ("100 %", "—")
        files = partition_files(dataset).values()
        own = [path for path in files if name in path.parts and path.stem == f"s{sector:04d}"]
        assert in_bytes(size) == pytest.approx(sum(p.stat().st_size for p in own), rel=0.01)


def test_the_card_declares_a_config_for_each_pipeline_and_a_split_for_each_sector(
    dataset: Path, text: str
) -> None:
    data = DatasetCard.load(dataset / "README.md").data.to_dict()
    splits = {
        config["config_name"]: [files["split"] for files in config["data_files"]]
        for config in data["configs"]
    }
    assert splits == {name: [f"s{s:04d}" for s in SECTORS[name]] for name in NAMES}
    for config in data["configs"]:
        for files in config["data_files"]:
            assert list(dataset.glob(files["path"]))
    assert data["license"]
    assert all(PIPELINES[name].citation in text for name in NAMES)


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
def test_what_could_not_be_had_stands_on_the_card_with_its_reasons(
    kind: str, tmp_path: Path
) -> None:
    with DemoServer(Faults(missing=0.3, html=0.2, nan=0.2)) as poor:
        tessloom.build("qlp", sector=23, out=tmp_path, archive=poor.address, limit=60, format=kind)
    (status,) = tessloom.read_status(tmp_path)
    assert len(status.reasons()) > 1
    ((_, _, written, asked, share, _, failures),) = tables((tmp_path / "README.md").read_text())[1]
    assert (int(written), int(asked)) == (status.written, status.asked)
    assert float(share.removesuffix(" %")) == pytest.approx(100 * status.written / 60, abs=0.1)
    said = [failure.split(" ", 1) for failure in failures.split(", ")]
    assert {reason: int(count) for count, reason in said} == status.reasons()


def test_one_light_curve_that_is_missing_is_never_rounded_away() -> None:
    from tessloom.dataset.card import _share
    from tessloom.dataset.summary import SectorSummary

    assert _share(SectorSummary(asked=1_000_000, written=999_999)) == "99.9 %"
    assert _share(SectorSummary(asked=1_000_000, written=1_000_000)) == "100 %"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (999_499, "999 kB"), (999_700, "1 MB"), (4.5e13, "45 TB")],
)
def test_a_size_has_three_digits_and_a_unit(size: float, text: str) -> None:
    from tessloom.dataset.summary import size_text

    assert size_text(size) == text


@pytest.mark.parametrize("name", NAMES)
def test_every_column_stands_on_the_card_with_its_unit_and_source(
    name: str, text: str, dataset: Path
) -> None:
    rows = tables(text)[2 + NAMES.index(name)]
    schema = pq.read_schema(dataset / name / "catalog" / "dataset" / "_common_metadata")
    fields = {field.name: field for field in schema if field.name != "lightcurve"}
    fields |= {f"lightcurve.{field.name}": field for field in schema.field("lightcurve").type}
    assert [row[0] for row in rows] == list(fields)
    for column, kind, unit, description, fits in rows:
        metadata = fields[column].metadata
        assert unit == metadata.get(b"unit", b"").decode()
        assert description == metadata[b"description"].decode()
        assert fits == metadata.get(b"fits", b"").decode()
        assert kind.startswith("list of ") == column.startswith("lightcurve.")
        stored = fields[column].type
        element = stored.value_type if pa.types.is_list(stored) else stored
        names = {"double": "float64", "float": "float32"}
        assert kind.removeprefix("list of ") == names.get(str(element), str(element))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("reader", "result"),
    [
        ("tessloom.open", "bright"),
        ("lsdb", "flux"),
        ("load_dataset", "stars"),
        ("pyarrow", "stars"),
        ("duckdb", "bright"),
        ("polars", "bright"),
        ("Splits", "in_training"),
    ],
)
def test_each_way_of_opening_it_that_the_card_shows_works(
    reader: str, result: str, text: str, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dataset)
    (code,) = (code for code in CODE.findall(text) if reader in code)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - that is what the reader of the card does
    assert len(names[result]) > 0 if result != "bright" else names[result] is not None


def test_the_split_on_the_card_is_the_one_that_is_made(text: str) -> None:
    words = " ".join(text.split())
    first, second = map(
        float, re.findall(r"`train` has those below ([\d.]+), .*? to ([\d.]+)", words)[0]
    )
    ids = np.random.default_rng(1).integers(1, 2**40, 2000)
    for split, low, high in (
        ("train", 0.0, first),
        ("validation", first, second),
        ("test", second, 1.0),
    ):
        expected = [low <= _fraction(int(star)) < high for star in ids]
        assert Splits().holds(split, ids).tolist() == expected


def _fraction(star: int) -> float:
    """Return the number that the card describes, by Python's own integers."""
    mixed = (star + 0x9E3779B97F4A7C15) % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> shift)) * factor % 2**64
    mixed ^= mixed >> 31
    return float((mixed >> 11) / 2**53)


def test_the_card_says_that_the_data_is_synthetic_to_people_and_programs(
    dataset: Path, hdf5: Path
) -> None:
    for root in (dataset, hdf5):
        card = DatasetCard.load(root / "README.md")
        assert card.data.to_dict()["synthetic"] is True
        assert "Synthetic data" in card.text
        assert "SYNTHETIC" in json.loads((root / "croissant.json").read_text())["description"]


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_real_light_curves_are_not_called_synthetic(realdata: Path, tmp_path: Path) -> None:
    tessloom.build("spoc", sector=24, out=tmp_path, archive=str(realdata))
    card = DatasetCard.load(tmp_path / "README.md")
    assert "synthetic" not in card.data.to_dict()
    assert "ynthetic" not in card.text
    assert "SYNTHETIC" not in (tmp_path / "croissant.json").read_text()


def test_the_card_has_the_licence_and_the_bibtex_of_mission_and_pipelines(text: str) -> None:
    assert "creativecommons.org/licenses/by/4.0" in text
    assert text.count("@article") == 6
    assert "10.1117/1.JATIS.1.1.014003" in text
    for name in NAMES:
        assert f"doi:{PIPELINES[name].doi}" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_bibtex_of_a_pipeline_agrees_with_its_bibcodes(name: str) -> None:
    entries = [
        dict(re.findall(r"(\w+) += \{+(.*?)\}+", e))
        for e in bibtex([PIPELINES[name]]).split("@article")[2:]
    ]
    assert len(entries) == len(PIPELINES[name].bibcodes)
    for bibcode, entry in zip(PIPELINES[name].bibcodes, entries, strict=True):
        assert entry["year"] == bibcode[:4]
        assert entry["volume"] == bibcode[9:13].strip(".")
        assert entry["eid"] == bibcode[14:18].strip(".")
        assert entry["author"][0] == bibcode[18]
        assert f"{entry['volume']}, {entry['eid']}" in PIPELINES[name].citation


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
def test_a_build_with_nothing_new_leaves_the_card_as_it_is(kind: str, tmp_path: Path) -> None:
    def build(name: str) -> tessloom.Report:
        return tessloom.build(name, sector=23, out=tmp_path, archive="demo", limit=5, format=kind)

    build("tglc")
    card, croissant = tmp_path / "README.md", tmp_path / "croissant.json"
    # As if it had been built some days ago.
    dated = re.sub(r'("datePublished": ")[\d-]+', r"\g<1>2020-02-29", croissant.read_text("utf-8"))
    croissant.write_text(dated, "utf-8")
    before = [card.read_bytes(), croissant.read_bytes()]
    assert b"2020-02-29" in before[1]
    assert build("tglc").built == 0
    assert [card.read_bytes(), croissant.read_bytes()] == before
    assert build("qlp").built > 0
    assert b"2020-02-29" not in croissant.read_bytes()


def test_the_card_of_hdf5_describes_its_arrays(hdf5: Path) -> None:
    text = (hdf5 / "README.md").read_text("utf-8")
    data = DatasetCard.load(hdf5 / "README.md").data.to_dict()
    for name, rows in zip(("qlp", "spoc"), tables(text)[2:], strict=True):
        (features,) = (
            info["features"] for info in data["dataset_info"] if info["config_name"] == name
        )
        assert [row[0] for row in rows] == [feature["name"] for feature in features]
        described = {row[0]: row for row in rows}
        assert described["time"][1:3] == ["list of float64", "d"]
        assert described["ra"][1:3] == ["float64", "deg"]
        assert all(row[3] != "—" for row in rows)
        assert described["RA"][3] == described["ra"][3] == "Right ascension, ICRS"
