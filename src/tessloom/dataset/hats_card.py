"""The card and the Croissant file of a dataset of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.card import write_card
from tessloom.dataset.croissant import Files, write_croissant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tessloom.dataset.summary import Summary

_PATTERN = "{name}/catalog/dataset/Norder=*/Dir=*/Npix=*/s{sector}.parquet"
_OPENING = """
## Opening it

```python
import tessloom
dataset = tessloom.open(".")            # light_curve(tic=...), cone, select, torch
bright = dataset["{name}"].select(["tic_id", "flux"], where="tess_mag < 10")
```
```python
import lsdb
stars = lsdb.open_catalog("{name}")         # cone_search, id_search, crossmatch
flux = stars["lightcurve.flux"]
```
```python
from pathlib import Path
from datasets import load_dataset
stars = load_dataset(str(Path.cwd()), "{name}", split="{split}")   # one split a sector
stars = stars.with_format("numpy", dtype=None)         # dtype=None keeps time in double
```
```python
import pyarrow.parquet as pq
stars = pq.read_table("{name}/catalog/dataset", partitioning=None)   # .to_pandas()
```
```python
import duckdb
bright = duckdb.sql('''
    SELECT tic_id, sector, lightcurve.time, lightcurve.flux
    FROM read_parquet('{name}/catalog/dataset/*/*/*/*.parquet', hive_partitioning = false)
    WHERE tess_mag < 10
''').arrow()
```
```python
import polars as pl
bright = (
    pl.scan_parquet("{name}/catalog/dataset/*/*/*/*.parquet", hive_partitioning=False)
    .filter(pl.col("tess_mag") < 10)
    .select("tic_id", "sector", pl.col("lightcurve").struct.field("time", "flux"))
    .collect()
)
```

`lightcurve` holds lists of equal length: `time` is BTJD (BJD - 2457000, TDB) in double, `flux`
and `flux_err` are what the pipeline recommends, `quality` has its raw bits. Nothing was cleaned,
padded or left out. Descriptions, units and FITS names are in the Arrow schema's metadata too, and
`croissant.json` has them for programs.
"""


def write_description(root: Path, summaries: Sequence[Summary]) -> None:
    """Write the card and the Croissant file; all `summaries` have light curves."""
    name, split = summaries[0].pipeline.name, f"s{summaries[0].written_sectors[0]:04d}"
    opening = _OPENING.format(name=name, split=split)
    write_card(root, summaries, list(_configs(summaries)), opening)
    write_croissant(
        root,
        [
            Files(
                summary,
                _PATTERN.format(name=summary.pipeline.name, sector="*"),
                "application/x-parquet",
            )
            for summary in summaries
        ],
    )


def _configs(summaries: Sequence[Summary]) -> Iterator[str]:
    yield from ("- HATS", "configs:")
    for summary in summaries:
        name = summary.pipeline.name
        yield from (f"- config_name: {name}", "  data_files:")
        for sector in summary.written_sectors:
            pattern = _PATTERN.format(name=name, sector=f"{sector:04d}")
            yield from (f"  - split: s{sector:04d}", f'    path: "{pattern}"')
