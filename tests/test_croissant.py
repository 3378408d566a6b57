"""The Croissant file tells programs what a dataset is."""

import json
from pathlib import Path
from typing import Any

import pytest

import tessloom
from support import NAMES
from tessloom.dataset.citations import bibtex
from tessloom.errors import DatasetError
from tessloom.pipelines import PIPELINES

# rdflib, which mlcroissant stands on, calls what it uses itself deprecated.
CROISSANT_WARNS = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")


def test_somebody_s_own_croissant_file_is_not_replaced(tmp_path: Path) -> None:
    own = tmp_path / "croissant.json"
    own.write_text('{"name": "mine"}')
    with pytest.raises(DatasetError, match=r"croissant\.json was not written by tessloom"):
        tessloom.build("qlp", sector=23, out=tmp_path, archive="demo", limit=1)
    assert own.read_text() == '{"name": "mine"}'


def croissant(root: Path) -> Any:
    import mlcroissant

    return mlcroissant.Dataset(jsonld=root / "croissant.json")


@CROISSANT_WARNS
def test_the_croissant_file_is_valid_without_a_warning(dataset: Path, hdf5: Path) -> None:
    for root, names in ((dataset, NAMES), (hdf5, ("qlp", "spoc"))):
        loaded = croissant(root)
        issues = loaded.metadata.ctx.issues
        assert (issues.errors, issues.warnings) == (set(), set())
        assert [record_set.id for record_set in loaded.metadata.record_sets] == list(names)


@CROISSANT_WARNS
def test_the_croissant_file_has_licence_citation_and_units(dataset: Path) -> None:
    assert json.loads((dataset / "croissant.json").read_text())["isLiveDataset"] is True
    metadata = croissant(dataset).metadata
    assert metadata.license == ["https://creativecommons.org/licenses/by/4.0/"]
    assert metadata.cite_as == bibtex(PIPELINES[name] for name in NAMES)
    for record_set in metadata.record_sets:
        fields = {field.id: field for field in record_set.fields}
        assert fields[f"{record_set.id}/ra"].description == "Right ascension, ICRS [deg]"
        lists = {field.id: field for field in fields[f"{record_set.id}/lightcurve"].sub_fields}
        assert lists[f"{record_set.id}/lightcurve/time"].description.endswith("[d]")


@CROISSANT_WARNS
def test_the_page_of_one_pipeline_is_its_own_and_that_of_several_is_none_of_theirs(
    dataset: Path, tmp_path: Path
) -> None:
    tessloom.build("tglc", sector=23, out=tmp_path, archive="demo", limit=1)
    alone, together = croissant(tmp_path).metadata, croissant(dataset).metadata
    assert alone.url == PIPELINES["tglc"].homepage
    assert together.url not in {PIPELINES[name].homepage for name in NAMES}
    assert all(PIPELINES[name].homepage.startswith(f"{together.url}/") for name in NAMES)
    assert together.same_as == [f"https://doi.org/{PIPELINES[name].doi}" for name in NAMES]


def test_hugging_face_is_not_led_astray_by_the_croissant_file(
    dataset: Path, hdf5: Path, tmp_path: Path
) -> None:
    import datasets

    for root, split in ((dataset, "s0023"), (hdf5, "train")):
        assert (root / "croissant.json").exists()
        stars = datasets.load_dataset(str(root), "qlp", split=split, cache_dir=str(tmp_path))
        assert {"object_id", "ra", "dec"} <= set(stars.column_names)
        assert len(stars) > 0
