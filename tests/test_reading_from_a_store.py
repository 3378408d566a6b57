"""What a dataset in an object store gives its readers: what the same one on a disk gives them."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tessloom
from object_store import BUCKET, ObjectStore
from support import NAMES, partition_files, run, same_rows, shared_ids
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.reading.contents import read_contents
from tessloom.reading.light_curve import LightCurve

URL = f"s3://{BUCKET}/data/whole"
HUB = "hf://datasets/me/tess-light-curves"
WIDTH = 600
IDS = {"qlp": "tic", "tglc": "gaia", "spoc": "tic"}
COUNTED = ["tic_id", "sector", "flux"]


def put(store: ObjectStore, root: Path, url: str) -> None:
    """Copy a dataset into a store, as it is."""
    for path in root.rglob("*"):
        if path.is_file():
            store.write(f"{url}/{path.relative_to(root).as_posix()}", path.read_bytes())


@pytest.fixture(scope="module")
def _placed(running: ObjectStore, dataset: Path) -> None:
    running.be_sound()
    put(running, dataset, URL)


@pytest.fixture
def opened(_placed: None, store: ObjectStore) -> tessloom.Dataset:
    found = tessloom.open(URL)
    store.be_sound()
    return found


@pytest.fixture(scope="module")
def local(dataset: Path) -> tessloom.Dataset:
    return tessloom.open(dataset)


@pytest.fixture
def own(dataset: Path, store: ObjectStore, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a copy of the dataset lies that the test may change; `tmp_path / "own"` has it.

    It holds QLP alone.
    """
    root = tmp_path / "own"
    shutil.copytree(dataset / "qlp", root / "qlp")
    for name in ("README.md", "croissant.json"):
        shutil.copy(dataset / name, root / name)
    name = request.node.name.replace("[", "-").rstrip("]")
    url = f"s3://{BUCKET}/own/{name}"
    put(store, root, url)
    store.be_sound()
    return url


def asked(store: ObjectStore) -> list[str]:
    return [unquote(line) for line in store.requests]


def listings(store: ObjectStore) -> list[str]:
    return [line for line in asked(store) if "list-type" in line]


def files_asked(store: ObjectStore) -> set[str]:
    """Return the light-curve files that were asked for, from the dataset's pipelines on."""
    lines = [line for line in asked(store) if "/Npix=" in line and "list-type" not in line]
    return {line.split("/", 4)[4] for line in lines}


def same_light_curve(found: LightCurve, expected: LightCurve) -> bool:
    assert found.sectors == expected.sectors
    assert repr(found.headers) == repr(expected.headers)
    assert list(found.columns) == list(expected.columns)
    for name, values in expected.columns.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_star_is_found_in_a_store(
    name: str, opened: tessloom.Dataset, local: tessloom.Dataset
) -> None:
    for star in shared_ids(name):
        identifier = {IDS[name]: star}
        expected = local[name].light_curve(**identifier)
        assert same_light_curve(opened[name].light_curve(**identifier), expected)
        one = opened[name].light_curve(**identifier, sector=24)
        assert same_light_curve(one, local[name].light_curve(**identifier, sector=24))
        by_object_id = {"object_id": expected.headers[0]["object_id"]}
        assert same_light_curve(
            opened[name].light_curve(**by_object_id), local[name].light_curve(**by_object_id)
        )


def test_a_star_that_is_not_there_is_looked_for_in_the_index_alone(
    opened: tessloom.Dataset, store: ObjectStore
) -> None:
    with pytest.raises(NotInDatasetError, match="no light curve of tic_id 1"):
        opened["qlp"].light_curve(tic=1)
    # And in the list of listings, among which one of an unfinished build would be.
    assert {line.split("/whole/")[1].split("&")[0] for line in asked(store)} == {
        "qlp/index_tic_id/dataset/index/part.0.parquet",
        "qlp/catalog/hats.properties",
        "qlp/listing/",
    }


def test_a_look_up_asks_for_the_index_once_and_for_the_star_s_own_pixel(
    opened: tessloom.Dataset, store: ObjectStore
) -> None:
    star = shared_ids("qlp")[0]
    light_curve = opened["qlp"].light_curve(tic=star)
    sectors = set(light_curve.sectors)
    (pixel,) = opened["qlp"].index("tic_id").pixels(star)
    files = files_asked(store)
    assert {int(name.split("/s")[1][:4]) for name in files} == sectors
    assert all(f"/Npix={pixel}/" in name for name in files)
    (listing,) = listings(store)
    assert f"/Npix={pixel}/" in listing
    index = Counter(line.split()[0] for line in asked(store) if "index_tic_id" in line)
    assert index == {"HEAD": 2, "GET": 2}

    store.be_sound()
    opened["qlp"].light_curve(tic=star)
    assert not [line for line in asked(store) if "index_" in line]
    # Of each file: its size, its footer, the ids, and the rows.
    assert len(store.requests) == 1 + 4 * len(sectors)


def test_a_cone_finds_the_same_stars_in_a_store_and_asks_for_touched_pixels_alone(
    opened: tessloom.Dataset, local: tessloom.Dataset, store: ObjectStore
) -> None:
    header = local["tglc"].light_curve(gaia=shared_ids("tglc")[0]).headers[0]
    circle = header["ra"], header["dec"], 0.3
    expected = local["tglc"].cone(*circle)
    found = opened["tglc"].cone(*circle)
    assert same_rows(found.to_arrow(), expected.to_arrow())
    assert len(found.to_arrow()) > 0
    root = local.root
    assert files_asked(store) == {
        path.relative_to(root).as_posix() for path in map(Path, expected.paths)
    }
    assert len(files_asked(store)) < len([n for n in partition_files(root) if "tglc/" in n])
    assert len(listings(store)) == 1


def test_a_selection_is_the_same_from_a_store_for_arrow_pandas_and_polars(
    opened: tessloom.Dataset, local: tessloom.Dataset
) -> None:
    import pandas as pd

    for columns, where in ((COUNTED, "tess_mag < 10"), (None, None), (["ra"], "sector == 24")):
        expected = local["spoc"].select(columns, where)
        found = opened["spoc"].select(columns, where)
        assert same_rows(found.to_arrow(), expected.to_arrow())
        assert len(found) == len(expected) > 0
        assert found.to_polars().equals(expected.to_polars())
        pd.testing.assert_frame_equal(found.to_pandas(), expected.to_pandas())


def test_a_selection_asks_for_each_file_s_size_once_and_lists_once(
    opened: tessloom.Dataset, store: ObjectStore, dataset: Path
) -> None:
    opened["qlp"].select(["tic_id"]).to_arrow()
    heads = Counter(line for line in asked(store) if line.startswith("HEAD"))
    assert set(heads.values()) == {1}
    assert len(heads) == len([name for name in partition_files(dataset) if name.startswith("qlp/")])
    assert len(listings(store)) == 1


def test_columns_that_are_not_wanted_are_not_fetched(
    own: str, store: ObjectStore, tmp_path: Path
) -> None:
    name, path = max(partition_files(tmp_path / "own").items(), key=lambda it: it[1].stat().st_size)
    table = pq.read_table(path, partitioning=None)
    many = pa.concat_tables([table] * 8)
    pq.write_table(many, path, row_group_size=10, compression="none", use_dictionary=False)
    body = path.read_bytes()
    assert len(body) > 2_000_000
    store.write(f"{own}/{name}", body)
    sector = int(path.stem[1:])
    store.be_sound()
    found = tessloom.open(own)["qlp"].select(["tic_id"], sector=sector).to_arrow()
    assert found.equals(
        tessloom.open(tmp_path / "own")["qlp"].select(["tic_id"], sector=sector).to_arrow()
    )
    assert sum(store.sent) < len(body) / 10


def test_the_same_stars_are_matched_in_a_store(
    opened: tessloom.Dataset, local: tessloom.Dataset, store: ObjectStore
) -> None:
    found, expected = opened.match(), local.match()
    assert list(found) == list(expected)
    assert len(found) > 0
    assert all("index_tic_id" in line for line in asked(store))
    star = next(iter(found))
    assert found[star].keys() == expected[star].keys() == set(NAMES)
    for name, light_curve in found[star].items():
        assert same_light_curve(light_curve, expected[star][name])


@pytest.mark.parametrize(
    ("workers", "start"), [(0, None), (2, "fork"), (2, "spawn"), (2, "forkserver")]
)
def test_batches_for_training_are_the_same_from_a_store_in_workers_too(
    workers: int, start: str | None, opened: tessloom.Dataset, local: tessloom.Dataset
) -> None:
    torch = pytest.importorskip("torch")
    # As after some work in this process, whose connections no worker can use.
    opened["qlp"].light_curve(tic=shared_ids("qlp")[0])

    def batches(dataset: tessloom.Dataset) -> list[dict[str, Any]]:
        stars = dataset["qlp"].torch(length=300, batch_size=8, split="train", shuffle_buffer=16)
        loader = torch.utils.data.DataLoader(
            stars, batch_size=None, num_workers=workers, multiprocessing_context=start
        )
        return list(loader)

    found, expected = batches(opened), batches(local)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("_stores_are_asked")
@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_has_the_same_rows_from_a_store(
    streaming: bool, opened: tessloom.Dataset, local: tessloom.Dataset
) -> None:
    found = opened["tglc"].to_hf(24, streaming=streaming)
    expected = local["tglc"].to_hf(24, streaming=streaming)
    rows = list(zip(found, expected, strict=True))
    assert rows
    for one, other in rows:
        assert one.keys() == other.keys()
        assert one["object_id"] == other["object_id"]
        for name in ("time", "flux"):
            np.testing.assert_array_equal(one["lightcurve"][name], other["lightcurve"][name])


@pytest.mark.usefixtures("_stores_are_asked")
def test_hugging_face_takes_no_earlier_copy_of_what_has_changed_in_a_store(
    own: str, store: ObjectStore, tmp_path: Path
) -> None:
    catalogue = tessloom.open(own)["qlp"]
    before = len(catalogue.to_hf(23))
    name, path = next((n, p) for n, p in partition_files(tmp_path / "own").items() if "s0023" in n)
    table = pq.read_table(path, partitioning=None)
    pq.write_table(pa.concat_tables([table, table]), path)
    store.write(f"{own}/{name}", path.read_bytes())
    assert len(catalogue.to_hf(23)) == before + len(table)


@pytest.mark.usefixtures("_stores_are_asked")
@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_takes_over_the_storage_options(
    streaming: bool, own: str, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec
    from upath import UPath

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", "/nowhere")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    place = UPath(own, key="own", secret="own", endpoint_url=store.address)  # noqa: S106
    stars = tessloom.open(place)["qlp"].to_hf(streaming=streaming)
    assert sum(1 for _ in stars) == len(tessloom.open(place)["qlp"].select(["tic_id"]))


def test_hugging_face_that_may_not_use_the_network_is_an_error_that_says_so(
    opened: tessloom.Dataset,
) -> None:
    with pytest.raises(RequestError, match="HF_HUB_OFFLINE is set: unset it, or copy"):
        opened["qlp"].to_hf()


def undated(body: bytes) -> bytes:
    return b"\n".join(x for x in body.splitlines() if not x.startswith(b"hats_creation_date"))


def test_a_margin_in_a_store_is_byte_for_byte_the_one_on_a_disk(
    own: str, store: ObjectStore, tmp_path: Path
) -> None:
    root = tmp_path / "own"
    assert tessloom.open(own)["qlp"].write_margin(WIDTH) == (
        tessloom.open(root)["qlp"].write_margin(WIDTH)
    )
    margin = root / "qlp" / f"margin_{WIDTH}arcs"
    expected = {
        path.relative_to(margin).as_posix(): undated(path.read_bytes())
        for path in margin.rglob("*")
        if path.is_file()
    }
    assert [name for name in expected if "Npix=" in name]
    found = store.objects(f"{own}/qlp/{margin.name}")
    assert {name: undated(body) for name, body in found.items()} == expected
    collection = "qlp/collection.properties"
    assert undated(store.read(f"{own}/{collection}")) == undated((root / collection).read_bytes())


def test_a_margin_that_the_store_refuses_midway_is_not_named_and_is_written_anew(
    own: str, store: ObjectStore
) -> None:
    catalogue = tessloom.open(own)["qlp"]
    count = catalogue.write_margin(WIDTH)
    whole = set(store.names(f"{own}/qlp/margin_{WIDTH}arcs"))
    put_already: list[str] = []

    def after_two(line: str) -> int:
        if line.startswith("PUT") and "margin_" in line:
            put_already.append(line)
        return 403 * (len(put_already) > 2 and line.startswith("PUT"))

    store.refuse = after_two
    with pytest.raises(DatasetError, match=r"can't write .*Access Denied"):
        catalogue.write_margin(WIDTH)
    store.be_sound()
    assert b"margin" not in store.read(f"{own}/qlp/collection.properties")
    assert "hats.properties" not in store.names(f"{own}/qlp/margin_{WIDTH}arcs")
    assert catalogue.write_margin(WIDTH) == count
    assert set(store.names(f"{own}/qlp/margin_{WIDTH}arcs")) == whole


def test_the_command_show_plots_the_same_star_from_a_store(
    opened: tessloom.Dataset, dataset: Path, store: ObjectStore
) -> None:
    star = next(iter(opened.match()))
    store.be_sound()
    done = run("show", URL, star)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run("show", dataset, star).stdout
    assert "synthetic" in done.stdout
    pixels = {line.split("Npix=")[1].split("/")[0] for line in asked(store) if "Npix=" in line}
    assert len(pixels) <= len(NAMES)
    others = [line for line in listings(store) if "/Npix=" not in line]
    assert not others


def test_the_command_info_tells_the_same_of_a_store(
    opened: tessloom.Dataset, dataset: Path
) -> None:
    assert list(opened) == list(NAMES)
    there, here = (run("info", place, "--json") for place in (URL, dataset))
    assert there.returncode == 0, there.stderr
    for one, other in zip(json.loads(there.stdout), json.loads(here.stdout), strict=True):
        for sector, counted in zip(one.pop("sectors"), other.pop("sectors"), strict=True):
            # Of a store no file is read to count the stars of a sector.
            assert sector | {"stars": counted["stars"]} == counted
        assert one == other
    assert run("info", URL).returncode == 0


def test_opening_and_what_it_holds_take_requests_for_sectors_and_none_for_files(
    opened: tessloom.Dataset, store: ObjectStore
) -> None:
    assert tessloom.open(URL).keys() == opened.keys()
    assert len(store.requests) == len(NAMES)
    store.be_sound()
    contents = read_contents(URL)
    assert not files_asked(store)
    # One to find the format; of each pipeline its sectors, what a build leaves beside the files,
    # and all files with their sizes.
    assert len(listings(store)) == 1 + 3 * len(NAMES)
    sectors = sum(len(pipeline.sectors) for pipeline in contents)
    # A footer for each sector, and some small texts for each pipeline.
    assert len(store.requests) <= len(listings(store)) + 2 * sectors + 7 * len(NAMES)


def test_a_push_from_a_store_says_what_to_do_instead(
    opened: tessloom.Dataset, store: ObjectStore
) -> None:
    assert opened
    for options in ((), ("--dry-run",)):
        done = run("push", URL, HUB, *options)
        assert done.returncode == 2
        assert "copy the dataset to one and push the copy" in done.stderr
        assert not done.stdout
    assert not store.requests


Use = Callable[[tessloom.Dataset], object]


def first_batch(dataset: tessloom.Dataset) -> object:
    pytest.importorskip("torch")
    return next(iter(dataset["qlp"].torch()))


READERS: dict[str, Use] = {
    "light_curve": lambda dataset: dataset["qlp"].light_curve(tic=shared_ids("qlp")[0]),
    "cone": lambda dataset: dataset["qlp"].cone(0, 0, 180).to_arrow(),
    "select": lambda dataset: dataset["qlp"].select(["tic_id"]).to_arrow(),
    "len": lambda dataset: len(dataset["qlp"].select(["tic_id"], "tess_mag < 10")),
    "torch": first_batch,
    "to_hf": lambda dataset: dataset["qlp"].to_hf(),
    "write_margin": lambda dataset: dataset["qlp"].write_margin(),
}


def refuse_everything(_: str) -> int:
    return 403


def refuse_listings(line: str) -> int:
    return 403 * ("list-type" in line)


def refuse_light_curves(line: str) -> int:
    return 403 * ("/Npix" in line and "list-type" not in line)


def refuse_to_give_light_curves(line: str) -> int:
    return 403 * ("/Npix" in line and "list-type" not in line and line.startswith("GET"))


@pytest.mark.usefixtures("_stores_are_asked")
@pytest.mark.parametrize(
    "refuse",
    [
        refuse_everything,
        refuse_listings,
        refuse_light_curves,
        refuse_to_give_light_curves,
    ],
)
@pytest.mark.parametrize("reader", READERS)
def test_a_store_that_refuses_is_a_clear_error_that_blames_no_file(
    reader: str, refuse: Callable[[str], int], opened: tessloom.Dataset, store: ObjectStore
) -> None:
    store.refuse = refuse
    with pytest.raises(DatasetError, match=r"Access Denied|Forbidden") as raised:
        READERS[reader](opened)
    assert URL in str(raised.value)
    assert "damaged" not in str(raised.value)
    assert "what they allow" in str(raised.value)


@pytest.mark.parametrize("command", [("show", 5), ("info",)])
def test_commands_on_a_store_that_refuses_end_with_one_clear_line(
    command: tuple[object, ...], opened: tessloom.Dataset, store: ObjectStore
) -> None:
    assert opened

    def line_of(place: str, **environment: str) -> str:
        name, *rest = command
        done = run(name, place, *rest, **environment)
        assert done.returncode == 3
        assert not done.stdout
        (line,) = done.stderr.splitlines()
        return line

    assert "The specified bucket does not exist" in line_of("s3://no-such-bucket/data")
    assert "Unable to locate credentials" in line_of(
        URL, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", HOME="/nowhere"
    )
    assert "Could not connect" in line_of(URL, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    store.refuse = refuse_everything
    assert f"{URL} can't be used" in line_of(URL)
    assert not [line for line in store.requests if line.startswith("PUT")]


@pytest.fixture(scope="module")
def spoiled(
    running: ObjectStore, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return where datasets lie whose light-curve files all lack their ends."""
    root, url = tmp_path_factory.mktemp("spoiled") / "dataset", f"s3://{BUCKET}/data/spoiled"
    shutil.copytree(dataset / "qlp", root / "qlp")
    for path in partition_files(root).values():
        path.write_bytes(path.read_bytes()[:-100])
    running.be_sound()
    put(running, root, url)
    return {"disk": str(root), "store": url}


@pytest.mark.usefixtures("_stores_are_asked")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", ["store", "disk"])
def test_a_damaged_file_is_an_error_that_says_what_to_do(
    place: str, reader: str, spoiled: dict[str, str]
) -> None:
    opened = tessloom.open(spoiled[place])
    with pytest.raises(DatasetError, match=r"is damaged.*build again|verify names what is damaged"):
        READERS[reader](opened)
