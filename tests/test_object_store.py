"""A dataset in an object store: as on a disk, and each object complete or absent."""

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

import tessloom
from object_store import BUCKET, ObjectStore
from support import read_table, run, same_rows
from tessloom import Progress
from tessloom.building.verification import verify
from tessloom.dataset import lock
from tessloom.dataset.layout import LOCK, partition_path
from tessloom.dataset.lock import locked
from tessloom.dataset.storage import open_directory
from tessloom.demo import DemoServer, Faults
from tessloom.errors import DatasetError, DatasetLockedError, RequestError
from tessloom.pipelines import QLP, Pipeline
from test_resume import started, wait_until

LIMIT = 20
FORMATS = ("parquet", "hdf5")
SLOW = Faults(slow=0.2, delay=0.8)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """Return where a test's dataset lies."""
    return f"s3://{BUCKET}/data/{request.node.name.replace('[', '-').rstrip(']')}"


@pytest.fixture(scope="module")
def local(server: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the datasets that builds on a disk make, in each format."""
    root = tmp_path_factory.mktemp("local")
    for file_format in FORMATS:
        build(root / file_format, server, format=file_format)
    return {file_format: root / file_format for file_format in FORMATS}


def build(out: str | Path, archive: DemoServer, **options: Any) -> tessloom.Report:
    usual: dict[str, Any] = {"sector": 23, "limit": LIMIT}
    return tessloom.build("qlp", out=out, archive=archive.address, **(usual | options))


def command(out: str, archive: DemoServer, workers: int = 1) -> list[str]:
    """Return the command line of `build`."""
    return [
        *("build", "qlp", "--sector", "23", "--limit", str(LIMIT), "--out", out),
        *("--archive", archive.address, "--workers", str(workers)),
    ]


def files(out: Path) -> dict[str, bytes]:
    """Return the bytes of all files of a dataset on a disk."""
    paths = (path for path in out.rglob("*") if path.is_file() and path.name != LOCK)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def undated(objects: dict[str, bytes]) -> dict[str, bytes]:
    """Return files without the lines that say when, and from which server, they were made."""

    def of(name: str, body: bytes) -> bytes:
        if "/listing/" in name or "/.listing/" in name:
            table = pq.read_table(io.BytesIO(body))
            content = json.loads(table.schema.metadata[b"tessloom"]) | {"archive": ""}
            return repr((content, table.to_pylist())).encode()
        return b"\n".join(x for x in body.splitlines() if not x.startswith(b"hats_creation_date"))

    return {name: of(name, body) for name, body in objects.items()}


def light_curves(objects: dict[str, bytes]) -> dict[str, bytes]:
    return {name: body for name, body in objects.items() if "Npix=" in name or "healpix=" in name}


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_dataset_in_a_store_is_byte_for_byte_the_one_on_a_disk(
    file_format: str,
    local: dict[str, Path],
    server: DemoServer,
    store: ObjectStore,
    url: str,
) -> None:
    assert build(url, server, format=file_format).complete
    assert undated(store.objects(url)) == undated(files(local[file_format]))


def test_contiguous_arrays_go_to_a_store_too(
    server: DemoServer, store: ObjectStore, url: str, tmp_path: Path
) -> None:
    options = {"format": "hdf5", "contiguous": True}
    assert build(url, server, **options).complete
    assert build(tmp_path, server, **options).complete
    assert light_curves(store.objects(url)) == light_curves(files(tmp_path))


def test_a_killed_build_is_continued_and_ends_in_the_same_bytes(
    local: dict[str, Path], store: ObjectStore, url: str
) -> None:
    whole = light_curves(files(local["parquet"]))
    with DemoServer(SLOW) as archive:
        with started(command(url, archive, workers=2)) as process:
            wait_until(lambda: len(light_curves_put(store)) >= 4, process)
            process.kill()
            process.communicate(timeout=30)
            assert process.returncode == -signal.SIGKILL
        finished = light_curves(store.objects(url))
        assert 0 < len(finished) < len(whole)
        assert finished.items() <= whole.items()
        assert LOCK in store.names(url)

        store.requests.clear()
        report = build(url, archive)
        assert report.complete
        assert report.built == len(light_curves_put(store)) > 0
        assert not {f"{url}/{name}" for name in finished} & {*light_curves_put(store)}
    assert light_curves(store.objects(url)) == whole
    assert LOCK not in store.names(url)


def light_curves_put(store: ObjectStore) -> list[str]:
    """Return the names under which light curves were put, as often as they were."""
    put = [unquote(line).removeprefix("PUT ") for line in store.requests if "PUT" in line]
    return [f"s3:/{name}".partition("?")[0] for name in put if "/Npix=" in name]


# Uploads in parts as of a partition of hundreds of megabytes, with files of some kilobytes.
IN_PARTS = """
import tessloom
from tessloom.dataset import storage
storage._S3_UPLOAD["chunksize"] = 20_000
tessloom.build("qlp", sector=23, limit={limit}, out={url!r}, archive="demo")
"""


@pytest.mark.parametrize("how", ["killed", "refused"])
def test_an_upload_that_is_stopped_midway_leaves_no_object_and_no_parts(
    how: str, local: dict[str, Path], store: ObjectStore, url: str, tmp_path: Path
) -> None:
    whole = light_curves(files(local["parquet"]))

    def second_part(line: str) -> bool:
        return line.startswith("PUT ") and "partNumber=2" in line

    if how == "killed":
        store.hold = second_part
    else:
        store.refuse = lambda line: 403 if second_part(line) else 0
    code = [sys.executable, "-c", IN_PARTS.format(limit=LIMIT, url=url)]
    own = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(code, env=own, stderr=subprocess.PIPE, text=True) as child:
        if how == "killed":
            assert store.held.wait(60)
            child.kill()
        _, errors = child.communicate(timeout=60)
    if how == "refused":
        assert "DatasetError: can't write s3://" in errors
        assert "Access Denied" in errors
    finished = light_curves(store.objects(url))
    assert finished.items() < whole.items()
    assert (store.unfinished_uploads() > 0) == (how == "killed")
    # What is uploaded is made among the temporary files.
    assert bool(list(tmp_path.glob("*.partial"))) == (how == "killed")

    store.be_sound()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        assert tessloom.build("qlp", sector=23, limit=LIMIT, out=url, archive="demo").complete
    assert light_curves(store.objects(url)) == whole
    assert store.unfinished_uploads() == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file_format", FORMATS)
def test_status_retry_and_verify_work_on_a_store(
    file_format: str, local: dict[str, Path], store: ObjectStore, url: str
) -> None:
    with DemoServer(Faults(missing=0.2)) as archive:
        first = build(url, archive, format=file_format)
        failures = first.sectors[0].failures
        assert failures
        assert tessloom.read_status(url) == first.sectors
        archive.faults = Faults()
        archive.requests.clear()
        assert tessloom.retry(url).complete
        assert archive.requests.total() == len(failures)
    whole = light_curves(files(local[file_format]))
    assert light_curves(store.objects(url)) == whole
    verification = verify(url)
    assert verification.sound
    assert verification.complete
    assert verification.bytes_read == sum(map(len, whole.values()))

    # As if the store had lost something, and something had changed on its way.
    lost, changed = sorted(whole)[:2]
    body = bytearray(whole[changed])
    body[len(body) // 2] ^= 1
    store.write(f"{url}/{changed}", bytes(body))
    (open_directory(url) / lost).unlink()
    verification = verify(url)
    assert f"{url}/{changed}" in {str(problem.path) for problem in verification.problems}
    assert len(verification.missing) == 1


def test_a_further_sector_adds_objects_and_writes_none_of_the_light_curves_anew(
    server: DemoServer, store: ObjectStore, url: str, tmp_path: Path
) -> None:
    for sector in (23, 24):
        store.requests.clear()
        build(url, server, sector=sector, limit=12)
        build(tmp_path, server, sector=sector, limit=12)
        assert light_curves_put(store)
        assert all(f"s{sector:04d}" in name for name in light_curves_put(store))
    assert undated(store.objects(url)) == undated(files(tmp_path))
    assert [sector.written for sector in tessloom.read_status(url)] == [12, 12]


@pytest.mark.usefixtures("_stores_are_asked")
def test_other_readers_find_the_same_rows(
    local: dict[str, Path],
    server: DemoServer,
    store: ObjectStore,
    url: str,
    tmp_path: Path,
) -> None:
    import datasets
    from upath import UPath

    from support import open_with_lsdb

    done = run(*command(url, server))
    assert done.returncode == 0, done.stderr
    expected = read_table(local["parquet"], "qlp")
    endpoint = store.address.removeprefix("http://")
    own = pyarrow.fs.S3FileSystem(endpoint_override=endpoint, scheme="http")
    place = f"{url.removeprefix('s3://')}/qlp/catalog/dataset"
    found = pyarrow.dataset.dataset(place, filesystem=own, format="parquet").to_table()
    assert same_rows(found.combine_chunks(), expected)
    # As the command's last lines say.
    assert f'tessloom.open("{url}")["qlp"].select(' in done.stdout
    found = pq.read_table(f"{url}/qlp/catalog/dataset", partitioning=None)
    assert same_rows(found.combine_chunks(), expected)
    assert f'lsdb.open_catalog(upath.UPath("{url}/qlp"))' in done.stdout
    assert len(open_with_lsdb(UPath(f"{url}/qlp")).compute()) == len(expected)
    names = f"{url}/qlp/catalog/dataset/**/s0023.parquet"
    assert f'load_dataset("parquet", data_files="{names}")' in done.stdout
    rows = datasets.load_dataset("parquet", data_files=names, cache_dir=str(tmp_path))
    assert rows["train"]["object_id"][:] == expected["object_id"].to_pylist()


def test_a_receipt_costs_two_requests_and_a_sector_one_listing(
    server: DemoServer, store: ObjectStore, url: str
) -> None:
    build(url, server)
    store.requests.clear()
    (status,) = tessloom.read_status(url)
    methods = Counter(line.split()[0] for line in store.requests if "catalog/dataset/N" in line)
    assert methods == {"HEAD": status.partitions, "GET": status.partitions}
    listings = [line for line in store.requests if "list-type" in line and "qlp%2F&" in line]
    # And one more a pipeline, which tells what is missing beside the light curves.
    assert len(listings) == 1 + 1


def test_of_two_builds_at_once_the_second_stops_with_a_clear_error(
    store: ObjectStore, url: str
) -> None:
    with DemoServer(Faults(slow=1, delay=30)) as archive, started(command(url, archive)) as first:
        wait_until(lambda: bool(archive.requests), first)
        with pytest.raises(DatasetLockedError, match=f"is writing to {url}") as refused:
            build(url, archive)
        with pytest.raises(DatasetLockedError, match=f"is writing to {url}"):
            verify(url)
        first.kill()
    assert f"process {first.pid} on " in str(refused.value)
    assert store.requests


def test_a_build_elsewhere_keeps_others_out_until_it_has_been_silent_for_long(
    server: DemoServer,
    store: ObjectStore,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with locked(open_directory(url)):
        holder = json.loads(store.read(f"{url}/{LOCK}"))
    body = json.dumps(holder | {"machine": "elsewhere", "processes": ""}).encode()
    store.write(f"{url}/{LOCK}", body)
    with pytest.raises(DatasetLockedError, match="on elsewhere"):
        build(url, server)
    monkeypatch.setattr(lock, "_ABANDONED_AFTER", 0)
    monkeypatch.setattr(lock, "_SETTLED_AFTER", 0.1)
    assert build(url, server).complete


def test_of_two_that_take_over_at_once_one_gets_it(
    store: ObjectStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_SETTLED_AFTER", 1.0)
    with locked(open_directory(url)):
        holder = json.loads(store.read(f"{url}/{LOCK}"))
    silent = {"machine": "elsewhere", "processes": "", "renewed": "2020-01-01T00:00:00+00:00"}
    store.write(f"{url}/{LOCK}", json.dumps(holder | silent).encode())
    got = []
    together = threading.Barrier(2)

    def take() -> None:
        together.wait()
        try:
            with locked(open_directory(url)):
                got.append(True)
                together.wait()
        except DatasetLockedError:
            got.append(False)
            together.wait()

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(got) == [False, True]


def test_a_build_goes_on_saying_that_it_is_there(
    store: ObjectStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_RENEW_EVERY", 0.01)
    with locked(open_directory(url)):
        first = json.loads(store.read(f"{url}/{LOCK}"))
        renewed = first
        deadline = threading.Event()
        while renewed["renewed"] == first["renewed"]:
            assert not deadline.wait(0.01)
            renewed = json.loads(store.read(f"{url}/{LOCK}"))
    assert renewed | {"renewed": ""} == first | {"renewed": ""}


def test_a_build_stops_when_another_one_has_taken_it_for_dead(
    server: DemoServer, store: ObjectStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_RENEW_EVERY", 0.01)
    noticed = threading.Event()

    class Thief(Progress):
        def listing(self, pipeline: Pipeline, sector: int) -> None:  # noqa: ARG002
            own = json.loads(store.read(f"{url}/{LOCK}"))
            (lease,) = (it for it in threading.enumerate() if it.name == "tessloom-lease")
            for _ in range(100):  # what it is renewing at this moment it writes over the other's
                store.write(f"{url}/{LOCK}", json.dumps(own | {"token": "another"}).encode())
                lease.join(0.1)  # it ends when it has noticed
            assert not lease.is_alive()
            noticed.set()

    with pytest.raises(DatasetLockedError, match=f"took {url} over"):
        build(url, server, progress=Thief())
    assert noticed.is_set()
    assert not light_curves(store.objects(url))


def test_a_build_that_another_one_took_for_dead_says_so(store: ObjectStore, url: str) -> None:
    building = locked(open_directory(url))
    building.__enter__()
    own = json.loads(store.read(f"{url}/{LOCK}"))
    store.write(f"{url}/{LOCK}", json.dumps(own | {"token": "another"}).encode())
    with pytest.raises(DatasetLockedError, match=f"took {url} over"):
        building.__exit__(None, None, None)
    assert LOCK in store.names(url)


def refuse_everything(store: ObjectStore) -> None:
    store.refuse = lambda _: 403


def refuse_writing(store: ObjectStore) -> None:
    store.refuse = lambda line: 403 * line.startswith("PUT")


@pytest.mark.parametrize("refuse", [refuse_everything, refuse_writing])
def test_a_store_that_refuses_stops_a_build_before_the_archive_is_asked(
    refuse: Callable[[ObjectStore], None], store: ObjectStore, url: str
) -> None:
    with DemoServer() as archive:
        refuse(store)
        with pytest.raises(DatasetError, match=f"{url}.*what they allow"):
            build(url, archive)
        assert not archive.requests


def test_a_bucket_that_is_not_there_is_a_clear_error_and_is_not_made(
    server: DemoServer, store: ObjectStore
) -> None:
    place = "s3://no-such-bucket/data"
    for use in (tessloom.read_status, tessloom.retry, verify, lambda out: build(out, server)):
        with pytest.raises(DatasetError, match=f"{place} can't be used .The specified bucket"):
            use(place)
    assert not [line for line in store.requests if line.startswith("PUT")]
    done = run(*command(place, server))
    assert done.returncode == 3
    assert done.stderr.startswith(f"tessloom: {place} can't be used (The specified bucket")


def test_missing_credentials_are_a_clear_error(url: str, store: ObjectStore) -> None:
    done = run("status", url, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", HOME="/nowhere")
    assert done.returncode == 3
    assert "Unable to locate credentials" in done.stderr
    assert not store.requests


def test_a_store_without_a_dataset_is_a_wrong_call(url: str, store: ObjectStore) -> None:
    done = run("status", url)
    assert done.returncode == 2
    assert f"there is no tessloom dataset in {url}" in done.stderr
    assert store.requests


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nonsense://bucket/data", "no kind of store that fsspec knows"),
        ("https://example.org/data", "can't lie at"),
        ("s3://", "can't lie at"),
        ("simplecache::s3://bucket/data", "can't lie at"),
    ],
)
def test_a_url_that_can_t_be_written_to_is_a_wrong_call(place: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        open_directory(place)


@pytest.mark.parametrize("package", ["upath", "s3fs"])
def test_a_package_that_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.import_module("fsspec.registry")._registry
    monkeypatch.delitem(known, "s3", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RequestError, match=r"pip install 'tessloom\[s3\]'"):
        open_directory("s3://bucket/data")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_that_the_store_does_not_give_is_not_called_damaged(
    file_format: str, method: str, server: DemoServer, store: ObjectStore, url: str
) -> None:
    build(url, server, limit=3, format=file_format)
    store.refuse = lambda line: (
        403 * (any(name in line for name in ("Npix", "001-of-001")) and line.startswith(method))
    )
    with pytest.raises(DatasetError, match=r"Forbidden|Access Denied") as raised:
        tessloom.read_status(url)
    assert "is damaged" not in str(raised.value)


def test_a_store_that_stumbles_is_asked_again(
    local: dict[str, Path], server: DemoServer, store: ObjectStore, url: str
) -> None:
    stumbled: set[str] = set()

    def once(line: str) -> int:
        first = line[:3] not in stumbled
        stumbled.add(line[:3])
        return 500 * (first and line.startswith(("GET", "PUT")))

    store.refuse = once
    assert build(url, server).complete
    assert stumbled >= {"GET", "PUT"}
    assert light_curves(store.objects(url)) == light_curves(files(local["parquet"]))


def test_any_other_file_system_of_fsspec_will_do(
    local: dict[str, Path], server: DemoServer
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    assert build("memory://stars/data", server).complete
    assert build("memory://stars/data", server).built == 0
    assert verify("memory://stars/data").sound
    found = {name.removeprefix("/stars/data/"): memory.cat(name) for name in memory.find("/stars")}
    assert undated(found) == undated(files(local["parquet"]))
    memory.rm("/stars", recursive=True)


def test_a_file_system_that_does_not_rename_files_is_an_error(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(type(memory), "mv", lambda *_, **__: None)
    with pytest.raises(DatasetError, match="does not rename"):
        build("memory://stars/data", server)
    assert not memory.find("/stars")


def test_a_file_url_is_a_directory_of_this_machine(tmp_path: Path) -> None:
    assert open_directory(f"file://{tmp_path}") == tmp_path


def test_a_upath_brings_its_storage_options_along() -> None:
    from upath import UPath

    given = UPath("s3://stars/data", key="own", secret="own")  # noqa: S106
    root: Any = open_directory(given)
    assert root.storage_options["key"] == "own"
    assert str(partition_path(root, QLP, 7, 23)).startswith("s3://stars/data/qlp/catalog/dataset/")


def test_a_local_build_imports_nothing_of_it(server: DemoServer, tmp_path: Path) -> None:
    code = f"""
import sys, tessloom
tessloom.build("qlp", sector=23, limit=2, out={str(tmp_path)!r}, archive={server.address!r})
assert tessloom.read_status({str(tmp_path)!r})[0].complete
print(*{{"fsspec", "upath", "s3fs", "botocore"}} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "\n"
