"""The Multimodal Universe's TESS downloaders: the same classes, over tessloom's own build."""

from __future__ import annotations

import warnings
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow.compute as pc

from tessloom import fits
from tessloom.archive import TINY, Findings, Folder, light_curve_path, target_table
from tessloom.building.opening import open_archive
from tessloom.building.request import parse_count, parse_features
from tessloom.building.run import check_directory
from tessloom.dataset.standard import StandardFormat
from tessloom.errors import (
    ArchiveError,
    FileMissingError,
    FileUnavailableError,
    RequestError,
    TargetError,
)
from tessloom.multimodal_universe import catalog as catalogs
from tessloom.multimodal_universe import lists
from tessloom.multimodal_universe.conversion import Conversion, written_paths
from tessloom.multimodal_universe.download import (
    WantedFile,
    download_files,
    download_text,
    note_path,
    remove_files,
)
from tessloom.multimodal_universe.light_curve import LightCurveReader
from tessloom.pipelines import get_pipeline
from tessloom.progress_display import bytes_display, display
from tessloom.sectors import parse_sectors

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from astropy.table import Table

    from tessloom.archive import Archive, FileNames

BATCH = 5000


class TESS_Downloader:  # noqa: N801 - the name that users know
    """One sector of one pipeline: lists, catalogue, FITS files and HDF5, step by step.

    Parameters
    ----------
    sector
        TESS sector.
    data_path
        Folder for script, target list and catalogue. ``tglc_data_path``, ``qlp_data_path`` and
        ``spoc_data_path`` mean the same. Default: ``./data``.
    hdf5_output_dir
        Folder for the HDF5 files. Default: `data_path`.
    fits_dir
        Folder for the FITS files. Default: ``fits`` in `data_path`.
    n_processes
        Processes that convert files. A `processing_fn` of a subclass runs in this one.
    archive
        See `tessloom.build`. None: what ``TESSLOOM_ARCHIVE`` says, else MAST. A folder must be
        laid out like the archive and have the download script.
    features
        Names of the arrays of the HDF5 files; see `tessloom.build`.
    tiny_size
        Number of light curves that ``tiny`` means.

    Attributes
    ----------
    sector_str
        The sector as paths have it: ``s0023``.
    pipeline
        Its name in capitals, as directories of HDF5 files have it.
    sh_url, csv_url
        Addresses of the download script and the target list.
    fits_base_url
        Address to which the relative paths of FITS files are appended.
    catalog_column_names
        What `parse_line` returns.
    failures
        By path, why files could not be downloaded.
    """

    pipeline: ClassVar[str] = ""

    def __init__(
        self,
        sector: int,
        data_path: str | os.PathLike[str] | None = None,
        hdf5_output_dir: str | os.PathLike[str] | None = None,
        fits_dir: str | os.PathLike[str] | None = None,
        n_processes: int = 1,
        *,
        archive: str | None = None,
        features: Iterable[str] | str | None = None,
        tiny_size: int = TINY,
        **named: str | os.PathLike[str],
    ) -> None:
        if not self.pipeline:
            raise RequestError(
                "TESS_Downloader itself has no pipeline: use QLP_Downloader, SPOC_Downloader or "
                "TGLC_Downloader"
            )
        own_name = f"{self.pipeline.lower()}_data_path"
        own_path = named.pop(own_name, None)
        if data_path is not None and own_path is not None:
            raise TypeError(f"data_path and {own_name} mean the same: give one")
        if named:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(named)}")
        names = parse_features(features)
        self._standard = StandardFormat() if names is None else StandardFormat(names)
        self._pipeline = self._standard.declare(get_pipeline(self.pipeline))
        self._standard.features(self._pipeline)  # an unknown one is an error here, not later
        sectors = parse_sectors(sector)
        if sectors.spans or len(sectors.single) > 1:
            raise RequestError(f"a downloader has one sector, not {sector!r}")
        (self.sector,) = sectors.single
        self.sector_str = f"s{self.sector:04d}"
        self.data_path = Path(data_path or own_path or "data")
        self.hdf5_output_dir = Path(hdf5_output_dir or self.data_path)
        self.fits_dir = Path(fits_dir or self.data_path / "fits")
        self.n_processes = parse_count("n_processes", n_processes)
        self.tiny_size = parse_count("tiny_size", tiny_size)
        self.failures: dict[str, TargetError] = {}
        self._light_curves: LightCurveReader | None = None
        self._findings = Findings()
        self._absent = target_table({}, 0)  # of the last catalogue: listed, but without a file
        self.catalog_column_names = catalogs.parameter_names(self._pipeline)

        opened = ExitStack()
        self._address = opened.enter_context(open_archive(archive))
        # The embedded archive runs for as long as somebody may ask it.
        weakref.finalize(self, opened.close)
        if isinstance(self._address, Folder):
            self._check_folder(self._address.root)
        self.sh_url = self._address.lists + self._pipeline.script.format(sector=self.sector)
        self.csv_url = self._address.lists + self._pipeline.target_list.format(sector=self.sector)
        self.fits_base_url = self._address.files

    @property
    def sh_path(self) -> Path:
        """Where the download script is kept."""
        return Path(self.data_path) / f"{self.sector_str}_fits_download_script.sh"

    @property
    def csv_path(self) -> Path:
        """Where the target list is kept."""
        return Path(self.data_path) / f"{self.sector_str}_target_list.csv"

    def catalog_path(self, *, tiny: bool) -> Path:
        """Return where the catalogue is kept."""
        tail = "_tiny" if tiny else ""
        return Path(self.data_path) / f"{self.sector_str}_catalog{tail}.hdf5"

    def download_sh_script(self, show_progress: bool = False) -> bool:
        """Download the script, unless it is there as a whole; return True.

        Raises
        ------
        UnknownSectorError
            The archive has no such sector.
        ArchiveError, DatasetError
            The archive or the disk fails.
        """
        return self._download_text(
            self._pipeline.script,
            lambda archive: archive.script(self._pipeline, self.sector),
            self.sh_path,
            show_progress,
        )

    def download_target_csv_file(self, show_progress: bool = False) -> bool:
        """Download the target list, unless it is there as a whole; return True.

        Raises
        ------
        FileMissingError
            There is none.
        ArchiveError, DatasetError
            The archive or the disk fails.
        """
        return self._download_text(
            self._pipeline.target_list,
            lambda archive: archive.target_list(self._pipeline, self.sector),
            self.csv_path,
            show_progress,
        )

    def read_sh(self, path: str | os.PathLike[str]) -> list[str]:
        """Return the lines of a script that are commands."""
        return lists.read_commands(Path(path))

    def parse_line(self, line: str) -> list[Any]:
        """Return the values of `catalog_column_names` that a line of a script gives.

        Raises
        ------
        RequestError
            The line names no light curve of this pipeline and sector.
        """
        return lists.parse_command(self._pipeline, self.sector, line)

    def parse_curl_commands(self, path: str | os.PathLike[str]) -> list[list[Any]]:
        """Return what `parse_line` makes of the lines of `read_sh`.

        A line for which it raises a ValueError is counted in a warning; one for which it returns
        None is passed over.
        """
        parsed, refused = [], []
        for line in self.read_sh(path):
            try:
                values = self.parse_line(line)
            except ValueError:
                refused.append(line)
            else:
                parsed += [] if values is None else [values]
        if refused:
            _warn(f"{len(refused)} lines of {path} name no light curve, such as {refused[0]!r}")
        return parsed

    def create_sector_catalog(self, save_catalog: bool = True, tiny: bool = True) -> Table:
        """Return the sector's targets, or the first of them; see `catalog.to_table`.

        Script and target list are downloaded if they are not there. A target without a position
        in the list gets its header's.

        Parameters
        ----------
        save_catalog
            Whether to keep the catalogue in `data_path`.
        """
        self.download_sh_script()
        csv_path: Path | None = self.csv_path
        try:
            self.download_target_csv_file()
        except FileMissingError as error:
            csv_path = None
            _warn(f"{error}. Positions are taken from the FITS files' headers")
        findings = Findings()
        names = self._file_names(findings, self.tiny_size if tiny else None)
        if not len(names):
            raise ArchiveError(
                f"the script {self.sh_path} names no light curve of {self._pipeline.title}, sector "
                f"{self.sector}"
            )
        wanted = np.unique(names.identifiers) if tiny else None
        rows = lists.read_target_list(csv_path, self._pipeline, findings, wanted)
        absent_in = None if tiny else self.sector
        targets = lists.sector_targets(self._pipeline, names, rows, findings, absent_in)
        targets = lists.place_targets(self._address, self._pipeline, self.sector, targets)
        with_file = pc.is_valid(targets["version"])
        self._absent = targets.filter(pc.invert(with_file))
        self._findings = findings
        for sentence in findings.sentences():
            _warn(sentence)
        if len(self._absent):
            _warn(
                f"{len(self._absent)} targets of the list have no file, such as "
                f"{self._absent['id'][0]}: they will be recorded as failures"
            )
        catalog = catalogs.to_table(self._pipeline, self.sector, targets.filter(with_file))
        if save_catalog:
            catalogs.write_table(self.catalog_path(tiny=tiny), catalog)
        return catalog

    def fits_url(self, row: Any) -> tuple[str, str]:
        """Return the address of a FITS file, and its path below `fits_dir`."""
        target = catalogs.row_target(self._pipeline, row)
        path = light_curve_path(self._pipeline, self.sector, target)
        return self.fits_base_url + path, path

    def get_fits_lightcurve(self, row: Any) -> bool:
        """Download the FITS file of a catalogue's row; return whether it is there and whole."""
        return self._fetch([row], lambda _there: None)[0]

    def batched_download(
        self, catalog: Table, tiny: bool = False, show_progress: bool = False
    ) -> list[list[bool]]:
        """Download the FITS files of a catalogue that are not there yet, in batches of 5000.

        Parameters
        ----------
        tiny
            Only the first `tiny_size` rows.

        Returns
        -------
        list of list of bool
            For each row of each batch whether its file is there and whole; see `failures`.

        Raises
        ------
        ArchiveError, DatasetError
            The archive or the disk fails. What was had is kept.
        """
        catalogs.check(self._pipeline, self.sector, catalog)
        rows = catalog[: self.tiny_size] if tiny else catalog
        progress = display(show_progress, "download")
        progress.start(self._pipeline, self.sector, len(rows))
        try:
            results = [
                self._download(
                    rows[start : start + BATCH], lambda there: progress.advance(1, not there)
                )
                for start in range(0, len(rows), BATCH)
            ]
        finally:
            progress.finish()
        self._warn_of_lost(rows, [there for batch in results for there in batch])
        return results

    def processing_fn(self, row: Any) -> dict[str, Any]:
        """Return the light curve of a catalogue's row by the names of its features.

        Arrays with a value at each cadence have the shape ``(T,)``; all others are scalars.

        Raises
        ------
        TargetError
            The file is not there or is no light curve of this star.
        """
        target = catalogs.row_target(self._pipeline, row)
        path = self.fits_url(row)[1]
        try:
            body = (Path(self.fits_dir) / path).read_bytes()
        except FileNotFoundError:
            missing = FileMissingError(f"{path} is not in {self.fits_dir}")
            raise self.failures.get(path, missing) from None
        except OSError as error:
            raise FileUnavailableError(f"{path}: {error}") from error
        placed = {"RA", "DEC"} <= set(catalogs.names_of(row))
        position = (row["RA"], row["DEC"]) if placed else None
        return self._reader().read(body, target, position)

    def convert_fits_to_standard_format(
        self, catalog: Table, show_progress: bool = False
    ) -> list[bool]:
        """Write the FITS files of a catalogue as HDF5, besides what is there.

        Returns
        -------
        list of bool
            For each value of ``healpix``, in ascending order, whether all light curves that were
            asked for in this pixel, now and earlier, are in its file. What is not is a recorded
            failure: ``tessloom status`` says why.

        Raises
        ------
        DatasetError
            The directory can't be written into.
        """
        catalogs.check(self._pipeline, self.sector, catalog)
        own = self._overrides("fits_url")
        paths = [self.fits_url(row)[1] for row in catalog] if own else None
        targets = catalogs.to_targets(self._pipeline, catalog, paths)
        conversion = Conversion(
            standard=self._standard,
            pipeline=self._pipeline,
            sector=self.sector,
            source=Folder(root=Path(self.fits_dir).resolve(), failures=self.failures),
            root=Path(self.hdf5_output_dir),
            workers=self.n_processes,
            progress=display(show_progress, "convert"),
            findings=self._findings,
            absent=self._absent,
        )
        if self._overrides("processing_fn"):
            return conversion.run_with(self.processing_fn, targets, catalog)
        return conversion.run(targets)

    def download_sector(
        self, tiny: bool = True, show_progress: bool = False, save_catalog: bool = True
    ) -> bool:
        """Go the whole way; return whether every light curve of the sector is in the HDF5."""
        # Before hours of downloading: nothing could be written there.
        check_directory(Path(self.hdf5_output_dir), self._standard, [self._pipeline])
        self.download_sh_script(show_progress)
        catalog = self.create_sector_catalog(save_catalog=save_catalog, tiny=tiny)
        results = self.batched_download(catalog=catalog, tiny=tiny, show_progress=show_progress)
        converted = self.convert_fits_to_standard_format(catalog, show_progress=show_progress)
        return all(map(all, results)) and all(converted) and not len(self._absent)

    def clean_up(
        self,
        fits_dir: str | os.PathLike[str] | None = None,
        sh_dir: str | os.PathLike[str] | None = None,
        csv_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Remove the FITS files that are in the HDF5, the script or the target list.

        Nothing is removed of what is not asked for.

        Parameters
        ----------
        fits_dir, sh_dir, csv_dir
            Folders from which to remove the sector's FITS files, script and target list.

        Raises
        ------
        DatasetError
            A light curve that was asked for is not in the HDF5: nothing was removed. Or a file
            can't be removed.
        RequestError
            The folder is the archive itself.
        """
        root = Path(self.hdf5_output_dir)
        written = written_paths(self._standard, self._pipeline, self.sector, root)
        if fits_dir is not None:
            if Path(fits_dir).resolve() == Path(self.fits_base_url).resolve():
                raise RequestError(f"{fits_dir} is the archive itself: nothing was removed")
            remove_files(Path(fits_dir), written)
        for folder, path in ((sh_dir, self.sh_path), (csv_dir, self.csv_path)):
            if folder is not None:
                remove_files(Path(folder), [path.name, note_path(path).name])

    def _check_folder(self, folder: Path) -> None:
        if not (folder / self._pipeline.hlsp).is_dir():
            raise RequestError(
                f"{folder} is not laid out like the archive: it has no {self._pipeline.hlsp}. "
                "tessloom build --archive takes files however they lie"
            )

    def _download_text(
        self,
        source: str,
        pieces: Callable[[Archive], AsyncGenerator[bytes]],
        path: Path,
        show_progress: bool,
    ) -> bool:
        with bytes_display(path.name, show_progress) as report:
            source = source.format(sector=self.sector)
            download_text(self._address, source, pieces, path, report)
        return True

    def _file_names(self, findings: Findings, limit: int | None) -> FileNames:
        if not self._overrides("read_sh", "parse_line", "parse_curl_commands"):
            # In a stream, as scripts have up to 5 GB.
            return lists.read_script(self.sh_path, self._pipeline, self.sector, findings, limit)
        script = lists.read_script(self.sh_path, self._pipeline, self.sector, findings, None)
        rows = self.parse_curl_commands(self.sh_path)
        return lists.from_parameters(self._pipeline, rows, script, limit)

    def _download(self, rows: Iterable[Any], report: Callable[[bool], None]) -> list[bool]:
        if self._overrides("get_fits_lightcurve"):
            results = []
            with ThreadPoolExecutor(self.n_processes) as executor:
                for there in executor.map(self.get_fits_lightcurve, rows):
                    results.append(bool(there))
                    report(results[-1])
            return results
        return self._fetch(rows, report)

    def _fetch(self, rows: Iterable[Any], report: Callable[[bool], None]) -> list[bool]:
        own = self._overrides("fits_url", "processing_fn")
        files: dict[str, WantedFile] = {}
        paths: list[str] = []
        for row in rows:
            url, path = self.fits_url(row)
            target = catalogs.row_target(self._pipeline, row)
            # What a subclass asks for may be another product than this pipeline's light curves.
            check = fits.check_file if own else partial(self._reader().check, target=target)
            files[str(path)] = WantedFile(url, Path(self.fits_dir) / path, check)
            paths.append(str(path))
        errors = dict(
            zip(files, download_files(self._address, list(files.values()), report), strict=True)
        )
        for path, error in errors.items():
            self.failures.pop(path, None)
            if error is not None:
                self.failures[path] = error
        return [errors[path] is None for path in paths]

    def _reader(self) -> LightCurveReader:
        if self._light_curves is None:
            row_format = self._standard.row_format(self._pipeline)
            features = self._standard.features(self._pipeline)
            self._light_curves = LightCurveReader(row_format, features, self.sector)
        return self._light_curves

    def _warn_of_lost(self, rows: Table, there: Sequence[bool]) -> None:
        lost = [row for row, found in zip(rows, there, strict=True) if not found]
        if not lost:
            return
        errors = [self.failures.get(str(self.fits_url(row)[1])) for row in lost]
        reasons = Counter(error.reason for error in errors if error is not None)
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        why = f" ({counts}: see `failures`)" if counts else ""
        _warn(f"{len(lost)} of {len(rows)} files could not be had{why}")

    def _overrides(self, *names: str) -> bool:
        """Return whether a subclass, or somebody on this instance, has replaced a method."""
        return any(
            getattr(getattr(self, name), "__func__", None) is not getattr(TESS_Downloader, name)
            for name in names
        )


class QLP_Downloader(TESS_Downloader):  # noqa: N801
    """QLP: see `TESS_Downloader`."""

    pipeline = "QLP"


class SPOC_Downloader(TESS_Downloader):  # noqa: N801
    """TESS-SPOC: see `TESS_Downloader`."""

    pipeline = "SPOC"


class TGLC_Downloader(TESS_Downloader):  # noqa: N801
    """TGLC: see `TESS_Downloader`."""

    pipeline = "TGLC"


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)
