"""The dataset card: what Hugging Face datasets reads, and what people read first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom._version import SOFTWARE
from tessloom.dataset.citations import bibtex
from tessloom.dataset.croissant import check_croissant
from tessloom.dataset.layout import CARD, write_text
from tessloom.dataset.splits import read_splits
from tessloom.dataset.summary import size_text
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tessloom.dataset.columns import DescribedColumn
    from tessloom.dataset.splits import Splits
    from tessloom.dataset.summary import SectorSummary, Summary

_MARK = "<!-- Written by tessloom. -->"
_SYNTHETIC = """
> **Synthetic data.** {names} come from the demo archive that tessloom carries with it. The stars
> do not exist. Use them to try things out, never for science.
"""
_SPLITS = """
## Splits for training

A star belongs to one split, whatever sectors and pipelines it is in, so that no star that a model
has learned from is one that it is judged by. Its TIC id decides (the Gaia DR3 id of a light curve
that has none, which then may be in another split than others of its star): mixed by SplitMix64,
the upper 53 bits give a number from 0 to 1; `train` has those below {train:.6g}, `validation` those
from there to {validation:.6g}, `test` the others: {shares} %. Ids are the same everywhere, so the
splits of datasets with the same shares agree. `tessloom splits` chooses other shares for all who
read the dataset.

```python
import numpy as np
import tessloom
tic_ids = np.array([39903405, 9027719])
splits = tessloom.Splits(train={own.train}, validation={own.validation}, test={own.test})
in_training = splits.holds("train", tic_ids)
```
"""
_LICENCE = """
## Licence and citations

The light curves are licensed under {licences} by those who made them and contributed them to the
Mikulski Archive for Space Telescopes (MAST). Please cite the mission and each pipeline that you
use.
"""
_LICENCE_NAMES = {"cc-by-4.0": "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/)"}
# What the Hub calls sizes.
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)


def check_card(root: Path) -> None:
    """Check that the card to be written will not replace somebody's own file.

    Raises
    ------
    DatasetError
        There is a README.md, or a croissant.json, that tessloom did not write.
    """
    card = root / CARD
    if card.exists() and _MARK not in card.read_text(encoding="utf-8", errors="replace"):
        raise DatasetError(
            f"{card} was not written by tessloom and would be replaced by the dataset card: "
            "choose an empty directory, or move it elsewhere and run the same command again"
        )
    check_croissant(root)


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
    lines = ["---", *_metadata(summaries), *configs, "---", "", ""]
    write_text(root / CARD, "\n".join(lines) + _text(summaries, opening, read_splits(root)))


def _metadata(summaries: Sequence[Summary]) -> Iterator[str]:
    yield "pretty_name: TESS full-frame-image light curves"
    yield "license:"
    yield from (f"- {licence}" for licence in _licences(summaries))
    rows = sum(summary.total.written for summary in summaries)
    yield "size_categories:"
    yield f"- {next((name for stop, name in _SIZES if rows < stop), '1B<n<10B')}"
    if any(summary.synthetic for summary in summaries):
        yield "synthetic: true"
    yield from ("tags:", "- astronomy", "- light curves", "- TESS")


def _text(summaries: Sequence[Summary], opening: str, splits: Splits) -> str:
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
    parts += ["", "## What is inside", "", *_contents(summaries)]
    train, validation = splits.borders()
    shares = _SPLITS.format(train=train, validation=validation, shares=splits, own=splits)
    parts += [opening, shares, "", "## Columns"]
    for summary in summaries:
        parts += ["", f"### {summary.pipeline.title}: columns", "", *_columns(summary.columns)]
    licences = ", ".join(_LICENCE_NAMES.get(name, name) for name in _licences(summaries))
    parts.append(_LICENCE.format(licences=licences))
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
    parts += ["```bibtex", bibtex(summary.pipeline for summary in summaries), "```", ""]
    return "\n".join(parts)


def _licences(summaries: Sequence[Summary]) -> list[str]:
    return sorted({summary.pipeline.licence for summary in summaries})


def _contents(summaries: Sequence[Summary]) -> Iterator[str]:
    yield "| config | pipeline | sectors | stars | light curves | of those asked for | size |"
    yield "|---|---|---|---|---|---|---|"
    for summary in summaries:
        pipeline, total = summary.pipeline, summary.total
        stars = f"{summary.stars:,}" if summary.stars is not None else "—"
        yield (
            f"| `{pipeline.name}` | {pipeline.title} | "
            f"{', '.join(map(str, summary.written_sectors))} | {stars} | {total.written:,} | "
            f"{_share(total)} | {size_text(total.size)} |"
        )
    yield from ("", "| config | sector | light curves | asked for | | size | could not be had |")
    yield "|---|---|---|---|---|---|---|"
    for summary in summaries:
        for number, sector in summary.sectors.items():
            failures = ", ".join(f"{n:,} {reason}" for reason, n in sorted(sector.failures.items()))
            yield (
                f"| `{summary.pipeline.name}` | {number} | {sector.written:,} | {sector.asked:,} | "
                f"{_share(sector)} | {size_text(sector.size)} | {failures or '—'} |"
            )


def _columns(columns: Sequence[DescribedColumn]) -> Iterator[str]:
    yield "| column | type | unit | what it is | FITS |"
    yield "|---|---|---|---|---|"
    for column in columns:
        name = f"{column.parent}.{column.name}" if column.parent else column.name
        kind = f"list of {column.dtype}" if column.is_list else column.dtype
        yield (
            f"| `{name}` | {kind} | {column.unit} | {column.description or '—'} | {column.fits} |"
        )


def _share(sector: SectorSummary) -> str:
    """Return how much of what was asked for is there, never rounded up to all of it."""
    if sector.written >= sector.asked:
        return "100 %"
    return f"{int(1000 * sector.written / sector.asked) / 10} %"
