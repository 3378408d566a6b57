"""`tessloom show`: a star's light curves, plotted in a terminal or into a file."""

from pathlib import Path

import pytest

import tessloom
from support import run


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
        (("1",), 1, "no light curve of 1"),
        (("TIC 1",), 1, "no light curve of 1"),
    ],
)
def test_what_can_t_be_shown_is_one_line_and_a_status(
    arguments: tuple[str, ...], status: int, message: str, dataset: Path
) -> None:
    done = run("show", dataset, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
