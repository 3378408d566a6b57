"""Target lists: the positions of a sector's targets, as CSV."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tessloom.errors import ArchiveError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tessloom.archive.findings import Findings
    from tessloom.pipelines import Pipeline

_COLUMNS = {"id": pa.int64(), "tic_id": pa.int64(), "ra": pa.float64(), "dec": pa.float64()}


class TargetListReader:
    """Collects the rows of a target list, fed with pieces of any size.

    Parameters
    ----------
    wanted
        Ids after which nothing more is needed; `full` tells. None: read to the end.
    address
        What errors call the list.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        findings: Findings,
        address: str,
        wanted: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._findings = findings
        self._address = address
        self._wanted = None if wanted is None else set(wanted.tolist())
        self._columns: dict[str, str] = {}  # of the file → ours
        self._header: list[str] = []
        self._rest = b""
        self._tables: list[pa.Table] = []
        self.full = False

    def feed(self, piece: bytes) -> None:
        """Read one piece of the list."""
        complete, line_feed, rest = (self._rest + piece).rpartition(b"\n")
        self._rest = rest
        self._read(complete + line_feed)

    def close(self) -> None:
        """Read what stands after the last line feed."""
        self._read(self._rest)
        self._rest = b""
        if not self._header:
            raise ArchiveError(f"the target list {self._address} is empty")

    def rows(self) -> pa.Table:
        """Return the rows in the order of the list: id, tic_id, ra, dec; all but id may be null."""
        schema = pa.schema(_COLUMNS)
        if not self._tables:
            return schema.empty_table()
        return pa.concat_tables(self._tables).combine_chunks()

    def _read(self, lines: bytes) -> None:
        if not self._header and lines:
            first, _, lines = lines.partition(b"\n")
            self._read_header(first)
        if not lines.strip() or self.full:
            return
        try:
            table, skipped = self._parse(lines)
        except pa.ArrowInvalid:
            table, skipped = self._parse(self._readable(lines))
        for row in skipped:
            self._findings.add("bad-row", row)
        self._tables.append(table)
        if self._wanted is not None:
            self._wanted.difference_update(table["id"].to_pylist())
            self.full = not self._wanted

    def _read_header(self, line: bytes) -> None:
        names = [
            name.strip().lstrip("#").strip().upper()
            for name in line.decode("utf-8", "replace").split(",")
        ]
        sought = {self._pipeline.id_in_list: "id", "TIC_ID": "tic_id", "RA": "ra", "DEC": "dec"}
        sought[self._pipeline.id_in_list] = "id"
        for name in (self._pipeline.id_in_list, "RA", "DEC"):
            if name not in names:
                raise ArchiveError(
                    f"the target list {self._address} has no column {name}: it starts with {line!r}"
                )
        self._header = [f"{index}:{name}" for index, name in enumerate(names)]
        self._columns = {
            f"{names.index(name)}:{name}": ours for name, ours in sought.items() if name in names
        }

    def _parse(self, lines: bytes) -> tuple[pa.Table, list[str]]:
        """Return the rows, and those that have more or fewer cells than the header."""
        skipped: list[str] = []

        def skip(row: csv.InvalidRow) -> str:
            skipped.append(str(row.text))
            return "skip"

        table = csv.read_csv(
            io.BytesIO(lines),
            read_options=csv.ReadOptions(column_names=self._header),
            parse_options=csv.ParseOptions(invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(
                include_columns=list(self._columns),
                column_types={name: _COLUMNS[ours] for name, ours in self._columns.items()},
                null_values=["", "nan", "NaN", "NAN", "null", "None"],
            ),
        ).rename_columns(list(self._columns.values()))
        if "tic_id" not in table.column_names:
            own = self._pipeline.id_name == "tic_id"
            table = table.append_column(
                "tic_id", table["id"] if own else pa.nulls(len(table), pa.int64())
            )
        table = table.select(list(_COLUMNS))
        return table.filter(table["id"].is_valid()), skipped

    def _readable(self, lines: bytes) -> bytes:
        """Return the lines whose numbers are numbers, blanks around them removed; count others."""
        readable: list[bytes] = []
        positions = [self._header.index(name) for name in self._columns]
        kinds = [_COLUMNS[ours] for ours in self._columns.values()]
        for line in lines.splitlines():
            cells = [cell.strip().strip(b'"') for cell in line.split(b",")]
            try:
                for position, kind in zip(positions, kinds, strict=True):
                    if cells[position]:
                        _ = int(cells[position]) if kind == pa.int64() else float(cells[position])
            except (ValueError, IndexError):
                if line.strip():
                    self._findings.add("bad-row", line.decode("ascii", "replace"))
                continue
            readable.append(b",".join(cells))
        return b"\n".join(readable) + b"\n"


def first_rows(rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the sorted ids of a list, and the position of each id's first row."""
    identifiers, positions = np.unique(rows["id"].to_numpy(), return_index=True)
    return identifiers, positions
