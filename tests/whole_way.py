"""What `test_qlp`, `test_spoc` and `test_tglc` share: a pipeline's whole way, step by step."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import tessloom
from support import demo_paths, fetch, file_key
from tessloom.demo import DemoServer
from tessloom.multimodal_universe import TESS_Downloader
from tessloom.pipelines import PIPELINES

ROOT = Path(__file__).parents[1]
TINY = 100


class WholeWay:
    """Script, list, catalogue, download, conversion and loading of sector 23's tiny sample."""

    downloader_class: type[TESS_Downloader]
    parameter_names: list[str]

    @property
    def name(self) -> str:
        return self.downloader_class.pipeline.lower()

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp(cls.downloader_class.pipeline)

    @pytest.fixture(scope="class")
    @classmethod
    def downloader(cls, folder: Path, server: DemoServer) -> TESS_Downloader:
        return cls.downloader_class(
            sector=23,
            data_path=folder / "data",
            hdf5_output_dir=folder / "hdf5",
            fits_dir=folder / "fits",
            n_processes=2,
            archive=server.address,
        )

    @pytest.fixture(scope="class")
    @classmethod
    def catalog(cls, downloader: TESS_Downloader) -> Table:
        return downloader.create_sector_catalog(save_catalog=True, tiny=True)

    @pytest.fixture(scope="class")
    @classmethod
    def downloaded(cls, downloader: TESS_Downloader, catalog: Table) -> list[list[bool]]:
        return downloader.batched_download(catalog=catalog, tiny=True)

    @pytest.fixture(scope="class")
    @classmethod
    def converted(
        cls, downloader: TESS_Downloader, catalog: Table, downloaded: list[list[bool]]
    ) -> list[bool]:
        assert downloaded
        return downloader.convert_fits_to_standard_format(catalog)

    def test_it_names_its_sector_pipeline_and_addresses(
        self, downloader: TESS_Downloader, server: DemoServer
    ) -> None:
        assert isinstance(downloader, TESS_Downloader)
        assert downloader.sector_str == "s0023"
        assert downloader.pipeline == self.name.upper()
        assert downloader.catalog_column_names == self.parameter_names
        assert fetch(downloader.sh_url).startswith(b"#!")
        assert fetch(downloader.csv_url).startswith(b"#")
        assert downloader.fits_base_url == server.address

    def test_the_script_is_downloaded_as_it_is(self, downloader: TESS_Downloader) -> None:
        assert downloader.download_sh_script(show_progress=False) is True
        script = downloader.data_path / "s0023_fits_download_script.sh"
        assert script.read_bytes() == fetch(downloader.sh_url)

    def test_the_target_list_is_downloaded_as_it_is(self, downloader: TESS_Downloader) -> None:
        assert downloader.download_target_csv_file(show_progress=False) is True
        target_list = downloader.data_path / "s0023_target_list.csv"
        assert target_list.read_bytes() == fetch(downloader.csv_url)

    def test_lines_of_the_script_are_parsed(self, downloader: TESS_Downloader) -> None:
        downloader.download_sh_script()
        path = downloader.data_path / "s0023_fits_download_script.sh"
        lines = downloader.read_sh(path)
        parsed = downloader.parse_curl_commands(path)
        assert len(parsed) == len(lines) == len(path.read_bytes().splitlines()) - 1
        for line, values in zip(lines, parsed, strict=True):
            assert downloader.parse_line(line) == values
            named = dict(zip(self.parameter_names, values, strict=True))
            identifier, camera, ccd = file_key(self.name, line)
            assert named[PIPELINES[self.name].id_in_list] == identifier
            if camera:
                assert (named["cam"], named["ccd"]) == (camera, ccd)
            assert "/".join(named[f"fp{n}"] for n in (1, 2, 3, 4)) in line

    def test_the_catalogue_is_that_of_the_lists(
        self, downloader: TESS_Downloader, catalog: Table
    ) -> None:
        assert len(catalog) == TINY
        added = ["RA", "DEC", "TIC_ID", "healpix"]
        expected = [*self.parameter_names, *added]
        assert catalog.colnames == list(dict.fromkeys(expected))
        parsed = downloader.parse_curl_commands(downloader.sh_path)[:TINY]
        assert [list(row[self.parameter_names]) for row in catalog] == parsed
        header, *lines = downloader.csv_path.read_text().splitlines()
        names = header.lstrip("#").split(",")
        rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
        key = PIPELINES[self.name].id_in_list
        by_id = {int(row[key]): row for row in reversed(rows)}
        for row in catalog:
            listed = by_id[row[key]]
            assert (row["RA"], row["DEC"]) == (float(listed["RA"]), float(listed["DEC"]))
            assert row["TIC_ID"] == int(listed["TIC_ID"] or 0)

    def test_the_saved_catalogue_reads_as_the_same(
        self, downloader: TESS_Downloader, catalog: Table
    ) -> None:
        saved = Table.read(downloader.data_path / "s0023_catalog_tiny.hdf5")
        assert saved.colnames == catalog.colnames
        for row, original in zip(saved, catalog, strict=True):
            assert list(row) == list(original)
            assert downloader.fits_url(row) == downloader.fits_url(original)

    def test_every_file_is_downloaded_as_it_is(
        self, downloader: TESS_Downloader, catalog: Table, downloaded: list[list[bool]]
    ) -> None:
        assert downloaded == [[True] * TINY]
        for row, path in zip(catalog, demo_paths(self.name, 23).values(), strict=False):
            url, relative = downloader.fits_url(row)
            assert relative == path
            assert (downloader.fits_dir / path).read_bytes() == fetch(url)

    def test_every_pixel_is_converted(
        self, downloader: TESS_Downloader, catalog: Table, converted: list[bool]
    ) -> None:
        pixels = sorted(set(catalog["healpix"]))
        assert converted == [True] * len(pixels)
        directory = downloader.hdf5_output_dir / self.name.upper()
        files = [directory / f"healpix={pixel}" / "001-of-001.hdf5" for pixel in pixels]
        assert sorted(directory.glob("healpix=*/*.hdf5")) == sorted(files)
        counts = [len(h5py.File(path)["object_id"]) for path in files]
        assert counts == [int((catalog["healpix"] == pixel).sum()) for pixel in pixels]

    def test_one_light_curve_is_what_the_file_has(
        self, downloader: TESS_Downloader, catalog: Table, converted: list[bool]
    ) -> None:
        assert converted
        for row in catalog[:5]:
            light_curve = downloader.processing_fn(row)
            path = downloader.hdf5_output_dir / self.name.upper() / f"healpix={row['healpix']}"
            with h5py.File(path / "001-of-001.hdf5") as file:
                names = file["object_id"].asstr()[:].tolist()
                place = names.index(light_curve["object_id"])
                assert set(light_curve) == set(file) - {"length"}
                length = file["length"][place]
                for name, value in light_curve.items():
                    stored = file[name][place]
                    if np.ndim(value) == 1:
                        np.testing.assert_array_equal(value, stored[:length], name)
                        assert value.dtype == stored.dtype
                    elif name != "object_id":
                        np.testing.assert_array_equal(value, stored, name)
            with fits.open(downloader.fits_dir / downloader.fits_url(row)[1]) as hdus:
                np.testing.assert_array_equal(light_curve["time"], hdus[1].data["TIME"])

    def test_hugging_face_loads_it(
        self,
        downloader: TESS_Downloader,
        catalog: Table,
        converted: list[bool],
        tmp_path: Path,
    ) -> None:
        import datasets

        assert converted
        loaded = datasets.load_dataset(str(downloader.hdf5_output_dir), cache_dir=str(tmp_path))
        stars = loaded.with_format("numpy", dtype=None)["train"]
        assert sorted(stars["TIC_ID"][:]) == sorted(catalog["TIC_ID"])
        light_curve = downloader.processing_fn(catalog[0])
        star = next(s for s in stars if s["object_id"] == light_curve["object_id"])
        assert star["time"].dtype == np.float64
        np.testing.assert_array_equal(star["time"][: star["length"]], light_curve["time"])

    def test_the_whole_way_in_one_call(
        self, server: DemoServer, tmp_path: Path, converted: list[bool], folder: Path
    ) -> None:
        assert converted
        one = self.downloader_class(23, tmp_path / "d", n_processes=1, archive=server.address)
        assert one.download_sector(tiny=True, show_progress=False, save_catalog=True) is True
        files = {
            path.relative_to(tmp_path / "d"): path.read_bytes()
            for path in (tmp_path / "d").glob("*/healpix=*/*.hdf5")
        }
        stepwise = {
            path.relative_to(folder / "hdf5"): path.read_bytes()
            for path in (folder / "hdf5").glob("*/healpix=*/*.hdf5")
        }
        assert files == stepwise
        (status,) = tessloom.read_status(tmp_path / "d")
        assert status.complete

    def test_the_command_builds_the_same(
        self, tmp_path: Path, folder: Path, converted: list[bool]
    ) -> None:
        assert converted
        command = [sys.executable, "build_parent_sample.py", "--pipeline", self.name, "-s", "23"]
        paths = {
            "--data_path": "data",
            "--hdf5_output_path": "data/",
            "--fits_output_path": "data/fits",
        }
        command += [part for key, path in paths.items() for part in (key, f"{tmp_path}/{path}")]
        command += ["--n_processes", "2", "--tiny", "--archive", "demo"]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert f"{self.name} sector 23: 100 of 100 light curves" in done.stdout
        built = {path.name for path in (tmp_path / "data").iterdir()}
        kept = {"s0023_fits_download_script.sh", "s0023_target_list.csv", "s0023_catalog_tiny.hdf5"}
        assert built >= {"fits", "README.md", self.name.upper(), *kept}
        assert len(list((tmp_path / "data/fits").rglob("*.fits"))) == TINY
        for path in (folder / "hdf5").glob("*/healpix=*/*.hdf5"):
            same = tmp_path / "data" / path.relative_to(folder / "hdf5")
            assert same.read_bytes() == path.read_bytes()
