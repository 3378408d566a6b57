"""Verifying a dataset: what is sound passes, and each kind of damage is found and named."""

import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

import tessloom
from support import partition_files, run
from tessloom.building.verification import verify
from tessloom.dataset._protocol import DatasetFormat
from tessloom.dataset.formats import FORMATS, find_format
from tessloom.dataset.layout import LOCK
from tessloom.dataset.listing_file import read_listing_file, write_listing_file
from tessloom.dataset.partition_checks import check_file
from tessloom.dataset.receipt import Receipt
from tessloom.dataset.verification import Problem, Verification
from tessloom.errors import DatasetLockedError, RequestError
from tessloom.pipelines import PIPELINES, Pipeline

Change = Callable[[list[pa.RecordBatch], Receipt], tuple[list[pa.RecordBatch], Receipt]]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a dataset in each format."""
    root = tmp_path_factory.mktemp("verify")
    for format_name in FORMATS:
        for name in ("qlp", "tglc"):
            tessloom.build(
                name,
                sector=[23, 24],
                out=root / format_name,
                archive="demo",
                limit=12,
                format=format_name,
            )
    return {format_name: root / format_name for format_name in FORMATS}


@pytest.fixture(params=FORMATS)
def built(request: pytest.FixtureRequest, datasets: dict[str, Path]) -> Path:
    return datasets[request.param]


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """Return a dataset to be damaged."""
    return Path(shutil.copytree(built, tmp_path / "copy"))


@pytest.fixture
def catalogue(datasets: dict[str, Path], tmp_path: Path) -> Path:
    """Return a HATS dataset to be damaged."""
    return Path(shutil.copytree(datasets["parquet"], tmp_path / "copy"))


def format_of(out: Path) -> DatasetFormat:
    found = find_format(out)
    assert found is not None
    return found


def qlp(out: Path) -> Pipeline:
    return format_of(out).declare(PIPELINES["qlp"])


def qlp_files(out: Path, sector: int = 23) -> list[Path]:
    """Return the QLP files of a sector, those with the most light curves first."""
    dataset_format = format_of(out)
    paths = [p for _, s, p in dataset_format.partitions(out, qlp(out)) if s == sector]
    return sorted(paths, key=lambda path: -dataset_format.read_receipt(path).written)


def written_anew(out: Path, path: Path, change: Change) -> None:
    """Write a partition again with other light curves or another receipt, and a check sum."""
    dataset_format = format_of(out).written_with(path, qlp(out))
    batches = list(dataset_format.read_rows(path, qlp(out)))
    batches, receipt = change(batches, dataset_format.read_receipt(path))
    writer = dataset_format.writer(path, qlp(out))
    for batch in batches:
        writer.write(batch)
    writer.close(receipt)


def only_problem(out: Path, path: Path) -> Problem:
    """Return what is wrong with a file, which is all that is wrong but for what follows of it."""
    found = verify(out)
    assert not found.sound
    own = [problem for problem in found.problems if problem.path == path]
    assert own, found
    assert {problem.path.suffix for problem in found.problems} <= {path.suffix, ".properties", ""}
    return own[0]


def test_a_sound_dataset_passes(built: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = verify(built)
    files = partition_files(built)
    assert (found.problems, found.missing, found.notes) == ((), (), ())
    assert found.sound
    assert found.complete
    assert found.files == len(files)
    assert found.light_curves == 48
    assert found.bytes_read == sum(path.stat().st_size for path in files.values())
    assert capfd.readouterr() == ("", "")
    assert "Everything is sound." in str(found)


def test_all_pipelines_and_eras_pass(dataset: Path) -> None:
    found = verify(dataset)
    assert found.problems == ()
    assert found.light_curves > 150


def test_the_dataset_of_another_choice_of_arrays_passes(tmp_path: Path) -> None:
    for name in PIPELINES:
        tessloom.build(
            name, sector=23, out=tmp_path, archive="demo", limit=9, format="hdf5", features="flux"
        )
    found = verify(tmp_path, against_archive=8)
    assert (found.problems, found.compared) == ((), 8)


def test_the_command_prints_what_was_found(out: Path) -> None:
    result = run("verify", out)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("Everything is sound.\n")
    path = qlp_files(out)[0]
    path.write_bytes(path.read_bytes()[:-50])
    result = run("verify", out, "--json")
    assert result.returncode
    content = json.loads(result.stdout)
    assert content["sound"] is False
    assert str(path) in [problem["path"] for problem in content["problems"]]


def test_a_flipped_bit_is_found(out: Path) -> None:
    path = qlp_files(out)[0]
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    problem = only_problem(out, path)
    assert "check sum" in problem.what
    assert "run the same build again" in problem.advice


def test_a_flipped_byte_is_found_wherever_it_is(out: Path) -> None:
    path = qlp_files(out)[0]
    place = (format_of(out), qlp(out), format_of(out).read_receipt(path).pixel, 23, path)
    assert not check_file(*place).problems
    body = path.read_bytes()
    chance = random.Random(4)  # noqa: S311
    ends = [*range(8), *range(len(body) - 12, len(body))]
    for offset in [*ends, *(chance.randrange(len(body)) for _ in range(200))]:
        damaged = bytearray(body)
        damaged[offset] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        assert check_file(*place).problems, offset


@pytest.mark.parametrize("size", [0, 3, 5000, -1])
def test_a_truncated_file_is_found(out: Path, size: int) -> None:
    path = qlp_files(out)[0]
    path.write_bytes(path.read_bytes()[:size])
    assert only_problem(out, path).what.startswith(("is damaged", "has changed"))


def test_files_that_have_changed_places_are_found(out: Path) -> None:
    one, other = qlp_files(out)[:2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    found = verify(out)
    for path in (one, other):
        assert any(p.path == path and "belongs elsewhere" in p.what for p in found.problems)


def test_a_light_curve_less_is_found(out: Path) -> None:
    path = qlp_files(out)[0]
    written_anew(out, path, lambda batches, receipt: ([batches[0].slice(1)], receipt))
    found = verify(out)
    whats = [problem.what for problem in found.problems if problem.path == path]
    assert any("light curves, its receipt says" in what for what in whats)
    assert any("lacks 1 light curves of the listing" in what for what in whats)


def test_a_light_curve_twice_is_found(out: Path) -> None:
    path = qlp_files(out)[0]

    def twice(
        batches: list[pa.RecordBatch], receipt: Receipt
    ) -> tuple[list[pa.RecordBatch], Receipt]:
        return [batches[0].slice(0, 1), *batches], replace(
            receipt, written=receipt.written + 1, asked=receipt.asked + 1
        )

    written_anew(out, path, twice)
    assert "has 1 light curves that the listing lacks" in only_problem(out, path).what


def test_the_receipt_of_another_pixel_is_found(out: Path) -> None:
    path = qlp_files(out)[0]
    written_anew(out, path, lambda batches, receipt: (batches, replace(receipt, pixel=1)))
    assert "belongs elsewhere: its receipt is of qlp, sector 23, pixel 1" in str(
        only_problem(out, path)
    )


def test_a_receipt_that_does_not_add_up_is_found(out: Path) -> None:
    path = qlp_files(out)[0]
    written_anew(
        out, path, lambda batches, receipt: (batches, replace(receipt, asked=receipt.asked - 1))
    )
    assert "has a receipt of" in only_problem(out, path).what


def test_rows_that_are_not_sorted_are_found(catalogue: Path) -> None:
    path = qlp_files(catalogue)[0]

    def reverse(
        batches: list[pa.RecordBatch], receipt: Receipt
    ) -> tuple[list[pa.RecordBatch], Receipt]:
        (batch,) = batches
        return [batch.take(pa.array(np.arange(len(batch))[::-1]))], receipt

    written_anew(catalogue, path, reverse)
    assert "is not sorted" in only_problem(catalogue, path).what


def test_lists_of_different_lengths_are_found(catalogue: Path) -> None:
    path = qlp_files(catalogue)[0]

    def shorten(
        batches: list[pa.RecordBatch], receipt: Receipt
    ) -> tuple[list[pa.RecordBatch], Receipt]:
        (batch,) = batches
        curves = batch.column("lightcurve")
        lists = [curves.field(n) for n in range(curves.type.num_fields)]
        lists[1] = pc.list_slice(lists[1], 0, 5).cast(lists[1].type)
        curves = pa.StructArray.from_arrays(lists, fields=list(curves.type))
        columns = [*batch.columns[:-1], curves]
        return [pa.RecordBatch.from_arrays(columns, schema=batch.schema)], receipt

    written_anew(catalogue, path, shorten)
    assert "not lists of one length" in only_problem(catalogue, path).what


def test_a_target_more_in_the_listing_is_still_to_be_built(out: Path) -> None:
    path = format_of(out).listing_path(out, qlp(out), 23)
    listing = read_listing_file(path)
    extra = listing.targets.slice(0, 1)
    extra = extra.set_column(0, extra.schema.field(0), pa.array([99_999_999_999]))
    write_listing_file(path, replace(listing, targets=pa.concat_tables([listing.targets, extra])))
    found = verify(out)
    assert found.sound
    (missing,) = found.missing
    assert (missing.pipeline, missing.sector, missing.light_curves) == ("qlp", 23, 1)
    assert missing.path is not None
    assert "1 light curves in 1 partitions still have to be built" in str(found)


def test_a_target_less_in_the_listing_is_found(out: Path) -> None:
    path = format_of(out).listing_path(out, qlp(out), 23)
    listing = read_listing_file(path)
    gone = listing.targets["id"][0].as_py()
    write_listing_file(path, replace(listing, targets=listing.targets.slice(1)))
    found = verify(out)
    assert len(found.problems) == 1
    what = found.problems[0].what
    assert str(gone) in what or "what no listing asks for" in what


def test_a_damaged_listing_is_found(out: Path) -> None:
    path = format_of(out).listing_path(out, qlp(out), 23)
    path.write_bytes(path.read_bytes()[:-9])
    assert "damaged" in only_problem(out, path).what


def test_a_file_that_is_gone_is_still_to_be_built(out: Path) -> None:
    path = qlp_files(out)[0]
    count = format_of(out).read_receipt(path).written
    path.unlink()
    found = verify(out)
    assert [missing.light_curves for missing in found.missing] == [count]
    assert path not in [problem.path for problem in found.problems]
    assert not found.complete


def test_a_stranger_among_the_files_is_found(out: Path) -> None:
    for name, text in (("notes.csv", b"1,2"), (f"x{qlp_files(out)[0].name}", b"PAR1")):
        stranger = qlp_files(out)[0].with_name(name)
        stranger.write_bytes(text)
        problem = only_problem(out, stranger)
        assert "no partition" in problem.what
        assert "Move it" in problem.advice
        stranger.unlink()


def test_a_file_that_no_listing_asks_for_is_found(out: Path) -> None:
    path = format_of(out).listing_path(out, qlp(out), 23)
    listing = read_listing_file(path)
    write_listing_file(path, replace(listing, targets=listing.targets.slice(0, 0)))
    found = verify(out)
    asked = {p.path for p in found.problems if "what no listing asks for" in p.what}
    assert asked == set(qlp_files(out))


def test_a_listing_that_is_gone_is_found_and_no_file_is_to_be_removed(out: Path) -> None:
    path = format_of(out).listing_path(out, qlp(out), 23)
    path.unlink()
    (problem,) = verify(out).problems
    assert (problem.path, problem.what) == (path, "is missing")
    assert problem.advice == "Run the same build again, which writes it anew."


def test_what_a_build_has_left_half_written_is_a_note(out: Path) -> None:
    path = qlp_files(out)[0]
    path.with_name(f".{path.name}.1-1.partial").write_bytes(b"half")
    found = verify(out)
    assert found.sound
    assert "1 files that a build left half written" in found.notes[0]


def test_an_index_without_an_id_is_found(catalogue: Path) -> None:
    index = catalogue / "qlp" / "index_tic_id"
    part = index / "dataset" / "index" / "part.0.parquet"
    table = pq.read_table(part)
    pq.write_table(table.slice(1), part)
    (problem,) = (p for p in verify(catalogue).problems if p.path == index)
    assert f"lacks ids that the light curves have: {table['tic_id'][0]}" in problem.what
    moved = table.set_column(2, "Npix", pa.array(np.roll(table["Npix"].to_numpy(), 1)))
    pq.write_table(moved, part)
    whats = [p.what for p in verify(catalogue).problems if p.path == index]
    assert any("has ids in pixels where no light curve has them" in what for what in whats)


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("partition_info.csv", "Norder,Npix\n5,", "Norder,Npix\n5,1", "pixels"),
        ("hats.properties", "hats_nrows=24", "hats_nrows=25", "there are 24"),
        ("properties", "hats_nrows=24", "", "can't be read"),
    ],
)
def test_metadata_that_does_not_agree_is_found(
    catalogue: Path, name: str, old: str, new: str, what: str
) -> None:
    path = catalogue / "qlp" / "catalog" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    (problem,) = (p for p in verify(catalogue).problems if p.path == path)
    assert what in problem.what


def test_a_collection_that_hats_refuses_is_found(
    catalogue: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (catalogue / "qlp" / "collection.properties").unlink()
    problem = only_problem(catalogue, catalogue / "qlp")
    assert "is no valid HATS collection" in problem.what
    assert capfd.readouterr() == ("", "")


def test_without_hats_its_validation_is_skipped_and_said_to_be(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hats.io.validation", None)
    found = verify(catalogue)
    assert found.sound
    assert "pip install 'tessloom[lsdb]'" in found.notes[0]


def test_a_file_without_a_check_sum_is_noted(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for module in ("parquet", "hdf5"):
            patch.setattr(f"tessloom.dataset.{module}.BLANK", "")
            patch.setattr(f"tessloom.dataset.{module}.seal", lambda _path: "")
        written_anew(out, qlp_files(out)[0], lambda batches, receipt: (batches, receipt))
    found = verify(out)
    assert found.sound
    assert found.notes == ("1 files have no check sum: an older tessloom wrote them.",)


def test_a_dataset_that_is_being_built_is_not_verified(out: Path) -> None:
    with (
        filelock.FileLock(out / LOCK),
        pytest.raises(DatasetLockedError, match="verify it when that is done"),
    ):
        verify(out)


def test_where_there_is_no_dataset_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no tessloom dataset"):
        verify(tmp_path)


def test_light_curves_are_compared_with_the_archive(built: Path) -> None:
    found = verify(built, against_archive=20)
    assert found.sound
    assert found.compared == 20
    assert "20 light curves were compared with the archive's." in str(found)
    assert verify(built, against_archive=1000).compared == 48


@pytest.fixture
def kept(tmp_path: Path, built: Path) -> tuple[Path, Path]:
    """Return a dataset and the folder of FITS files that it was built from."""
    folder, out = tmp_path / "fits", tmp_path / "from_folder"
    name = format_of(built).name
    for archive, directory in (("demo", tmp_path / "first"), (str(folder), out)):
        tessloom.build(
            "qlp",
            sector=23,
            out=directory,
            archive=archive,
            limit=8,
            format=name,
            keep_fits=folder if archive == "demo" else None,
        )
    return out, folder


def verified(out: Path, folder: Path) -> Verification:
    return verify(out, against_archive=100, archive=str(folder))


def test_a_value_that_the_archive_has_otherwise_is_found(kept: tuple[Path, Path]) -> None:
    out, folder = kept
    assert verify(out, against_archive=100).sound
    path = min(folder.rglob("*.fits"))
    with fits.open(path, mode="update") as hdus:
        identifier = hdus[0].header["TICID"]
        hdus[1].data["SAP_FLUX"][7] += 1
        hdus[1].add_datasum()
        hdus[1].add_checksum()
    found = verified(out, folder)
    (problem,) = found.problems
    assert found.compared == 8
    assert f"differs from the archive for {identifier} in sap_flux" in problem.what


def test_a_light_curve_that_the_archive_has_no_more_is_found(kept: tuple[Path, Path]) -> None:
    out, folder = kept
    min(folder.rglob("*.fits")).unlink()
    found = verified(out, folder)
    (problem,) = found.problems
    assert found.compared == 7
    assert "which the archive does not give any more (missing: " in problem.what
