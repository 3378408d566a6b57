"""The commands that read a dataset: `show` and `info`. `cli` has the others."""

from __future__ import annotations

import json
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessloom.errors import NotInDatasetError, RequestError

if TYPE_CHECKING:
    from tessloom.reading.dataset import Dataset
    from tessloom.reading.light_curve import LightCurve
    from tessloom.reading.masks import Mask

PLACE = "The dataset's directory, or its URL: s3://bucket/prefix."
Directory = Annotated[str, typer.Argument(metavar="DIR", help=PLACE)]

# Of a plot that goes into a file or a pipe.
_ROWS = 48


class Stitch(StrEnum):
    """How sectors come on one scale, as arguments."""

    median = "median"
    offset = "offset"
    none = "none"


def show(
    directory: Directory,
    star: Annotated[
        str, typer.Argument(metavar="ID", help="A TIC id or a Gaia DR3 id: 123, 'Gaia 123'.")
    ],
    sector: Annotated[
        list[str] | None,
        typer.Option("--sector", "-s", help="Of its sectors: 23, 1-26, 27-, all; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A figure: .png, .pdf or .svg. Default: as text, here."),
    ] = None,
    pipeline: Annotated[
        list[str] | None, typer.Option("--pipeline", help="One of the pipelines; repeatable.")
    ] = None,
    mask: Annotated[
        str,
        typer.Option(help="Which cadences are shown as masked: default, hardest, none, or bits."),
    ] = "default",
    stitch: Annotated[
        Stitch | None,
        typer.Option(
            help="Divide each sector by its median, subtract that (offset), or neither. "
            "Default: median, if there are several."
        ),
    ] = None,
    column: Annotated[
        str, typer.Option(metavar="NAME", help="What is plotted: sap_flux, psf_flux, ...")
    ] = "flux",
) -> None:
    """Plot a star's light curves, a panel for each pipeline that has it."""
    from tessloom.dataset.storage import local_path  # noqa: PLC0415
    from tessloom.reading.contents import is_synthetic  # noqa: PLC0415
    from tessloom.reading.dataset import open_dataset  # noqa: PLC0415
    from tessloom.reading.masks import masked_bits  # noqa: PLC0415
    from tessloom.reading.plot import check_figure_path  # noqa: PLC0415

    if out is not None:
        out = local_path(out)
        check_figure_path(out)
    dataset = open_dataset(directory)
    for catalogue in dataset.values():
        masked_bits(catalogue.pipeline, mask)  # whether there is such a mask
    found = _find(dataset, star, sector, pipeline)
    curves = {
        name: _on_one_scale(curve, stitch, column)
        for name, curve in _with_column(found, column).items()
    }
    title = _title(curves)
    if any(is_synthetic(dataset.root, curve.pipeline) for curve in curves.values()):
        title += " [synthetic]"
    if out is None:
        _print_plot(curves, title, mask, column)
    else:
        _save_plot(curves, title, mask, column, out)


def info(
    directory: Directory,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a dataset holds, without reading its light curves; `status` checks each file."""
    from tessloom.reading.contents import describe, read_contents  # noqa: PLC0415

    contents = read_contents(directory)
    if as_json:
        typer.echo(json.dumps([pipeline.to_dict() for pipeline in contents], indent=1))
    else:
        for line in describe(contents):
            typer.echo(line)


def _find(
    dataset: Dataset, star: str, sectors: list[str] | None, names: list[str] | None
) -> dict[str, LightCurve]:
    from tessloom.reading.identifiers import parse_identifier  # noqa: PLC0415
    from tessloom.sectors import parse_sectors  # noqa: PLC0415

    catalogue, identifier = parse_identifier(star)
    asked = dict.fromkeys(dataset[name].pipeline for name in names or ())
    wanted = None
    if sectors:
        known = {number for catalogue in dataset.values() for number in catalogue.sectors}
        wanted = parse_sectors(sectors).among(known)
        if not wanted:
            raise NotInDatasetError(
                f"{dataset.root} has nothing of sectors {', '.join(sectors)}; it has "
                f"{', '.join(map(str, sorted(known)))}"
            )
    kinds = ("tic", "gaia") if catalogue is None else (catalogue,)
    kind = next((kind for kind in kinds if _lists(dataset, kind, identifier)), kinds[0])
    given: dict[str, int] = {kind: identifier}
    found = dataset.light_curves(
        tic=given.get("tic"), gaia=given.get("gaia"), sector=wanted, pipelines=names
    )
    for pipeline in asked:
        if pipeline.name not in found:
            typer.echo(f"{pipeline.title} has no light curve of {star}", err=True)
    return found


def _lists(dataset: Dataset, kind: str, identifier: int) -> bool:
    """Return whether an index of the dataset has a star."""
    column = {"tic": "tic_id", "gaia": "gaia_dr3_id"}[kind]
    return any(
        catalogue.index(column).pixels(identifier)
        for catalogue in dataset.values()
        if column in catalogue.pipeline.indexes
    )


def _with_column(curves: dict[str, LightCurve], column: str) -> dict[str, LightCurve]:
    """Return the light curves that have a column, and name the others."""
    from tessloom.reading.names import unknown_name  # noqa: PLC0415

    chosen = {name: curve for name, curve in curves.items() if column in curve.columns}
    if not chosen:
        columns = dict.fromkeys(name for curve in curves.values() for name in curve.columns)
        raise unknown_name("column", column, columns)
    for name in curves.keys() - chosen.keys():
        typer.echo(f"{curves[name].pipeline.title} has no column {column}", err=True)
    return chosen


def _on_one_scale(curve: LightCurve, stitch: Stitch | None, column: str) -> LightCurve:
    if stitch is not None:
        return curve.stitch(stitch, column)
    if len(curve.lengths) == 1 or "flux" not in column:
        return curve
    try:
        return curve.stitch("median", column)
    except RequestError:  # a median that is not positive
        return curve.stitch("offset", column)


def _print_plot(curves: dict[str, LightCurve], title: str, mask: Mask, column: str) -> None:
    from tessloom.reading.terminal_plot import text_plot  # noqa: PLC0415

    size = shutil.get_terminal_size((80, _ROWS))
    # A shell's >&- leaves no standard output at all.
    height = size.lines if sys.stdout and sys.stdout.isatty() else _ROWS
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()
    text = text_plot(
        curves, title, mask=mask, column=column, width=size.columns, height=height - 1, plain=plain
    )
    _say(text)


def _save_plot(
    curves: dict[str, LightCurve], title: str, mask: Mask, column: str, out: Path
) -> None:
    from tessloom.reading.plot import figure  # noqa: PLC0415

    made = figure(curves, title, mask, column)
    try:
        made.savefig(out, dpi=150)
    except OSError as error:
        raise RequestError(f"can't write {out}: {error.strerror or error}") from error
    _say(f"{title}: {out}")


def _say(text: str) -> None:
    try:
        typer.echo(text)
    except OSError as error:
        # Else Python tries to write it again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # whoever reads it has seen enough
            raise typer.Exit(1) from None
        raise RequestError(f"can't write the output: {error.strerror or error}") from error


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
