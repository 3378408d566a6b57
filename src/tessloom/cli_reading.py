"""The commands that read a dataset: `show` and `info`. `cli` has the others."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessloom.errors import NotInDatasetError, RequestError

if TYPE_CHECKING:
    from tessloom.reading.dataset import Dataset
    from tessloom.reading.light_curve import LightCurve

PLACE = "The dataset's directory, or its URL: s3://bucket/prefix."
Directory = Annotated[str, typer.Argument(metavar="DIR", help=PLACE)]

_ID = re.compile(r"\s*(?:(tic)|(gaia)(?:\s*dr3)?)?\s*(\d{1,19})\s*", re.IGNORECASE)
# Of a plot that goes into a file or a pipe.
_ROWS = 48


def show(
    directory: Directory,
    star: Annotated[
        str, typer.Argument(metavar="ID", help="A TIC id or a Gaia DR3 id: 123, 'Gaia 123'.")
    ],
    sector: Annotated[
        list[int] | None, typer.Option("--sector", "-s", help="One of its sectors; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A figure: .png, .pdf or .svg. Default: as text, here."),
    ] = None,
    pipeline: Annotated[
        list[str] | None, typer.Option("--pipeline", help="One of the pipelines; repeatable.")
    ] = None,
    mask: Annotated[
        str, typer.Option(help="Which cadences are shown as masked: default, hardest, or bits.")
    ] = "default",
) -> None:
    """Plot a star's light curves, a panel for each pipeline that has it."""
    from tessloom.reading.contents import is_synthetic  # noqa: PLC0415
    from tessloom.reading.dataset import open_dataset  # noqa: PLC0415
    from tessloom.reading.plot import check_figure_path, figure  # noqa: PLC0415
    from tessloom.reading.terminal_plot import text_plot  # noqa: PLC0415

    if out is not None:
        check_figure_path(out)
    dataset = open_dataset(directory)
    curves = _find(dataset, star, sector, pipeline)
    title = _title(curves)
    if any(is_synthetic(dataset.root, curve.pipeline) for curve in curves.values()):
        title += " [synthetic data]"
    bits = int(mask) if mask.isdecimal() else mask
    if out is not None:
        made = figure(curves, title, bits)
        try:
            made.savefig(out, dpi=150)
        except OSError as error:
            raise RequestError(f"can't write {out}: {error.strerror or error}") from error
        typer.echo(f"{title}: {out}")
        return
    size = shutil.get_terminal_size((80, _ROWS))
    height = size.lines if sys.stdout.isatty() else _ROWS
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    typer.echo(
        text_plot(curves, title, mask=bits, width=size.columns, height=height - 1, plain=plain)
    )


def info(
    directory: Directory,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a dataset holds, without opening its light curves; `status` checks each file."""
    from tessloom.reading.contents import describe, read_contents  # noqa: PLC0415

    contents = read_contents(directory)
    if as_json:
        typer.echo(json.dumps([pipeline.to_dict() for pipeline in contents], indent=1))
    else:
        for line in describe(contents):
            typer.echo(line)


def _find(
    dataset: Dataset, star: str, sectors: list[int] | None, names: list[str] | None
) -> dict[str, LightCurve]:
    match = _ID.fullmatch(star)
    if match is None:
        raise RequestError(f"{star!r} is no id: give a TIC id or a Gaia DR3 id, as 123, 'Gaia 123'")
    identifier = int(match[3])
    wanted = {dataset[name].pipeline.name for name in names} if names else set(dataset)
    found: dict[str, LightCurve] = {}
    if not match[2]:
        try:
            found = dataset.light_curves(tic=identifier, sector=sectors)
        except NotInDatasetError:
            if match[1]:
                raise
    if not found:
        found = dataset.light_curves(gaia=identifier, sector=sectors)
        tic = next(iter(found.values())).headers[0]["tic_id"]
        if tic:
            found = dataset.light_curves(tic=tic, sector=sectors) | found
    chosen = {name: found[name] for name in dataset if name in found and name in wanted}
    for name in [name for name in dataset if names and name in wanted and name not in chosen]:
        typer.echo(f"{dataset[name].pipeline.title} has no light curve of {star}", err=True)
    if not chosen:
        raise NotInDatasetError(f"{dataset.root} has {star} from {', '.join(found)} only")
    return chosen


def _title(curves: dict[str, LightCurve]) -> str:
    headers = [header for curve in curves.values() for header in curve.headers]

    def first(name: str) -> object:
        return next((header[name] for header in headers if header.get(name)), None)

    tic, gaia, magnitude = first("tic_id"), first("gaia_dr3_id"), first("tess_mag")
    parts = [f"TIC {tic}" if tic else "", f"Gaia DR3 {gaia}" if gaia else ""]
    parts.append(f"Tmag {magnitude:.2f}" if isinstance(magnitude, float) else "")
    sectors = sorted({header["sector"] for header in headers})
    parts.append(f"sector{'s' * (len(sectors) > 1)} {', '.join(map(str, sectors))}")
    return ", ".join(part for part in parts if part)
