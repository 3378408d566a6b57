"""LSDB, DuckDB and polars with what is special about these datasets."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support import NAMES, open_with_lsdb, read_table

FILES = "catalog/dataset/*/*/*/*.parquet"


@pytest.mark.parametrize("name", NAMES)
def test_lsdb_gives_the_columns_of_light_curves_by_their_dotted_names(
    name: str, dataset: Path
) -> None:
    stars = open_with_lsdb(dataset / name).compute()
    table = read_table(dataset, name)
    for column in ("time", "flux"):
        values = stars[f"lightcurve.{column}"].to_numpy(copy=True)
        expected = pa.compute.list_flatten(table["lightcurve"].combine_chunks().field(column))
        assert (
            np.sort(values).tobytes() == np.sort(expected.to_numpy(zero_copy_only=False)).tobytes()
        )


def bright(root: Path) -> dict[tuple[int, int], bytes]:
    table = read_table(root, "tglc")
    table = table.filter(pa.compute.less(table["tess_mag"], 12))
    return {
        (row["gaia_dr3_id"], row["sector"]): np.array(row["lightcurve"]["time"]).tobytes()
        for row in table.to_pylist()
    }


def test_duckdb_finds_bright_stars_with_time_in_double(dataset: Path) -> None:
    import duckdb

    files = str(dataset / "tglc" / FILES)
    query = duckdb.sql(
        "SELECT gaia_dr3_id, sector, lightcurve.time FROM read_parquet($files, "
        "hive_partitioning = false) WHERE tess_mag < 12",
        params={"files": files},
    )
    assert query is not None
    found = query.fetchall()
    times = {(star, sector): np.array(time).tobytes() for star, sector, time in found}
    assert times == bright(dataset)
    assert times


def test_polars_finds_bright_stars_with_time_in_double(dataset: Path) -> None:
    import polars as pl

    found = (
        pl.scan_parquet(dataset / "tglc" / FILES, hive_partitioning=False)
        .filter(pl.col("tess_mag") < 12)
        .select("gaia_dr3_id", "sector", pl.col("lightcurve").struct.field("time"))
        .collect()
    )
    assert found.schema["time"] == pl.List(pl.Float64)
    times = {(star, sector): np.array(time).tobytes() for star, sector, time in found.rows()}
    assert times == bright(dataset)
