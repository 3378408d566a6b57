"""The command ``tessloom splits``."""

from __future__ import annotations

from typing import Annotated

import typer

from tessloom.cli_reading import Directory  # noqa: TC001 - typer reads the annotations


def splits(
    directory: Directory,
    shares: Annotated[
        str | None,
        typer.Argument(metavar="[SHARES]", help="train/validation/test, such as 70/20/10."),
    ] = None,
) -> None:
    """Say which shares of the stars are for training, validation and test, or choose them."""
    from tessloom.dataset.splits import Splits, read_splits  # noqa: PLC0415
    from tessloom.dataset.storage import open_directory, store_failures  # noqa: PLC0415
    from tessloom.reading.recorded_splits import record_splits  # noqa: PLC0415

    if shares is not None:
        record_splits(directory, Splits.parse(shares))
    root = open_directory(directory)
    with store_failures(root):
        typer.echo(f"train/validation/test: {read_splits(root)} % of the stars")
