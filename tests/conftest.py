"""What several test modules share: archives, a dataset to read, and the comparison with FITS."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Hugging Face datasets reads these when it is imported, which a test module may do.
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": tempfile.mkdtemp(prefix="huggingface-")}
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)

pytest.register_assert_rewrite("support", "whole_way")

import tessloom  # noqa: E402 - after the line above
from object_store import ObjectStore, object_store  # noqa: E402
from support import NAMES, shared_ids  # noqa: E402
from tessloom.archive import RetryPolicy  # noqa: E402
from tessloom.demo import DemoServer  # noqa: E402

REALDATA = Path(
    os.environ.get("TESSLOOM_REALDATA", Path(__file__).parents[1] / ".." / "shared" / "realdata")
)


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes run tests: one more than cores, as many wait for others."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep readers off the network and out of the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "200")  # so that help and errors are not wrapped
        patch.delenv("TESSLOOM_ARCHIVE", raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache of its own: servers come and go, and ports are used again."""
    monkeypatch.setenv("TESSLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def server() -> Iterator[DemoServer]:
    """Return the demo archive over HTTP, without faults."""
    with DemoServer() as running:
        yield running


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    """Return an S3 server, which s3fs finds."""
    import fsspec

    with object_store() as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", store.address)
        patch.setenv("AWS_ACCESS_KEY_ID", "anyone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # Another module's server had another address.
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield store


@pytest.fixture
def store(running: ObjectStore) -> ObjectStore:
    """Return the S3 server, sound again whatever the last test did with it."""
    running.be_sound()
    return running


@pytest.fixture
def _stores_are_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let Hugging Face datasets ask a store, which it does not when the Hub is to be left alone.

    What it has asked for before is in another cache.
    """
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    for name in ("HF_DATASETS_CACHE", "DOWNLOADED_DATASETS_PATH"):
        monkeypatch.setattr(datasets.config, name, tmp_path / name.lower())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests be repeated as often as ever, but without the long waits between."""
    monkeypatch.setattr(RetryPolicy, "seconds", lambda _retry, _attempt: 0.01)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of all pipelines and eras, with stars that are in two sectors."""
    out = tmp_path_factory.mktemp("dataset") / "built"
    for name in NAMES:
        tessloom.build(name, sector=[23, 24], out=out, archive="demo", limit=25)
        tessloom.build(name, sector=[23, 24], out=out, archive="demo", targets=shared_ids(name))
    for name in ("qlp", "spoc"):
        tessloom.build(name, sector=56, out=out, archive="demo", limit=4)
    return out


@pytest.fixture(scope="session")
def hdf5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset in the Multimodal Universe's format, of two pipelines."""
    out = tmp_path_factory.mktemp("hdf5") / "built"
    tessloom.build(["qlp", "spoc"], sector=23, out=out, archive="demo", limit=6, format="hdf5")
    return out


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Return the folder of real files; skip where there is none."""
    if not REALDATA.is_dir():
        pytest.skip(f"needs real files in {REALDATA}; see $TESSLOOM_REALDATA")
    return REALDATA
