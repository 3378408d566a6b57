"""The command ``tessloom push``."""

from __future__ import annotations

from typing import Annotated

import typer


def push(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The dataset's directory.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="hf://datasets/owner/name")],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check the card and list the files; upload nothing."),
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Make a repository that only its owner sees.")
    ] = False,
) -> None:
    """Upload a dataset to the Hugging Face Hub, or go on where an upload stopped."""
    from tessloom.reading.push import push as run_push  # noqa: PLC0415

    typer.echo(str(run_push(directory, url, dry_run=dry_run, private=private or None)))
