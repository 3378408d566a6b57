"""The command ``tessloom push``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tessloom.reading.push import Push


def push(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The dataset's directory.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="hf://datasets/owner/name")],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check the card and sum the files up; upload nothing."),
    ] = False,
    every: Annotated[bool, typer.Option("--list", help="Name each file that is uploaded.")] = False,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public",
            help="Whether its owner alone sees the repository. Default: a new one is public, "
            "unless the organization's settings make new ones private.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Upload a dataset to the Hugging Face Hub, or go on where an upload stopped.

    Files in the directory that tessloom did not write stay here.
    """
    from tessloom.reading.push import push as run_push  # noqa: PLC0415

    def tell(pushed: Push) -> None:
        if every:
            typer.echo(pushed.listed)
        typer.echo(str(pushed))

    run_push(directory, url, dry_run=dry_run, private=private, tell=tell)
    typer.echo("Nothing was uploaded: this was a dry run." if dry_run else "Uploaded.")
