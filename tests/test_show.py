"""`tessloom show`: a star's light curves, plotted in a terminal or into a file."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tessloom
from support import COMMAND, run, shared_ids
from tessloom.cli import app


@pytest.fixture(scope="module")
def shared_star(dataset: Path) -> int:
    """Return the TIC id of a star that all pipelines have."""
    return next(iter(tessloom.open(dataset).match("tic_id")))


def test_a_star_is_plotted_as_text_from_every_pipeline_that_has_it(
    dataset: Path, shared_star: int
) -> None:
    done = run("show", dataset, f"TIC {shared_star}", COLUMNS="90")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"TIC {shared_star}" in lines[0]
    assert "synthetic" in lines[0]
    assert [line for line in lines if " cadences, " in line and "masked (x)" in line] == [
        line
        for title in ("Quick-Look Pipeline (QLP)", "TESS-Gaia Light Curve (TGLC)", "TESS-SPOC")
        for line in lines
        if line.startswith(title)
    ]
    assert max(map(len, lines)) <= 90
    assert "\x1b" not in done.stdout


def test_a_plot_is_ascii_where_nothing_else_can_be_written(dataset: Path, shared_star: int) -> None:
    done = run("show", dataset, shared_star, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "BJD - 2457000" in done.stdout


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_figure_is_of_the_kind_that_its_name_says(
    suffix: str, dataset: Path, shared_star: int, tmp_path: Path
) -> None:
    out = tmp_path / f"star.{suffix}"
    done = run("show", dataset, shared_star, "--out", out, DISPLAY="")
    assert done.returncode == 0, done.stderr
    begins = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix]
    assert out.read_bytes().startswith(begins)


def test_a_star_is_found_by_its_gaia_id_in_pipelines_that_have_none(
    dataset: Path, shared_star: int
) -> None:
    gaia = tessloom.open(dataset)["tglc"].light_curve(tic=shared_star).headers[0]["gaia_dr3_id"]
    by_tic = run("show", dataset, shared_star)
    for star in (str(gaia), f"Gaia {gaia}", f"gaia dr3 {gaia}"):
        assert run("show", dataset, star).stdout == by_tic.stdout
    assert "TESS-SPOC" in run("show", dataset, gaia, "--pipeline", "tess-spoc").stdout


def first_lines(dataset: Path, *arguments: object) -> list[str]:
    """Return the title of a plot, and that of its first panel."""
    called = ["show", str(dataset), *map(str, arguments)]
    done = CliRunner().invoke(app, called, env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()[:2]


def test_several_sectors_are_on_one_scale_unless_others_are_asked_for(dataset: Path) -> None:
    star = shared_ids("spoc")[-1]
    for arguments, sectors, label in (
        ((), "sectors 23, 24", "relative flux"),
        (("--stitch", "offset"), "sectors 23, 24", "flux - median (electron/s)"),
        (("--stitch", "none"), "sectors 23, 24", "flux (electron/s)"),
        (("--sector", "24"), "sector 24", "flux (electron/s)"),
        (("--sector", "24", "--stitch", "median"), "sector 24", "relative flux"),
        (("--sector", "23-24"), "sectors 23, 24", "relative flux"),
        (("--sector", "all"), "sectors 23, 24", "relative flux"),
        (("--column", "sap_flux"), "sectors 23, 24", "relative sap_flux"),
    ):
        title, panel = first_lines(dataset, star, *arguments, "--pipeline", "spoc")
        assert sectors in title
        assert panel.endswith(f"· {label}")


def test_sectors_without_the_star_are_told_from_those_with_it(dataset: Path) -> None:
    star = shared_ids("spoc")[-1]
    done = run("show", dataset, star, "--sector", 99)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"TIC {star} in sector 99; it has sectors 23, 24\n")


def test_pipelines_without_the_column_are_named(dataset: Path, shared_star: int) -> None:
    done = run("show", dataset, shared_star, "--column", "psf_flux")
    assert done.returncode == 0
    assert "TGLC" in done.stdout
    assert sorted(done.stderr.splitlines()) == [
        "Quick-Look Pipeline (QLP) has no column psf_flux",
        "TESS-SPOC has no column psf_flux",
    ]
    done = run("show", dataset, shared_star, "--column", "sap_flx")
    assert done.returncode == 2
    assert "did you mean sap_flux" in done.stderr


def test_no_mask_masks_nothing(dataset: Path, shared_star: int) -> None:
    of_qlp = (dataset, shared_star, "--pipeline", "qlp")
    assert " 0 masked" not in first_lines(*of_qlp)[1]
    assert " 0 masked" in first_lines(*of_qlp, "--mask", "none")[1]


def test_a_narrow_terminal_is_wide_enough(dataset: Path, shared_star: int) -> None:
    done = run("show", dataset, shared_star, COLUMNS="20")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 20


def test_a_figure_may_lie_in_the_home_directory(
    dataset: Path, shared_star: int, tmp_path: Path
) -> None:
    done = run("show", dataset, shared_star, "--out", "~/star.png", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "star.png").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_an_output_that_takes_nothing_is_one_line_and_a_status(
    dataset: Path, shared_star: int
) -> None:
    command = [*COMMAND, "show", str(dataset), str(shared_star)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "tessloom: can't write the output: No space left on device\n"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as closed:
        assert closed.stdout
        assert closed.stderr
        closed.stdout.close()
        assert (closed.stderr.read(), closed.wait()) == ("", 1)


def test_a_place_without_a_dataset_of_parquet_is_a_wrong_call(
    dataset: Path, tmp_path: Path
) -> None:
    tessloom.build("qlp", sector=23, out=tmp_path / "mmu", archive="demo", limit=2, format="hdf5")
    for place, message in (
        (tmp_path / "nowhere", "there is no dataset in"),
        (tmp_path / "mmu", "in the format hdf5"),
        (dataset / "tglc", f"lies inside the dataset {dataset}"),
    ):
        done = run("show", place, 1)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr


def test_pipelines_and_sectors_can_be_chosen(dataset: Path, shared_star: int) -> None:
    done = run("show", dataset, shared_star, "--pipeline", "spoc", "--sector", 24)
    assert "sector 24" in done.stdout.splitlines()[0]
    assert "TESS-SPOC" in done.stdout
    assert "TGLC" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("a star",), 2, "no id"),
        (("1", "--out", "star.bmp"), 2, ".png"),
        (("1", "--out", "nowhere/star.png"), 2, "no directory"),
        (("1", "--pipeline", "kepler"), 2, "kepler"),
        (("1",), 1, "no light curve of TIC 1"),
        (("TIC 1",), 1, "no light curve of TIC 1"),
        (("Gaia 1",), 1, "no light curve of Gaia DR3 1"),
        (("1", "--sector", "24-23"), 2, "ends before it begins"),
        (("1", "--sector", "90-"), 1, "nothing of sectors 90-; it has 23, 24, 56"),
        (("1", "--mask", "soft"), 2, "mask is 'soft'"),
    ],
)
def test_what_can_t_be_shown_is_one_line_and_a_status(
    arguments: tuple[str, ...], status: int, message: str, dataset: Path
) -> None:
    done = run("show", dataset, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
