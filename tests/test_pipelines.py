"""The contract of a pipeline: its declaration holds for real and demo files of all eras."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import assert_equals_fits, scalar_rows
from tessloom.archive import light_curve_path, light_curve_paths, target_table
from tessloom.dataset.rows import RowFormat
from tessloom.dataset.schema import arrow_schema
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS
from tessloom.errors import RequestError
from tessloom.fits import Decoder
from tessloom.pipelines import PIPELINES, QLP, SPOC, TGLC, Pipeline, get_pipeline


def demo_files(pipeline: Pipeline) -> dict[str, bytes]:
    """Return a few demo files of every sector, by path."""
    product = PRODUCTS[pipeline.name]
    return {
        path: product.file(SECTORS[sector], target)
        for sector in product.sectors
        for path, target in list(light_curves(pipeline.name, sector).items())[:60:20]
    }


def as_table(pipeline: Pipeline, name: str, body: bytes) -> pa.Table:
    """Return one file as a table of one row, by tessloom's own way."""
    row_format = RowFormat(pipeline)
    groups = pipeline.file_name.search(name)
    assert groups, name
    key = groups.groupdict("0")
    row = row_format.row(
        Decoder(row_format.wanted).decode(body),
        int(key["sector"]),
        int(key["id"]),
        int(key.get("camera", 0)),
        int(key.get("ccd", 0)),
    )
    ra, dec = row_format.positions([row])
    return pa.Table.from_batches([row_format.batch([row], np.zeros(1, np.int64), ra, dec)])


class PipelineContract:
    """What every pipeline fulfils; a subclass names it."""

    pipeline: Pipeline
    real_files: int

    @pytest.fixture
    def real(self, realdata: Path) -> dict[str, bytes]:
        found = {
            path.name: path.read_bytes()
            for path in realdata.rglob("*.fits")
            if self.pipeline.file_name.fullmatch(path.name)
        }
        assert len(found) == self.real_files
        return found

    def test_real_files_are_stored_as_astropy_reads_them(self, real: dict[str, bytes]) -> None:
        self._assert_equal(real)

    def test_demo_files_of_every_era_are_stored_as_astropy_reads_them(self) -> None:
        self._assert_equal(demo_files(self.pipeline))

    def test_every_declared_column_is_in_the_files_of_some_era(self) -> None:
        found = set[str]()
        for name, body in demo_files(self.pipeline).items():
            table = as_table(self.pipeline, name, body)
            cells = table["lightcurve"].chunk(0)
            found |= {f.name for f in cells.type if not cells.field(f.name)[0].values.null_count}
        assert found == {column.name for column in self.pipeline.columns}

    def test_all_eras_have_one_schema(self) -> None:
        for name, body in demo_files(self.pipeline).items():
            assert as_table(self.pipeline, name, body).schema.equals(arrow_schema(self.pipeline))

    def test_lists_of_a_light_curve_have_one_length(self, real: dict[str, bytes]) -> None:
        for name, body in (real | demo_files(self.pipeline)).items():
            cells = as_table(self.pipeline, name, body)["lightcurve"].chunk(0)
            assert len({len(cells.field(field.name)[0]) for field in cells.type}) == 1

    def test_time_is_double_and_flux_and_quality_have_the_same_names_everywhere(self) -> None:
        cells = arrow_schema(self.pipeline).field("lightcurve").type
        kinds = {field.name: field.type.value_type for field in cells}
        assert kinds["time"] == pa.float64()
        assert kinds["flux"] == kinds["flux_err"] == pa.float32()
        assert kinds["quality"] == pa.int32()

    def test_every_field_says_what_it_is_and_where_it_is_from(self) -> None:
        schema = arrow_schema(self.pipeline)
        cells = schema.field("lightcurve").type
        for field in [*schema, *cells]:
            assert field.metadata[b"description"], field.name
        for column in self.pipeline.columns:
            metadata = cells.field(column.name).metadata
            assert metadata[b"fits"], column.name
            assert metadata.get(b"unit", b"").decode() == (column.unit or "")

    def test_it_says_whom_to_cite_and_under_which_licence(self) -> None:
        assert all(re.fullmatch(r"\d{4}[\w.&]{15}", bibcode) for bibcode in self.pipeline.bibcodes)
        assert self.pipeline.doi.startswith("10.17909/")
        assert self.pipeline.licence == "cc-by-4.0"

    def _assert_equal(self, files: dict[str, bytes]) -> None:
        for name, body in files.items():
            table = as_table(self.pipeline, name, body)
            assert_equals_fits(self.pipeline.name, scalar_rows(table)[0], table, body)


class TestQlp(PipelineContract):
    pipeline = QLP
    real_files = 4

    def test_the_columns_of_sector_56_are_found_by_name_whatever_the_sector(self) -> None:
        names = (b"'KSPSAP_FLUX'", b"'DET_FLUX'   ")
        for path, body in demo_files(QLP).items():
            own, other = names if names[0] in body else names[::-1]
            renamed = body.replace(own, other)
            assert renamed != body
            flux = _list(as_table(QLP, path, renamed), "flux")
            np.testing.assert_array_equal(flux, _list(as_table(QLP, path, body), "flux"))

    def test_columns_of_the_other_era_are_full_length_nulls(self) -> None:
        for path, body in demo_files(QLP).items():
            cells = as_table(QLP, path, body)["lightcurve"].chunk(0)
            old = int(path.split("/s")[1][:4]) < 56
            for name, present in (("kspsap_flux_sml", old), ("det_flux_sml", not old)):
                values = cells.field(name)[0].values
                assert values.null_count == (0 if present else len(values))


class TestTglc(PipelineContract):
    pipeline = TGLC
    real_files = 3

    def test_an_error_that_is_the_text_nan_becomes_nan(self) -> None:
        path, body = next(iter(demo_files(TGLC).items()))
        at = body.index(b"CAPE_ERR=") + 10
        table = as_table(TGLC, path, body[:at] + b"'NaN     '          " + body[at + 20 :])
        assert np.isnan(table["cal_aper_flux_err"][0].as_py())
        assert np.isnan(_list(table, "flux_err")).all()

    def test_a_star_without_a_tic_id_is_called_by_its_gaia_id(self) -> None:
        path, body = next(iter(demo_files(TGLC).items()))
        at = body.index(b"TICID   =") + 10
        table = as_table(TGLC, path, body[:at] + b"''                  " + body[at + 20 :])
        assert table["tic_id"][0].as_py() is None
        assert table["object_id"][0].as_py() == str(table["gaia_dr3_id"][0].as_py())

    def test_sixteen_bit_flags_are_widened_without_their_sign(self) -> None:
        flags = [_list(as_table(TGLC, *item), "quality") for item in demo_files(TGLC).items()]
        assert max(map(max, flags)) >= 32768
        assert min(map(min, flags)) >= 0

    def test_a_file_that_names_gaia_dr2_keeps_that_id_apart(self, real: dict[str, bytes]) -> None:
        name = next(name for name in real if "s0034" in name)
        table = as_table(TGLC, name, real[name])
        assert table["gaia_dr3_id"][0].as_py() is None
        assert table["gaia_dr2_id"][0].as_py() == 5707485527450614656
        assert table["object_id"][0].as_py() == "218795833"


class TestSpoc(PipelineContract):
    pipeline = SPOC
    real_files = 5

    def test_a_card_without_a_value_is_null(self, real: dict[str, bytes]) -> None:
        name = next(name for name in real if "s0040" in name)
        assert as_table(SPOC, name, real[name])["mh"][0].as_py() is None


def _list(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table["lightcurve"].chunk(0).field(name)[0].as_py()
    return values


def test_pipelines_are_found_by_name_in_any_case() -> None:
    assert [get_pipeline(name.upper()) for name in PIPELINES] == list(PIPELINES.values())


def test_an_unknown_pipeline_is_answered_with_those_that_exist() -> None:
    with pytest.raises(RequestError, match="qlp, tglc, spoc"):
        get_pipeline("kepler")


@given(
    pipeline=st.sampled_from(list(PIPELINES.values())),
    numbers=st.tuples(
        st.integers(1, 9999), st.integers(1, 2**63 - 1), st.integers(1, 4), st.integers(1, 4)
    ),
    version=st.from_regex(r"v[0-9]{1,2}(\.[0-9])?", fullmatch=True),
)
def test_paths_and_file_names_are_each_other_s_inverse(
    pipeline: Pipeline, numbers: tuple[int, int, int, int], version: str
) -> None:
    sector, identifier, camera, ccd = numbers
    path = pipeline.light_curve_path(*numbers, version)
    match = pipeline.file_name.fullmatch(path.rpartition("/")[2])
    assert match
    groups: dict[str, Any] = match.groupdict()
    assert (int(groups["id"]), int(groups["sector"])) == (identifier, sector)
    assert groups["version"] == version
    assert groups.get("camera", str(camera)) == str(camera)
    assert groups.get("ccd", str(ccd)) == str(ccd)
    assert not path.startswith("/")
    assert ".." not in path


@given(
    pipeline=st.sampled_from(list(PIPELINES.values())),
    sector=st.integers(1, 9999),
    targets=st.lists(
        st.fixed_dictionaries(
            {
                "id": st.integers(1, 2**63 - 1),
                "camera": st.integers(0, 4),
                "ccd": st.integers(0, 4),
                "version": st.from_regex(r"v[0-9]{1,2}(\.[0-9])?", fullmatch=True),
                "path": st.none() | st.just("anywhere/else.fits"),
            }
        ),
        max_size=20,
    ),
)
def test_the_paths_of_a_whole_listing_are_those_of_its_targets(
    pipeline: Pipeline, sector: int, targets: list[dict[str, Any]]
) -> None:
    names = ("id", "camera", "ccd", "version", "path")
    columns = {name: [target[name] for target in targets] for name in names}
    table = target_table(columns, len(targets))
    expected = [light_curve_path(pipeline, sector, target) for target in targets]
    assert light_curve_paths(pipeline, sector, table).to_pylist() == expected
