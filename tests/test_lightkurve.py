"""lightkurve takes light curves as they are in the FITS files, in an environment of its own."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from support import LIGHTKURVE, NAMES, fits_series, shared_ids
from tessloom.demo import DemoServer

# The script runs once.
pytestmark = pytest.mark.xdist_group("lightkurve")
SECTORS = [(23,), (23, 24)]
PERIOD = 2.5
SCRIPT = """
import json, sys
import numpy as np
import tessloom

root, out, wanted = sys.argv[1:]
for name, star, sectors, period in json.loads(wanted):
    star = {"gaia" if name == "tglc" else "tic": star}
    light_curve = tessloom.open(root)[name].light_curve(**star, sector=sectors)
    theirs = light_curve.to_lightkurve()
    stitched = {
        how: light_curve.clean().stitch(how).to_lightkurve() for how in ("median", "offset", "none")
    }
    clean = stitched["median"]
    folded, periods = clean.fold(period), clean.to_periodogram("bls")
    place = f"{out}/{name}-{len(sectors)}"
    theirs.to_fits(f"{place}.fits")
    np.savez(
        f"{place}.npz",
        **{column: getattr(theirs, column).value for column in ("time", "flux", "flux_err")},
        quality=theirs.quality,
        clean_time=clean.time.value,
        clean_flux=clean.flux.value,
        phase=folded.phase.value,
        folded_flux=folded.flux.value,
        flat_flux=clean.flatten().flux.value,
        power=periods.power.value,
    )
    about = {"meta": theirs.meta, "unit": str(theirs.flux.unit), "scale": theirs.time.scale}
    about["normalised"] = {how: of.meta["NORMALIZED"] for how, of in stitched.items()}
    with open(f"{place}.json", "w") as file:
        json.dump(about | {"format": theirs.time.format}, file)
"""


@dataclass(frozen=True)
class Theirs:
    """What lightkurve made of a star."""

    arrays: dict[str, npt.NDArray[Any]]
    about: dict[str, Any]
    fits: Path


@pytest.fixture(scope="module")
def results(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the script, in lightkurve's environment, has left what it made."""
    if not LIGHTKURVE.exists():
        pytest.skip("needs an environment for lightkurve: make test makes it")
    out = tmp_path_factory.mktemp("lightkurve")
    wanted = [
        (name, shared_ids(name)[-1], sectors, PERIOD) for name in NAMES for sectors in SECTORS
    ]
    done = subprocess.run(
        [str(LIGHTKURVE), "-c", SCRIPT, str(dataset), str(out), json.dumps(wanted)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SECTORS, ids=["one sector", "two sectors"])
def sectors(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return tuple(request.param)


@pytest.fixture
def theirs(results: Path, name: str, sectors: tuple[int, ...]) -> Theirs:
    place = results / f"{name}-{len(sectors)}"
    with np.load(place.with_suffix(".npz")) as arrays:
        about = json.loads(place.with_suffix(".json").read_text("utf-8"))
        return Theirs(dict(arrays), about, place.with_suffix(".fits"))


@pytest.fixture
def expected(
    server: DemoServer, name: str, sectors: tuple[int, ...]
) -> dict[str, npt.NDArray[Any]]:
    """Return the cadences of the FITS files that have a time, one sector after the other."""
    star = shared_ids(name)[-1]
    parts = [fits_series(server.address, name, sector, star) for sector in sectors]
    whole = {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
    return {column: values[np.isfinite(whole["time"])] for column, values in whole.items()}


def test_the_cadences_are_those_of_the_fits_files(
    theirs: Theirs, expected: dict[str, npt.NDArray[Any]]
) -> None:
    for column, values in expected.items():
        np.testing.assert_array_equal(theirs.arrays[column], values, column)
    assert theirs.arrays["time"].dtype == np.float64
    assert (theirs.about["format"], theirs.about["scale"]) == ("btjd", "tdb")


def test_the_star_and_its_sectors_are_named(
    name: str, sectors: tuple[int, ...], theirs: Theirs
) -> None:
    meta = theirs.about["meta"]
    assert meta["LABEL"] == f"TIC {meta['TARGETID']}"
    assert (meta["MISSION"], meta["AUTHOR"]) == ("TESS", name.upper())
    assert meta["SECTORS"] == list(sectors)
    assert meta.get("SECTOR") == (23 if sectors == (23,) else None)
    assert meta["NORMALIZED"] == (name != "spoc")
    assert theirs.about["unit"] == ("electron / s" if name == "spoc" else "")


def test_it_is_told_what_stitch_did(name: str, theirs: Theirs) -> None:
    expected = {"median": True, "offset": False, "none": name != "spoc"}
    assert theirs.about["normalised"] == expected


def test_the_fits_file_that_it_writes_has_the_same_cadences(
    name: str, sectors: tuple[int, ...], theirs: Theirs, expected: dict[str, npt.NDArray[Any]]
) -> None:
    with fits.open(theirs.fits) as hdus:
        records, header = hdus[1].data, hdus[0].header
        assert header["TARGETID"] == theirs.about["meta"]["TARGETID"]
        if sectors == (23,):
            assert header["SECTOR"] == 23
            assert {"CAMERA", "CCD"} <= set(header)
        for column, values in expected.items():
            np.testing.assert_array_equal(records[column.upper()], values, f"{name} {column}")


def test_it_folds_flattens_and_searches_for_periods(theirs: Theirs) -> None:
    arrays = theirs.arrays
    clean = arrays["clean_flux"]
    assert np.isfinite(clean).all()
    assert len(arrays["phase"]) == len(arrays["flat_flux"]) == len(clean)
    assert np.abs(arrays["phase"]).max() <= PERIOD / 2
    turns = (arrays["clean_time"] - arrays["clean_time"][0]) / PERIOD
    phase = (turns - np.round(turns)) * PERIOD
    np.testing.assert_allclose(arrays["phase"], np.sort(phase), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.sort(arrays["folded_flux"]), np.sort(clean))
    assert np.median(arrays["flat_flux"]) == pytest.approx(1, abs=0.01)
    assert np.isfinite(arrays["power"]).all()
