"""Target lists: the positions of a sector's targets, as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from tessloom.archive.findings import EXAMPLES_KEPT
from tessloom.archive.lines import LONGEST_LINE, LineBlocks, first_texts, split_lines
from tessloom.archive.script import repeated_values
from tessloom.errors import ArchiveError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tessloom.archive.findings import Findings
    from tessloom.pipelines import Pipeline

_COLUMNS = {"id": pa.int64(), "tic_id": pa.int64(), "ra": pa.float64(), "dec": pa.float64()}
_NULLS = ["", "nan", "NaN", "NAN", "null", "None"]

# Bytes parsed at a time; less where not all is needed.
_BLOCK = 4 << 20
_BLOCK_OF_FEW = 256 << 10
# Cells that Arrow reads for certain, whatever their number, so that they are read together.
_PLAIN = {
    pa.int64(): r"^-?[0-8]?[0-9]{1,18}$",
    pa.float64(): r"^-?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE]-?[0-9]{1,2})?$",
}
# Other cells that may be numbers, to be tried one by one.
_PERHAPS = r"^[-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]*)?|0[xX][0-9a-fA-F]+|(?i:inf|nan).{0,20})$"


class TargetListReader:
    """Collects the rows of a target list, fed with pieces of any size.

    The outcome depends on the text alone, not on how it was cut.

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
        self._wanted = None if wanted is None else np.unique(wanted)
        self._blocks = LineBlocks(_BLOCK if wanted is None else _BLOCK_OF_FEW)
        self._columns: dict[str, str] = {}  # of the file → ours
        self._header: list[str] = []
        self._tables: list[pa.Table] = []
        self.full = False

    def feed(self, piece: bytes) -> None:
        """Read one piece of the list.

        Raises
        ------
        ArchiveError
            Its header lacks a column that is needed.
        """
        if not self.full:
            self._read(self._blocks.feed(piece))

    def close(self) -> None:
        """Read what stands after the last line feed.

        Raises
        ------
        ArchiveError
            The list is empty, or its header lacks a column that is needed.
        """
        lines, rest = self._blocks.close()
        self._read(lines)
        self._read(rest + b"\n" if rest else b"")
        if not self._header:
            raise ArchiveError(f"the target list {self._address} is empty")

    def rows(self) -> pa.Table:
        """Return the rows in the order of the list: id, tic_id, ra, dec; all but id may be null.

        The table is in chunks: to join them would take as much memory again.
        """
        return pa.concat_tables([pa.schema(_COLUMNS).empty_table(), *self._tables])

    def _read(self, lines: bytes) -> None:
        if not self._header and lines:
            first, _, lines = lines.partition(b"\n")
            self._read_header(first)
        if not lines or self.full:
            return
        table, bad = self._parse(lines)
        if self._wanted is not None:
            left = self._wanted[~np.isin(self._wanted, table["id"].to_numpy())]
            if not len(left):
                table, bad = self._parse(self._lines_needed(lines, self._wanted))
                self.full = True
            self._wanted = left
        self._findings.add_some("bad-row", first_texts(bad), len(bad))
        self._tables.append(table)

    def _lines_needed(self, block: bytes, wanted: npt.NDArray[np.int64]) -> bytes:
        """Return the first lines of a block, as many as it takes to have all ids wanted."""
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
        too_few, enough = 0, len(ends)
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            table, _ = self._parse(block[: ends[middle - 1]])
            if np.isin(wanted, table["id"].to_numpy()).all():
                enough = middle
            else:
                too_few = middle
        return block[: ends[enough - 1]]

    def _read_header(self, line: bytes) -> None:
        if len(line) > LONGEST_LINE:
            raise ArchiveError(
                f"the target list {self._address} is none: its first line has more than "
                f"{LONGEST_LINE} bytes and starts with {line[:200]!r}"
            )
        names = [
            name.strip().lstrip("#").strip().upper()
            for name in line.decode("utf-8-sig", "replace").split(",")
        ]
        sought = {self._pipeline.id_in_list: "id", "TIC_ID": "tic_id", "RA": "ra", "DEC": "dec"}
        sought[self._pipeline.id_in_list] = "id"
        for name in (self._pipeline.id_in_list, "RA", "DEC"):
            if name not in names:
                raise ArchiveError(
                    f"the target list {self._address} has no column {name}: it starts with "
                    f"{line[:200]!r}"
                )
        self._header = [f"{index}:{name}" for index, name in enumerate(names)]
        self._columns = {
            f"{names.index(name)}:{name}": ours for name, ours in sought.items() if name in names
        }

    def _parse(self, block: bytes) -> tuple[pa.Table, pa.BinaryArray]:
        """Return the rows of a block of lines, and the lines that can't be read."""
        columns = None
        if block.isascii() and b'"' not in block and block.count(b"\r") == block.count(b"\r\n"):
            columns = self._parse_at_once(block)
        bad = pa.array([], pa.binary())
        if columns is None:
            columns, bad = self._parse_cell_by_cell(block)
        for name in ("ra", "dec"):
            values = columns[name]
            columns[name] = pc.if_else(pc.is_finite(values), values, None)
        if "tic_id" not in columns:
            own = self._pipeline.id_name == "tic_id"
            identifiers = columns["id"]
            columns["tic_id"] = identifiers if own else pa.nulls(len(identifiers), pa.int64())
        table = pa.table({name: columns[name] for name in _COLUMNS}, schema=pa.schema(_COLUMNS))
        return table.filter(table["id"].is_valid()) if table["id"].null_count else table, bad

    def _parse_at_once(self, block: bytes) -> dict[str, pa.Array] | None:
        """Return the columns, or None if there is a line that can't be read."""
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(block),
                read_options=arrow_csv.ReadOptions(
                    column_names=self._header, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=arrow_csv.ParseOptions(quote_char=False),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(self._columns),
                    column_types={name: _COLUMNS[ours] for name, ours in self._columns.items()},
                    null_values=_NULLS,
                ),
            )
        except pa.ArrowInvalid:
            return None
        return {
            ours: column.combine_chunks()
            for ours, column in zip(self._columns.values(), table.columns, strict=True)
        }

    def _parse_cell_by_cell(self, block: bytes) -> tuple[dict[str, pa.Array], pa.BinaryArray]:
        """Return the columns of the lines that can be read, and the other lines."""
        lines = split_lines(block)
        length = pc.binary_length(lines).to_numpy()
        text = _unquoted(block) if b'"' in block else block
        text = text.decode("ascii", "replace").encode()
        cells = pc.utf8_rtrim(pc.cast(split_lines(text), pa.string()), "\r\n")
        filled = pc.not_equal(pc.utf8_trim_whitespace(cells), "").to_numpy(zero_copy_only=False)
        complete = pc.equal(pc.count_substring(cells, ","), len(self._header) - 1)
        good = complete.to_numpy(zero_copy_only=False) & (length <= LONGEST_LINE + len("\n"))
        rows = np.flatnonzero(good & filled)
        cells = pc.split_pattern(cells.take(pa.array(rows)), ",").flatten()
        columns: dict[str, pa.Array] = {}
        readable = np.ones(len(rows), bool)
        for name, ours in self._columns.items():
            places = np.arange(len(rows)) * len(self._header) + self._header.index(name)
            values, could = _numbers(cells.take(pa.array(places)), _COLUMNS[ours])
            columns[ours] = values
            readable &= could
        good[rows[~readable]] = False
        kept = pa.array(readable)
        columns = {ours: values.filter(kept) for ours, values in columns.items()}
        return columns, lines.filter(pa.array(filled & ~good))


def _unquoted(block: bytes) -> bytes:
    """Return a block with the quotes of its cells removed, and the commas inside them."""
    lines = block.decode("latin-1").split("\n")
    for number, line in enumerate(lines):
        if '"' in line:
            try:
                (cells,) = csv.reader([line.rstrip("\r")])
            except (csv.Error, ValueError):
                continue
            lines[number] = ",".join(cell.replace(",", " ").replace("\n", " ") for cell in cells)
    return "\n".join(lines).encode("latin-1")


def _numbers(cells: pa.StringArray, kind: pa.DataType) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Return cells as numbers, null where they are empty, and which of them could be read."""
    cells = pc.utf8_trim_whitespace(cells)
    cells = pc.if_else(pc.is_in(cells, pa.array(_NULLS)), None, cells)
    plain = pc.fill_null(pc.match_substring_regex(cells, _PLAIN[kind]), True)
    values = pc.if_else(plain, cells, None).cast(kind)
    could = plain.to_numpy(zero_copy_only=False).copy()
    odd = np.flatnonzero(~could)
    perhaps = pc.match_substring_regex(cells.take(pa.array(odd)), _PERHAPS)
    odd = odd[perhaps.to_numpy(zero_copy_only=False)]
    read = {}
    for place in odd.tolist():
        try:
            read[place] = cells[place].cast(kind).as_py()
        except pa.ArrowInvalid:
            continue
        could[place] = True
    if read:
        mask = np.zeros(len(cells), bool)
        mask[list(read)] = True
        values = pc.replace_with_mask(values, pa.array(mask), pa.array(read.values(), kind))
    return values, could


def first_rows(rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the sorted ids of a list, and the position of each id's first row."""
    identifiers, positions = np.unique(rows["id"].to_numpy(), return_index=True)
    return identifiers, positions


def count_repeated_rows(rows: pa.Table, files: npt.NDArray[np.int64], findings: Findings) -> None:
    """Count the rows of a list that say again what an earlier one said.

    A star on two CCDs has two files and may have two rows.

    Parameters
    ----------
    files
        Ids of the files, shape ``(n,)``; one that has two files is there twice.
    """
    repeated = pa.array(repeated_values(rows["id"].to_numpy()))
    if not len(repeated):
        return
    again = rows.filter(pc.is_in(rows["id"], repeated)).combine_chunks()
    identifiers, first, group, counts = np.unique(
        again["id"].to_numpy(), return_index=True, return_inverse=True, return_counts=True
    )
    file_ids = pa.array(files)
    several = file_ids.filter(pc.is_in(file_ids, repeated)).to_numpy()
    allowed = np.searchsorted(np.sort(several), identifiers, "right")
    allowed = np.maximum(allowed - np.searchsorted(np.sort(several), identifiers), 1)
    surplus = np.maximum(counts - allowed, 0)
    examples = [f"id {identifier}" for identifier in identifiers[surplus > 0][:EXAMPLES_KEPT]]
    findings.add_some("repeated-row", examples, int(surplus.sum()))

    tic_id = again["tic_id"].combine_chunks()
    other = pc.fill_null(pc.not_equal(tic_id, tic_id.take(pa.array(first[group]))), False)
    examples = [
        f"id {identifier}" for identifier in again["id"].filter(other)[:EXAMPLES_KEPT].to_pylist()
    ]
    findings.add_some("other-tic-id", examples, pc.sum(other).as_py() or 0)
