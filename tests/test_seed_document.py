"""Every code block of the document that tessloom replaces the tool of, run as a user would."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from astropy.table import Table

from support import DATASETS3, ROOT

DOCUMENT = ROOT / ".." / "shared" / "seed" / "README-tess-ffi-dataset-builders.md"
ENTRY_POINTS = ("build_parent_sample.py", "qlp.py", "spoc.py", "tglc.py")
# What the document leaves to its reader to set before its blocks of Python.
GIVEN = """
sector_num = 23
tglc_data_path = hdf5_output_path = "./tiny_tglc"
fits_output_path = "./tiny_tglc/fits"
n_processes = 4
"""


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    if not DOCUMENT.exists():
        pytest.skip(f"needs the document {DOCUMENT}")
    found = re.findall(r"^```\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == 7
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the entry points and nothing else."""
    place = tmp_path / "empty"
    place.mkdir()
    for name in ENTRY_POINTS:
        shutil.copy(ROOT / name, place)
    return place


@pytest.fixture(scope="module")
def tiny_tglc(blocks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the blocks that build have run, one after the other."""
    place = tmp_path_factory.mktemp("seed")
    shutil.copy(ROOT / "tglc.py", place)
    run_python(GIVEN + blocks[1] + blocks[3], place)
    return place


def run_python(
    script: str, folder: Path, python: str | Path = sys.executable, **environment: str
) -> str:
    """Run a script from a file, as the blocks have no guard for what imports them again."""
    (folder / "script.py").write_text(script, "utf-8")
    return run_command([str(python), "script.py"], folder, **environment)


def run_command(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=os.environ | {"TESSLOOM_ARCHIVE": "demo"} | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("pipeline", ["qlp", "tglc", "spoc"])
def test_the_command_builds_a_sector(pipeline: str, blocks: list[str], folder: Path) -> None:
    command = " ".join(blocks[0].split("\n"))
    command = command.replace("['qlp', 'tglc', 'spoc']", pipeline)
    command = command.replace("[sector_number]", "23")
    command = command.replace("python ", f"{sys.executable} ", 1)
    run_command(["bash", "-c", command], folder)
    data = folder / "data"
    assert (data / "s0023_fits_download_script.sh").exists()
    assert (data / "s0023_target_list.csv").exists()
    assert len(Table.read(data / "s0023_catalog_tiny.hdf5")) == 100
    assert len(list((data / "fits").rglob("*.fits"))) == 100
    files = list(data.glob(f"{pipeline.upper()}/healpix=*/001-of-001.hdf5"))
    assert sum(len(h5py.File(file)["object_id"]) for file in files) == 100


def test_tiny_size_is_changed_in_the_script(folder: Path) -> None:
    script = folder / "build_parent_sample.py"
    text, count = re.subn(
        r"^_TINY_SIZE = 100\b", "_TINY_SIZE = 7", script.read_text("utf-8"), flags=re.MULTILINE
    )
    assert count == 1
    script.write_text(text, "utf-8")
    command = [sys.executable, "build_parent_sample.py", "--pipeline", "spoc", "-s", "23", "-t"]
    assert "7 of 7 light curves" in run_command([*command, "-n", "2"], folder)
    assert len(Table.read(folder / "data/s0023_catalog_tiny.hdf5")) == 7


def test_the_blocks_of_python_download_and_convert(tiny_tglc: Path) -> None:
    data = tiny_tglc / "tiny_tglc"
    assert len(Table.read(data / "s0023_catalog_tiny.hdf5")) == 100
    assert len(list((data / "fits").rglob("*.fits"))) == 100
    files = list(data.glob("TGLC/healpix=*/001-of-001.hdf5"))
    assert sum(len(h5py.File(file)["object_id"]) for file in files) == 100


def test_the_files_have_what_the_example_shows(blocks: list[str], tiny_tglc: Path) -> None:
    # The block is a dict whose values are types.
    names: dict[str, object] = {"arr_like": 2}
    exec(blocks[2], names)  # noqa: S102
    example = names["example"]
    assert isinstance(example, dict)
    series = example.pop("lightcurve")
    for path in (tiny_tglc / "tiny_tglc").glob("TGLC/healpix=*/*.hdf5"):
        with h5py.File(path) as file:
            assert {name: file[name].ndim for name in series} == series
            assert {name: file[name].ndim for name in example} == dict.fromkeys(example, 1)


def test_datasets_3_loads_them_through_the_script(
    blocks: list[str], tiny_tglc: Path, tmp_path: Path
) -> None:
    if not DATASETS3.exists():
        pytest.skip("needs a second environment: make test makes it")
    script = (
        blocks[4]
        + """
import datasets, h5py, json
star = dset[0]
# What the Multimodal Universe's cross-matching does with the builder: ask for some stars of files.
builder = datasets.load_dataset_builder(fp, data_files=data_files, trust_remote_code=True)
file = builder.config.data_files["train"][0]
wanted = h5py.File(file)["object_id"][:][::-2]
matched = [star["object_id"] for _, star in builder._generate_examples([file], [wanted])]
print(json.dumps({
    "version": datasets.__version__,
    "rows": len(dset),
    "names": sorted(star),
    "series": sorted(star["lightcurve"]),
    "time": tglc["train"][0]["lightcurve"]["time"],
    "tic_id": star["TIC_ID"].item(),
    "matched": matched == [name.decode() for name in wanted] and len(matched) > 0,
}))
"""
    )
    printed = run_python(script, tiny_tglc, DATASETS3, HF_HOME=str(tmp_path))
    star = json.loads(printed.splitlines()[-1])
    assert (star["version"], star["rows"], star["matched"]) == ("3.6.0", 100, True)
    names: dict[str, object] = {"arr_like": None}
    exec(blocks[2], names)  # noqa: S102
    example = names["example"]
    assert isinstance(example, dict)
    assert set(star["series"]) == set(example["lightcurve"])
    assert set(example) <= set(star["names"])
    written: dict[int, list[float]] = {}
    for path in (tiny_tglc / "tiny_tglc").glob("TGLC/healpix=*/*.hdf5"):
        with h5py.File(path) as file:
            ids, times = (file[name][:].tolist() for name in ("TIC_ID", "time"))
            written |= dict(zip(ids, times, strict=True))
    assert star["time"] == written[int(star["tic_id"])]


def test_later_versions_of_datasets_load_the_directory(tiny_tglc: Path, tmp_path: Path) -> None:
    script = """
from datasets import load_dataset
from tglc import TGLC, TGLC_Downloader

tglc = load_dataset("./tiny_tglc")
dset = tglc.with_format("numpy")["train"]
print(len(dset), dset[0]["time"].shape)
"""
    assert run_python(script, tiny_tglc, HF_HOME=str(tmp_path)).startswith("100 (")


def test_the_tests_are_found_from_their_folder(blocks: list[str]) -> None:
    change, command = blocks[5].split()[:2], blocks[5].split()[2]
    assert (change, command) == (["cd", "tests"], "pytest")
    # All of them, this one included, are what runs here.
    printed = run_command([sys.executable, "-m", "pytest", "--collect-only", "-q"], ROOT / "tests")
    assert "error" not in printed.splitlines()[-1]
    assert "test_seed_document.py::test_the_tests_are_found_from_their_folder" in printed


def test_the_tests_of_each_pipeline_run_alone(blocks: list[str]) -> None:
    commands = [line.split() for line in blocks[6].splitlines() if line.startswith("pytest")]
    assert commands == [["pytest", f"test_{name}.py"] for name in ("qlp", "spoc", "tglc")]
    for _, file in commands:
        command = [sys.executable, "-m", "pytest", file, "-p", "no:cacheprovider"]
        printed = run_command(command, ROOT / "tests")
        assert re.search(r"= \d+ passed in ", printed.splitlines()[-1])
