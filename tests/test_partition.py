"""A partition's file: the same bytes in whatever order answers come, whole or not there."""

import itertools
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from cdshealpix.nested import healpix_to_lonlat

import tessloom
from tessloom.archive.targets import target_table
from tessloom.building import partition as partition_module
from tessloom.building.partition import PartitionBuilder, Result, RowGroup
from tessloom.building.plan import Partition, in_partition_order, make_partitions
from tessloom.dataset._protocol import DatasetFormat
from tessloom.dataset.checksum import BLANK, is_intact
from tessloom.dataset.formats import choose_format
from tessloom.dataset.hats import PARQUET
from tessloom.dataset.receipt import Failure, Receipt
from tessloom.dataset.rows import Row, RowFormat
from tessloom.dataset.standard import StandardFormat
from tessloom.demo.products import PRODUCTS
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import Target, stars
from tessloom.errors import DatasetError
from tessloom.fits import Decoder
from tessloom.healpix import coarser, healpix_29
from tessloom.pipelines import PIPELINES, QLP, Pipeline

COUNT = 12


def make_partition(
    dataset_format: DatasetFormat, ra: np.ndarray, dec: np.ndarray, sector: int = 23
) -> Partition:
    """Return the one partition of stars 1, 2, … at positions of the target list."""
    count = len(ra)
    table = target_table(
        {
            "id": np.arange(1, count + 1),
            "camera": [0] * count,
            "ccd": [0] * count,
            "version": ["v01"] * count,
            "ra": ra,
            "dec": dec,
            "healpix_29": healpix_29(ra, dec),
        },
        count,
    )
    ordered = in_partition_order(table)
    (partition,) = make_partitions(dataset_format.declare(QLP), sector, ordered)
    return partition


def make_file(identifier: int, ra: float, dec: float, sector: int = 23) -> bytes:
    """Return a file whose header has this position."""
    star = stars()[identifier]._replace(tic_id=identifier, ra=ra, dec=dec)
    return PRODUCTS["qlp"].file(SECTORS[sector], Target(star, 1, 1, 9.0, 9.0))


def failure(identifier: int) -> Failure:
    return Failure(id=identifier, camera=0, ccd=0, path="p", reason="missing", detail="d")


def as_asked(receipt: Receipt) -> Receipt:
    """Return a receipt without what the writer adds."""
    return replace(receipt, checksum="", features=(), contiguous=False)


def without(row: Row, **scalars: Any) -> Row:
    """Return a row with other header values."""
    names = [keyword.name for keyword in QLP.keywords]
    values = dict(zip(names, row.scalars, strict=True)) | scalars
    return replace(row, scalars=tuple(values.values()))


def write_again(dataset_format: DatasetFormat, pipeline: Pipeline, path: Path, copy: Path) -> None:
    """Write what is read from a partition into another file of the same format."""
    written_with = dataset_format.written_with(path, pipeline)
    schema = written_with.row_format(pipeline).schema
    writer = written_with.writer(copy, pipeline)
    for batch in written_with.read_rows(path, pipeline):
        batch.validate(full=True)
        assert batch.schema.equals(schema, check_metadata=True)
        writer.write(batch)
    receipt = dataset_format.read_receipt(path)
    assert writer.close(as_asked(receipt)) == dataset_format.read_receipt(copy)


def cut_to(row: Row, cadences: int) -> Row:
    """Return the first cadences of a row."""
    return replace(row, records=row.records[:cadences], nbytes=cadences * row.records.itemsize)


def series_of(row_format: RowFormat, row: Row, name: str) -> np.ndarray:
    """Return a light curve's column as it is in the file."""
    sources = row.sources.columns
    names = [field.name for field in row_format.schema.field("lightcurve").type]
    source = sources[names.index(name)]
    assert source is not None
    return row.records[source.name]


def with_nan_bits(row_format: RowFormat, row: Row) -> Row:
    """Return a row with a NaN that no arithmetic makes, and one with a sign."""
    changed = replace(row, records=row.records.copy())
    # Bit by bit: a signalling NaN does not survive a conversion.
    flux = series_of(row_format, changed, "sap_flux")
    flux[:2] = np.array([0x7FA12345, 0xFFC00001], ">u4").view(">f4")
    return changed


class PartitionContract:
    """What every format's partitions do."""

    dataset_format: DatasetFormat

    def read(self, path: Path) -> dict[str, Any]:
        """Read a file's light curves by name with the format's own library."""
        raise NotImplementedError

    @pytest.fixture
    def partition(self) -> Partition:
        # Around the centre of a pixel, which is 1.8 degrees wide at order 5.
        centre = healpix_to_lonlat(np.array([2000]), 5)
        offsets = np.random.default_rng(5).uniform(-0.3, 0.3, (2, COUNT))
        ra, dec = (value.deg + offset for value, offset in zip(centre, offsets, strict=True))
        return make_partition(self.dataset_format, ra, dec)

    @pytest.fixture
    def row_format(self, partition: Partition) -> RowFormat:
        return self.dataset_format.row_format(partition.pipeline)

    @pytest.fixture
    def outcomes(self, partition: Partition, row_format: RowFormat) -> list[Row | Failure]:
        """One outcome a target in the order of the partition: rows, and two failures."""
        return [
            failure(target["id"])
            if target["id"] in (4, 9)
            else self.make_row(row_format, target["id"], target["ra"], target["dec"])
            for target in partition.targets.to_pylist()
        ]

    @staticmethod
    def make_row(row_format: RowFormat, identifier: int, ra: float, dec: float) -> Row:
        body = make_file(identifier, ra, dec)
        return row_format.row(Decoder(row_format.wanted).decode(body), 23, identifier, 0, 0)

    def builder(self, partition: Partition, root: Path) -> PartitionBuilder:
        row_format = self.dataset_format.row_format(partition.pipeline)
        return PartitionBuilder(partition, row_format, self.dataset_format, root)

    def write(
        self,
        partition: Partition,
        outcomes: list[Row | Failure],
        root: Path,
        order: list[int] | None = None,
    ) -> Result:
        builder = self.builder(partition, root)
        for slot in order or range(len(outcomes)):
            for group in builder.put(slot, outcomes[slot]):
                builder.write(group)
        assert builder.complete
        return builder.finish()

    def path_of(self, partition: Partition, root: Path) -> Path:
        return self.dataset_format.partition_path(
            root, partition.pipeline, partition.pixel, partition.sector
        )

    @pytest.mark.parametrize("seed", range(6))
    def test_the_order_of_answers_does_not_change_the_bytes(
        self,
        partition: Partition,
        outcomes: list[Row | Failure],
        tmp_path: Path,
        seed: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", 3)
        order = list(range(COUNT))
        random.Random(seed).shuffle(order)  # noqa: S311
        self.write(partition, outcomes, tmp_path / "in_order")
        self.write(partition, outcomes, tmp_path / "shuffled", order)
        one, other = (self.path_of(partition, tmp_path / name) for name in ("in_order", "shuffled"))
        assert one.read_bytes() == other.read_bytes()

    def test_the_receipt_says_what_was_asked_for_and_what_failed(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        result = self.write(partition, outcomes, tmp_path)
        receipt = self.dataset_format.read_receipt(self.path_of(partition, tmp_path))
        assert as_asked(receipt) == as_asked(result.receipt)
        assert (receipt.asked, receipt.written, receipt.synthetic) == (COUNT, COUNT - 2, True)
        assert sorted(failure.id for failure in receipt.failures) == [4, 9]
        assert receipt.digest == partition.digest

    def test_a_header_without_a_position_takes_the_list_s(
        self, partition: Partition, row_format: RowFormat, tmp_path: Path
    ) -> None:
        names = [keyword.name for keyword in QLP.keywords]
        rows: list[Row | Failure] = []
        for target in partition.targets.to_pylist():
            row = self.make_row(row_format, target["id"], target["ra"], target["dec"])
            scalars = dict(zip(names, row.scalars, strict=True)) | {"ra": None, "dec": None}
            rows.append(replace(row, scalars=tuple(scalars.values())))
        receipt = self.write(partition, rows, tmp_path).receipt
        written = self.read(self.path_of(partition, tmp_path))
        assert list(written["ra"]) == partition.targets["ra"].to_pylist()
        assert receipt.moved == 0

    def test_a_partition_of_failures_is_a_file_with_a_receipt(
        self, partition: Partition, tmp_path: Path
    ) -> None:
        failures: list[Row | Failure] = [failure(number) for number in range(COUNT)]
        self.write(partition, failures, tmp_path)
        path = self.path_of(partition, tmp_path)
        assert list(self.dataset_format.read_receipt(path).failures) == failures
        assert not self.dataset_format.object_ids(path)

    def test_a_receipt_may_be_longer_than_an_attribute_of_hdf5_was_once(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        long = [replace(o, detail="x" * 100_000) if isinstance(o, Failure) else o for o in outcomes]
        result = self.write(partition, long, tmp_path)
        receipt = self.dataset_format.read_receipt(self.path_of(partition, tmp_path))
        assert as_asked(receipt) == as_asked(result.receipt)
        assert is_intact(self.path_of(partition, tmp_path), receipt.checksum)

    def test_every_light_curve_is_written_in_full(
        self,
        partition: Partition,
        row_format: RowFormat,
        outcomes: list[Row | Failure],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", 4)
        # Of different lengths, the longest neither in the first row group nor in the last.
        cut = [
            cut_to(o, 300 - 20 * abs(n - 6)) if isinstance(o, Row) else o
            for n, o in enumerate(outcomes)
        ]
        self.write(partition, cut, tmp_path)
        path = self.path_of(partition, tmp_path)
        written = self.read(path)
        by_id = dict(zip(written["object_id"], written["time"], strict=True))
        expected = {
            o.object_id: series_of(row_format, o, "time").tolist()
            for o in cut
            if isinstance(o, Row)
        }
        assert set(by_id) == set(expected)
        for identifier, times in expected.items():
            np.testing.assert_array_equal(by_id[identifier], times)
        assert self.dataset_format.object_ids(path) == Counter(list(expected))

    def test_what_is_read_back_makes_the_same_file(
        self,
        partition: Partition,
        row_format: RowFormat,
        outcomes: list[Row | Failure],
        tmp_path: Path,
    ) -> None:
        rows = [o for o in outcomes if isinstance(o, Row)]
        strange: list[Row | Failure] = [
            # Without an id and a temperature; twice, on two CCDs; with other NaNs; one cadence.
            without(rows[0], tic_id=None, teff=None, camera=None),
            rows[1],
            without(rows[1], ccd=2),
            with_nan_bits(row_format, rows[2]),
            cut_to(rows[3], 1),
            *(failure(number) for number in range(6, COUNT)),
            without(rows[5], teff=float("nan")),
        ]
        self.write(partition, strange, tmp_path)
        path = self.path_of(partition, tmp_path)
        write_again(self.dataset_format, partition.pipeline, path, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes()

    def test_an_empty_partition_is_read_back_as_no_rows(
        self, partition: Partition, tmp_path: Path
    ) -> None:
        self.write(partition, [failure(number) for number in range(COUNT)], tmp_path)
        path = self.path_of(partition, tmp_path)
        assert not list(self.dataset_format.read_rows(path, partition.pipeline))
        write_again(self.dataset_format, partition.pipeline, path, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes()

    def test_a_star_beyond_its_pixel_is_read_back_within(
        self, partition: Partition, row_format: RowFormat, tmp_path: Path
    ) -> None:
        rows: list[Row | Failure] = [
            self.make_row(row_format, t["id"], t["ra"], t["dec"] + 5 * (n == 3))
            for n, t in enumerate(partition.targets.to_pylist())
        ]
        assert self.write(partition, rows, tmp_path).receipt.moved == 1
        path = self.path_of(partition, tmp_path)
        (batch,) = self.dataset_format.read_rows(path, partition.pipeline)
        order = partition.pipeline.healpix_order
        assert set(coarser(batch["_healpix_29"].to_numpy(), order)) == {partition.pixel}
        write_again(self.dataset_format, partition.pipeline, path, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes()

    def test_the_receipt_has_a_check_sum_of_every_byte(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        self.write(partition, outcomes, tmp_path)
        path = self.path_of(partition, tmp_path)
        checksum = self.dataset_format.read_receipt(path).checksum
        assert is_intact(path, checksum)
        body = path.read_bytes()
        for place in (*range(0, len(body), 997), *range(len(body) - 300, len(body))):
            path.write_bytes(body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
            assert not is_intact(path, checksum), place
        path.write_bytes(body[:-1])
        assert not is_intact(path, checksum)
        path.write_bytes(body + b"x")
        assert not is_intact(path, checksum)

    def test_what_a_receipt_quotes_is_no_check_sum(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        quoting = [
            replace(o, detail=f'"checksum": "{BLANK}"') if isinstance(o, Failure) else o
            for o in outcomes
        ]
        self.write(partition, quoting, tmp_path)
        path = self.path_of(partition, tmp_path)
        receipt = self.dataset_format.read_receipt(path)
        assert is_intact(path, receipt.checksum)
        assert {f.detail for f in receipt.failures} == {f'"checksum": "{BLANK}"'}

    @pytest.mark.parametrize("body", [b"", b"some other file", b"PAR1" * 9, b"\x89HDF\r\n\x1a\n"])
    def test_a_file_of_somebody_else_is_an_error_that_names_it(
        self, body: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(body)
        with pytest.raises(DatasetError, match=rf"{path} is damaged or was not written by tess"):
            self.dataset_format.read_receipt(path)

    def test_a_file_is_not_replaced_by_one_that_lacks_its_light_curves(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        self.write(partition, outcomes, tmp_path)
        path = self.path_of(partition, tmp_path)
        before = path.read_bytes()
        poorer = [failure(1), *outcomes[1:]]
        assert isinstance(outcomes[0], Row)
        assert self.write(partition, poorer, tmp_path).lost == 1
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_nothing_stands_under_the_final_name_before_the_file_is_whole(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        builder = self.builder(partition, tmp_path)
        path = self.path_of(partition, tmp_path)
        for group in itertools.chain.from_iterable(
            builder.put(slot, outcome) for slot, outcome in enumerate(outcomes)
        ):
            builder.write(group)
        assert not path.exists()
        assert all(found.name.startswith(".") for found in path.parent.iterdir())
        builder.finish()
        assert list(path.parent.iterdir()) == [path]

    def test_a_file_of_which_a_row_group_was_not_written_is_never_put_in_place(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        builder = self.builder(partition, tmp_path)
        for slot, outcome in enumerate(outcomes):
            builder.put(slot, outcome)
        with pytest.raises(DatasetError, match="not every row group"):
            builder.finish()
        assert not self.path_of(partition, tmp_path).exists()
        assert not list(tmp_path.rglob("*.partial"))

    def test_stars_that_moved_are_counted_though_row_groups_are_laid_out_at_once(
        self,
        partition: Partition,
        row_format: RowFormat,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", 6)
        both = threading.Barrier(2, timeout=10)

        class Counted(np.ndarray):
            """What is in a row group, which is counted when the other one is counted too."""

            def sum(self, *args: Any, **kwargs: Any) -> Any:
                both.wait()
                return super().sum(*args, **kwargs)

        monkeypatch.setattr(
            partition_module, "healpix_29", lambda ra, dec: healpix_29(ra, dec).view(Counted)
        )
        builder = self.builder(partition, tmp_path)
        groups: list[RowGroup] = []
        for slot, target in enumerate(partition.targets.to_pylist()):
            # Far from here, by its header.
            row = self.make_row(row_format, target["id"], 0.0, -target["dec"])
            groups += builder.put(slot, row)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(builder.lay_out, groups))
        for group in groups:
            builder.write(group)
        assert builder.finish().receipt.moved == COUNT

    def test_a_file_that_could_not_be_begun_is_not_put_in_place_empty_when_it_can(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        builder = self.builder(partition, tmp_path)
        path = self.path_of(partition, tmp_path)
        in_the_way = tmp_path / path.relative_to(tmp_path).parts[0]
        in_the_way.touch()
        for slot, outcome in enumerate(outcomes):
            for group in builder.put(slot, outcome):
                builder.lay_out(group)
                with pytest.raises(DatasetError, match="can't write"):
                    builder.write(group)
        in_the_way.unlink()
        with pytest.raises(DatasetError, match="not every row group"):
            builder.finish()
        assert not path.exists()


class TestParquetPartition(PartitionContract):
    dataset_format = PARQUET

    def read(self, path: Path) -> dict[str, Any]:
        with pq.ParquetFile(path) as file:
            table = file.read()
        columns: dict[str, Any] = table.drop_columns(["lightcurve"]).to_pydict()
        return columns | {"time": [curve["time"].as_py() for curve in table["lightcurve"]]}

    def test_row_groups_hold_no_more_than_their_number_of_light_curves(
        self,
        partition: Partition,
        outcomes: list[Row | Failure],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", 4)
        self.write(partition, outcomes, tmp_path)
        metadata = pq.read_metadata(self.path_of(partition, tmp_path))
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert groups == [4, 4, 2]

    def test_row_groups_hold_no_more_than_their_number_of_bytes(
        self,
        partition: Partition,
        outcomes: list[Row | Failure],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_BYTES", 250_000)
        self.write(partition, outcomes, tmp_path)
        with pq.ParquetFile(self.path_of(partition, tmp_path)) as file:
            groups = [file.read_row_group(i) for i in range(file.num_row_groups)]
        assert len(groups) > 2
        assert all(group.nbytes < 260_000 for group in groups)

    @pytest.mark.parametrize("most_rows", [3, 512])
    def test_rows_stay_sorted_where_header_and_list_disagree_and_the_receipt_counts_it(
        self,
        partition: Partition,
        row_format: RowFormat,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        most_rows: int,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", most_rows)
        listed = partition.targets.to_pylist()
        # Two neighbours have changed places, and one star lies beyond the pixel by its header.
        swapped = [dict(target) for target in listed]
        for name in ("ra", "dec"):
            swapped[1][name], swapped[9][name] = listed[9][name], listed[1][name]
        swapped[5]["dec"] += 5
        rows: list[Row | Failure] = [
            self.make_row(row_format, t["id"], t["ra"], t["dec"]) for t in swapped
        ]
        receipt = self.write(partition, rows, tmp_path).receipt
        with pq.ParquetFile(self.path_of(partition, tmp_path)) as file:
            table = file.read()
        healpix = table["_healpix_29"].to_numpy()
        assert (np.diff(healpix) >= 0).all()
        assert set(coarser(healpix, QLP.healpix_order)) == {partition.pixel}
        by_id = {row["tic_id"]: row for row in table.drop_columns(["lightcurve"]).to_pylist()}
        for target in swapped:
            assert (by_id[target["id"]]["ra"], by_id[target["id"]]["dec"]) == (
                target["ra"],
                target["dec"],
            )
        assert receipt.moved == (1 if most_rows == 512 else 3)
        headers = healpix_29(table["ra"].to_numpy(), table["dec"].to_numpy())
        assert (headers != healpix).sum() == receipt.moved

    def test_a_partition_of_failures_has_a_schema_and_no_row_groups(
        self, partition: Partition, row_format: RowFormat, tmp_path: Path
    ) -> None:
        self.write(partition, [failure(number) for number in range(COUNT)], tmp_path)
        path = self.path_of(partition, tmp_path)
        assert pq.read_metadata(path).num_row_groups == 0
        assert pq.read_schema(path).equals(row_format.schema)


class TestHdf5Partition(PartitionContract):
    dataset_format = StandardFormat()

    def read(self, path: Path) -> dict[str, Any]:
        with h5py.File(path) as file:
            columns = {name: dataset[:] for name, dataset in file.items() if dataset.ndim == 1}
            rows = zip(file["time"], file["length"], strict=True)
            return columns | {
                "object_id": list(file["object_id"].asstr()),
                "time": [time[:length].tolist() for time, length in rows],
            }

    def test_rows_are_padded_with_zeros_to_the_longest(
        self,
        partition: Partition,
        outcomes: list[Row | Failure],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", 4)
        cut = [
            cut_to(o, 300 - 20 * abs(n - 6)) if isinstance(o, Row) else o
            for n, o in enumerate(outcomes)
        ]
        self.write(partition, cut, tmp_path)
        with h5py.File(self.path_of(partition, tmp_path)) as file:
            lengths = file["length"][:]
            longest = max(o.cadences for o in cut if isinstance(o, Row))
            padding = np.arange(longest) >= lengths[:, None]
            assert padding.sum() > 100
            for name, dataset in file.items():
                if dataset.ndim == 2:
                    assert dataset.shape == (COUNT - 2, longest), name
                    assert (dataset[:][padding] == 0).all(), name

    def test_a_partition_of_failures_has_no_arrays(
        self, partition: Partition, tmp_path: Path
    ) -> None:
        self.write(partition, [failure(number) for number in range(COUNT)], tmp_path)
        with h5py.File(self.path_of(partition, tmp_path)) as file:
            assert not list(file)

    def test_an_array_that_the_first_rows_lack_is_missing_in_them(
        self, partition: Partition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # From sector 56 on files have SYS_RM_FLUX, and those that lack it come in first.
        monkeypatch.setattr(partition_module, "MOST_ROWS", 4)
        row_format = self.dataset_format.row_format(partition.pipeline)
        decoder = Decoder(row_format.wanted)
        rows: list[Row | Failure] = []
        for number, target in enumerate(partition.targets.to_pylist()):
            sector = 23 if number < 4 or number >= 8 else 56
            body = make_file(target["id"], target["ra"], target["dec"], sector)
            rows.append(row_format.row(decoder.decode(body), sector, target["id"], 0, 0))
        self.write(partition, rows, tmp_path)
        with h5py.File(self.path_of(partition, tmp_path)) as file:
            known = np.isfinite(file["sys_rm_flux"][:]).sum(axis=1)
            lengths = file["length"][:]
            padding = file["time"].shape[1] - lengths
            kinds = [file["object_id"].asstr()[row] for row in range(COUNT)]
        late = {rows[n].object_id for n in range(4, 8)}  # type: ignore[union-attr]
        for identifier, count, pad, length in zip(kinds, known, padding, lengths, strict=True):
            if identifier in late:
                assert count > 0.8 * length
            else:
                assert count == pad

    def test_a_second_sector_of_a_pixel_gets_a_file_of_its_own(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        self.write(partition, outcomes, tmp_path)
        first = self.path_of(partition, tmp_path)
        before = first.read_bytes()
        later = replace(partition, sector=56)
        self.write(later, [failure(number) for number in range(COUNT)], tmp_path)
        second = self.path_of(later, tmp_path)
        assert first.name == "001-of-001.hdf5"
        assert second == first.with_name("s0056-001-of-001.hdf5")
        assert first.read_bytes() == before
        assert self.path_of(partition, tmp_path) == first


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize(
    ("format_name", "features"),
    [("parquet", None), ("hdf5", None), ("hdf5", ["all"]), ("hdf5", ["flux", "quality"])],
)
def test_every_file_of_every_era_is_read_back_as_it_was_written(
    name: str, format_name: str, features: list[str] | None, tmp_path: Path
) -> None:
    sectors = [sector for sector in (23, 40, 56) if (name, sector) != ("tglc", 56)]
    if features == ["flux", "quality"] and name == "spoc":
        features = ["flux"]
    tessloom.build(
        name,
        sector=sectors,
        out=tmp_path,
        archive="demo",
        limit=25,
        format=format_name,
        features=features,
    )
    dataset_format = choose_format(format_name)
    pipeline = dataset_format.declare(PIPELINES[name])
    paths = [path for _, _, path in dataset_format.partitions(tmp_path, pipeline)]
    assert len(paths) >= 10
    for path in paths:
        write_again(dataset_format, pipeline, path, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes(), path


class TestContiguousHdf5Partition(TestHdf5Partition):
    dataset_format = StandardFormat(contiguous=True)

    def test_it_has_the_values_of_a_compressed_file_in_one_block_an_array(
        self,
        partition: Partition,
        outcomes: list[Row | Failure],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(partition_module, "MOST_ROWS", 4)
        cut = [cut_to(o, 99 + n) if isinstance(o, Row) else o for n, o in enumerate(outcomes)]
        compressed = TestHdf5Partition()
        compressed.write(partition, cut, tmp_path / "compressed")
        self.write(partition, cut, tmp_path / "contiguous")
        with (
            h5py.File(compressed.path_of(partition, tmp_path / "compressed")) as one,
            h5py.File(self.path_of(partition, tmp_path / "contiguous")) as other,
        ):
            assert set(one) == set(other)
            for name, array in other.items():
                assert array.chunks is None
                assert array.compression is None
                assert one[name].compression == (None if name == "object_id" else "gzip")
                assert array.dtype == one[name].dtype
                np.testing.assert_array_equal(array[:], one[name][:], name)

    def test_nothing_is_left_beside_the_file(
        self, partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
    ) -> None:
        self.write(partition, outcomes, tmp_path)
        path = self.path_of(partition, tmp_path)
        assert [found.name for found in path.parent.iterdir()] == [path.name]
