"""The dataset card: what Hugging Face datasets reads, and what people read first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tessloom._version import SOFTWARE
from tessloom.dataset.layout import CARD, write_text
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tessloom.pipelines import Pipeline

_MARK = "<!-- Written by tessloom. -->"
_SYNTHETIC = """
> **Synthetic data.** {names} come from the demo archive that tessloom carries with it. The stars
> do not exist. Use them to try things out, never for science.
"""


def check_card(root: Path) -> None:
    """Check that the card to be written will not replace somebody's own file.

    Raises
    ------
    DatasetError
        There is a README.md that tessloom did not write.
    """
    card = root / CARD
    if card.exists() and _MARK not in card.read_text(encoding="utf-8", errors="replace"):
        raise DatasetError(
            f"{card} was not written by tessloom and would be replaced by the dataset card: "
            "choose an empty directory"
        )


class Summary(NamedTuple):
    """What a dataset has of one pipeline."""

    pipeline: Pipeline
    sectors: list[int]
    rows: int
    synthetic: bool


def write_card(
    root: Path, summaries: Sequence[Summary], configs: Sequence[str], opening: str
) -> None:
    """Write the card of a dataset.

    Parameters
    ----------
    configs
        Lines of YAML by which Hugging Face datasets finds the files.
    opening
        Section on how to open the dataset, in Markdown.
    """
    licences = sorted({summary.pipeline.licence for summary in summaries})
    lines = ["---", "license:", *(f"- {licence}" for licence in licences)]
    lines += ["tags:", "- astronomy", "- light curves", "- TESS", *configs, "---", "", ""]
    write_text(root / CARD, "\n".join(lines) + _text(summaries, opening))


def _text(summaries: Sequence[Summary], opening: str) -> str:
    names = ", ".join(summary.pipeline.title for summary in summaries)
    parts = [
        _MARK,
        "",
        "# TESS full-frame-image light curves",
        "",
        f"Light curves of {names}, one row a (sector, target), as {SOFTWARE} wove them.",
    ]
    synthetic = [summary.pipeline.title for summary in summaries if summary.synthetic]
    if synthetic:
        parts.append(_SYNTHETIC.format(names=", ".join(synthetic)))
    parts += ["", "| config | pipeline | sectors | light curves |", "|---|---|---|---|"]
    parts += [
        f"| `{pipeline.name}` | {pipeline.title} | {', '.join(map(str, sectors))} | {rows:,} |"
        for pipeline, sectors, rows, _ in summaries
    ]
    parts.append(opening)
    for summary in summaries:
        pipeline = summary.pipeline
        parts += [
            f"### {pipeline.title}",
            "",
            pipeline.description,
            f"Source: {pipeline.homepage}, doi:{pipeline.doi}. Licence: {pipeline.licence}.",
            f"Please cite: {pipeline.citation}.",
            "",
        ]
    return "\n".join(parts)
