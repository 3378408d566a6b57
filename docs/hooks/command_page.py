# ruff: noqa: INP001 - mkdocs loads it by its path
"""The page of commands, made from what ``tessloom --help`` says when the site is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_START = """# Commands

What `tessloom COMMAND --help` says. The exit status is 0 when all is complete, 1 when some light
curves are missing (the dataset is valid all the same), 2 for a wrong call, 3 when the archive or
the disk stopped the build (the same command continues it), and 130 when it was interrupted.
"""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page to those that are files; called by mkdocs."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - the tests do without mkdocs

    files.append(File.generated(config, "commands.md", content=command_page()))
    return files


def command_page() -> str:
    """Return the page, in Markdown."""
    import typer  # noqa: PLC0415

    from tessloom.cli import app  # noqa: PLC0415

    group = typer.main.get_command(app)
    context = group.make_context("tessloom", [], resilient_parsing=True, terminal_width=96)
    pages = [_START]
    for name, command in group.commands.items():
        inner = type(context)(command, parent=context, info_name=name, terminal_width=96)
        pages.append(f"## tessloom {name}\n\n```text\n{command.get_help(inner).strip()}\n```\n")
    return "\n".join(pages)
