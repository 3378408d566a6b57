"""Rows that can be had as a table of Arrow, pandas or polars."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pyarrow as pa

from tessloom.reading.extras import extra

if TYPE_CHECKING:
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame


class Tabular(ABC):
    """Rows that are read when a table of them is asked for.

    What takes Arrow's streams takes it as it is: ``pa.table``, ``pl.DataFrame``, DuckDB.
    """

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""

    def to_pandas(self) -> PandasFrame:
        """Return the rows as a pandas data frame (``pip install pandas``), lists as numpy arrays.

        Columns of integers and booleans in which values are missing have pandas' nullable types:
        as floats, which pandas takes otherwise, long ids would change.
        """
        pd = extra("pandas", "pandas")
        table = self.to_arrow()
        frame: PandasFrame = table.to_pandas()
        nullable = {
            pa.bool_(): pd.BooleanDtype(),
            pa.int8(): pd.Int8Dtype(),
            pa.int16(): pd.Int16Dtype(),
            pa.int32(): pd.Int32Dtype(),
            pa.int64(): pd.Int64Dtype(),
        }
        for field in table.schema:
            if field.type in nullable and table[field.name].null_count:
                frame[field.name] = table[field.name].to_pandas(types_mapper=nullable.get)
        return frame

    def to_polars(self) -> PolarsFrame:
        """Return the rows as a polars data frame (``tessloom[polars]``)."""
        pl = extra("polars", "polars")
        frame: PolarsFrame = pl.from_arrow(self.to_arrow())
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)
