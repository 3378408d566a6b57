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


def write_card(root: Path, summaries: Sequence[Summary]) -> None:
    """Write the card of a dataset."""
    write_text(root / CARD, _front_matter(summaries) + _text(summaries))


def _front_matter(summaries: Sequence[Summary]) -> str:
    licences = sorted({summary.pipeline.licence for summary in summaries})
    lines = ["---", "license:", *(f"- {licence}" for licence in licences)]
    lines += ["tags:", "- astronomy", "- light curves", "- TESS", "- HATS", "configs:"]
    for pipeline, sectors, *_ in summaries:
        lines += [f"- config_name: {pipeline.name}", "  data_files:"]
        for sector in sectors:
            pattern = f"{pipeline.name}/catalog/dataset/Norder=*/Dir=*/Npix=*/s{sector:04d}.parquet"
            lines += [f"  - split: s{sector:04d}", f'    path: "{pattern}"']
    return "\n".join([*lines, "---", "", ""])


def _text(summaries: Sequence[Summary]) -> str:
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
    name, split = summaries[0].pipeline.name, f"s{summaries[0].sectors[0]:04d}"
    parts.append(_OPENING.format(name=name, split=split))
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


_OPENING = """
## Opening it

```python
import pyarrow.parquet as pq
stars = pq.read_table("{name}/catalog/dataset")          # .to_pandas()
```
```python
import lsdb
stars = lsdb.open_catalog("{name}")                      # cone_search, id_search, crossmatch
```
```python
from datasets import load_dataset
stars = load_dataset(".", "{name}", split="{split}")     # one split a sector
stars = stars.with_format("numpy", dtype=None)           # dtype=None keeps time in double
```

`lightcurve` holds lists of equal length: `time` is BTJD (BJD - 2457000, TDB) in double, `flux`
and `flux_err` are what the pipeline recommends, `quality` has its raw bits. Nothing was cleaned,
padded or left out. Descriptions, units and FITS names are in the Arrow schema's metadata.

## Sources and citations
"""
