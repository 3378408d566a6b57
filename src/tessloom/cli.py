"""The command line: a thin layer over `tessloom.build` and `tessloom.read_status`.

The commands that read light curves are in `cli_reading`.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tessloom import __version__
from tessloom.cli_pushing import push
from tessloom.cli_reading import PLACE, Directory, info, show
from tessloom.cli_splits import splits
from tessloom.errors import NotInDatasetError, RequestError, TessloomError
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from tessloom.archive import RetryPolicy

# Exit statuses. 0 and 1 are results, 2 is the shell's convention for a wrong call.
INCOMPLETE = 1
WRONG_CALL = 2
STOPPED = 3
INTERRUPTED = 130

ARCHIVE_VARIABLE = "TESSLOOM_ARCHIVE"
_ARCHIVES = (
    "mast (S3, the static archive, the gateway, in turn), s3, static or gateway alone, demo "
    "(synthetic, works offline), the http(s) address of a mirror, or a folder."
)
_FAILURES_SHOWN = 20
_OPENING = {
    "parquet": """
Open it in Python:
    import tessloom
    stars = tessloom.open("{out}")["{name}"].select(["tic_id", "time", "flux"]).to_arrow()
    time, flux = (stars[name][0].values.to_numpy() for name in ("time", "flux"))
or with pyarrow: pyarrow.parquet.read_table("{out}/{name}/catalog/dataset")
or in LSDB: lsdb.open_catalog("{out}/{name}")
or with Hugging Face datasets: load_dataset("{out}", "{name}", split="s{sector:04d}")""",
    "hdf5": """
Open it with Hugging Face datasets: load_dataset("{out}", "{name}", split="train")
or each file with h5py: {out}/{capitals}/healpix=.../001-of-001.hdf5""",
}
_OPENING_BY_URL = {
    "parquet": """
Open it in Python:
    import tessloom
    stars = tessloom.open("{out}")["{name}"].select(["tic_id", "time", "flux"]).to_arrow()
or in LSDB: lsdb.open_catalog(upath.UPath("{out}/{name}"))
or with Hugging Face datasets:
    load_dataset("parquet", data_files="{out}/{name}/catalog/dataset/**/s{sector:04d}.parquet")""",
    "hdf5": """
Open a file with h5py:
    h5py.File(upath.UPath("{out}/{capitals}/healpix=.../001-of-001.hdf5").open("rb"))""",
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich would double the time that --help takes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Weave TESS full-frame-image light curves into datasets.",
    epilog="Exit status: 0 complete, 1 some light curves are missing, 2 wrong call, "
    "3 stopped (archive or disk; the same command continues).",
)


Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes that fetch and write; default: as many as there are cores."
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        help="Address of a Dask scheduler whose workers do that instead; local: a cluster here.",
    ),
]
Connections = Annotated[
    int | None,
    typer.Option("--connections", help="Most requests at a time to each mirror; gateway: 8."),
]
Patience = Annotated[
    float | None,
    typer.Option("--patience", help="Minutes to wait for an archive that is down; default 360."),
]
RedirectHosts = Annotated[
    list[str] | None,
    typer.Option("--redirect-host", help="A further host to which redirects may lead; repeatable."),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        "--log-file", help="Add lines of JSON here: partitions, failures, mirrors each minute."
    ),
]


class PipelineName(StrEnum):
    """The pipelines, as arguments."""

    qlp = "qlp"
    tglc = "tglc"
    spoc = "spoc"


class FormatName(StrEnum):
    """The formats, as arguments."""

    parquet = "parquet"
    hdf5 = "hdf5"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tessloom {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def build(
    pipelines: Annotated[list[PipelineName], typer.Argument(help="One pipeline or several.")],
    sector: Annotated[
        list[str],
        typer.Option("--sector", "-s", help="Sectors: 23, 1-26, 27-, all; may be repeated."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help=PLACE)],
    archive: Annotated[
        str,
        typer.Option(envvar=ARCHIVE_VARIABLE, help=_ARCHIVES),
    ] = "mast",
    tiny: Annotated[bool, typer.Option("--tiny", help="The first 100 of the script.")] = False,
    limit: Annotated[int | None, typer.Option(help="The first N of the script.")] = None,
    sample: Annotated[
        int | None, typer.Option(help="N targets spread over the sector by a hash of the id.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="A file of TIC ids (TGLC: or Gaia DR3 ids), one a line.")
    ] = None,
    file_format: Annotated[
        FormatName,
        typer.Option("--format", help="hdf5: the Multimodal Universe's standard format."),
    ] = FormatName.parquet,
    features: Annotated[
        str | None,
        typer.Option(help="Arrays of the HDF5 files: names with commas between, default, or all."),
    ] = None,
    contiguous: Annotated[
        bool, typer.Option("--contiguous", help="HDF5 arrays in one block each, uncompressed.")
    ] = False,
    workers: Workers = None,
    dask: Dask = None,
    connections: Connections = None,
    patience: Patience = None,
    redirect_host: RedirectHosts = None,
    log_file: LogFile = None,
    keep_fits: Annotated[
        Path | None, typer.Option(help="Also keep the FITS files here, as in the archive.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what there is to do and what it takes; write nothing."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for what could not be had earlier.")
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Read the archive's lists again.")
    ] = False,
) -> None:
    """Build sectors into a dataset, or go on where an earlier build stopped."""
    from tessloom.building.run import build as run_build  # noqa: PLC0415
    from tessloom.progress_display import display  # noqa: PLC0415

    try:
        report = run_build(
            [str(name) for name in pipelines],
            sector=sector,
            out=out,
            archive=archive,
            tiny=tiny,
            limit=limit,
            sample=sample,
            targets=targets,
            format=str(file_format),
            features=features,
            contiguous=contiguous,
            workers=workers,
            dask=dask,
            connections=connections,
            policy=_policy(patience),
            redirect_hosts=redirect_host or (),
            keep_fits=keep_fits,
            dry_run=dry_run,
            retry_failed=retry_failed,
            refresh=refresh,
            log_file=log_file,
            progress=display(),
        )
    except KeyboardInterrupt:
        _interrupted()
    typer.echo(str(report))
    if dry_run:
        return
    first = next((sector for sector in report.sectors if sector.written), None)
    if first:
        name = first.pipeline
        opening = (_OPENING_BY_URL if "://" in out else _OPENING)[file_format]
        typer.echo(opening.format(out=out, name=name, capitals=name.upper(), sector=first.sector))
    if not report.complete:
        raise typer.Exit(INCOMPLETE)


@app.command()
def retry(
    directory: Directory,
    archive: Annotated[
        str | None, typer.Option(help=f"Default: the one it was built from. {_ARCHIVES}")
    ] = None,
    workers: Workers = None,
    dask: Dask = None,
    connections: Connections = None,
    patience: Patience = None,
    redirect_host: RedirectHosts = None,
    log_file: LogFile = None,
) -> None:
    """Ask again for exactly the targets that could not be had, and mend their partitions."""
    from tessloom.building.retrying import retry as run_retry  # noqa: PLC0415
    from tessloom.progress_display import display  # noqa: PLC0415

    try:
        report = run_retry(
            directory,
            archive=archive,
            workers=workers,
            dask=dask,
            connections=connections,
            policy=_policy(patience),
            redirect_hosts=redirect_host or (),
            log_file=log_file,
            progress=display(),
        )
    except KeyboardInterrupt:
        _interrupted()
    typer.echo(str(report))
    if not report.complete:
        raise typer.Exit(INCOMPLETE)


@app.command()
def verify(
    directory: Directory,
    against_archive: Annotated[
        int,
        typer.Option("--against-archive", metavar="N", help="Compare N light curves with it."),
    ] = 0,
    archive: Annotated[
        str | None, typer.Option(help=f"Default: the one it was built from. {_ARCHIVES}")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every file of a dataset again, and check all that can be checked."""
    from tessloom.building.verification import verify as run_verify  # noqa: PLC0415
    from tessloom.progress_display import tell  # noqa: PLC0415

    verification = run_verify(directory, against_archive=against_archive, archive=archive, say=tell)
    typer.echo(json.dumps(verification.to_dict(), indent=1) if as_json else str(verification))
    if not (verification.sound and verification.complete):
        raise typer.Exit(INCOMPLETE)


@app.command()
def sectors(
    pipelines: Annotated[
        list[PipelineName] | None, typer.Argument(help="One pipeline or several; default: all.")
    ] = None,
    archive: Annotated[str, typer.Option(envvar=ARCHIVE_VARIABLE, help=_ARCHIVES)] = "mast",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask again; answers are kept for a day.")
    ] = False,
) -> None:
    """Say which sectors the archive has."""
    from tessloom.archive import ranges  # noqa: PLC0415
    from tessloom.building.discovery import find_sectors  # noqa: PLC0415

    names = [str(name) for name in pipelines] if pipelines else None
    found = find_sectors(names, archive=archive, refresh=refresh)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for name, numbers in found.items():
            typer.echo(f"{name}: {ranges(numbers)}")


@app.command()
def status(
    directory: Directory,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with every failure.")
    ] = False,
) -> None:
    """Say what a dataset has, what is missing, and which targets failed and why."""
    from tessloom.building.report import describe  # noqa: PLC0415
    from tessloom.dataset.status import read_status  # noqa: PLC0415

    sectors = read_status(directory)
    if as_json:
        typer.echo(json.dumps([sector.to_dict() for sector in sectors], indent=1))
    else:
        for sector in sectors:
            for line in describe([sector]):
                typer.echo(line)
            for failure in sector.failures[:_FAILURES_SHOWN]:
                typer.echo(f"  {failure.id}: {failure.reason}: {failure.detail}")
            if len(sector.failures) > _FAILURES_SHOWN:
                more = len(sector.failures) - _FAILURES_SHOWN
                typer.echo(f"  and {more} more failures: --json shows them all")
    if not all(sector.complete for sector in sectors):
        raise typer.Exit(INCOMPLETE)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on the loopback; 0: any that is free.")] = 8023,
    faults: Annotated[
        str | None,
        typer.Option(help="Misbehave as the real archive does, such as busy=0.05,missing=0.01."),
    ] = None,
) -> None:
    """Serve the embedded, synthetic archive on the loopback until interrupted."""
    from tessloom.demo import Faults  # noqa: PLC0415
    from tessloom.demo import serve as serve_demo  # noqa: PLC0415

    def announce(address: str) -> None:
        typer.echo(f"Serving synthetic light curves at {address}")
        typer.echo(f"Use it with: tessloom build tglc --sector 23 --out DIR --archive {address}")

    serve_demo(port, Faults.parse(faults or ""), announce)


for command in (show, info, splits, push):
    app.command()(command)


def _policy(patience: float | None) -> RetryPolicy | None:
    """Return the policy of requests with what the user says of it."""
    if patience is None:
        return None
    if not patience >= 0:
        raise RequestError(f"--patience {patience}: give minutes, from 0 up")
    from tessloom.archive import RetryPolicy  # noqa: PLC0415

    return RetryPolicy(give_up_after=60 * patience)


def _interrupted() -> NoReturn:
    typer.echo("\nInterrupted: the same command continues where it stopped.", err=True)
    raise typer.Exit(INTERRUPTED) from None


def main() -> None:
    """Run the command line, and turn tessloom's errors into a line and an exit status."""
    # Matrices are nobody's business here, and OpenBLAS's threads spin for 0.1 s when they start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except RequestError as error:
        _fail(error, WRONG_CALL)
    except NotInDatasetError as error:
        _fail(error, INCOMPLETE)
    except TessloomError as error:
        _fail(error, STOPPED)


def _fail(error: TessloomError, exit_status: int) -> None:
    typer.echo(f"tessloom: {error}", err=True)
    raise SystemExit(exit_status) from None


# typer's choices must be the pipelines that exist.
assert set(PipelineName) == set(PIPELINES)  # noqa: S101
