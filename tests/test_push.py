"""`tessloom push` uploads a dataset to the Hugging Face Hub, here to one on the loopback."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.utils._paths import filter_repo_objects

import tessloom
from hub import Hub, Repository, hub
from support import NAMES, run, shared_ids
from tessloom.dataset.lock import locked
from tessloom.dataset.splits import Splits
from tessloom.errors import DatasetError, DatasetLockedError, RequestError
from tessloom.reading.push import Push, push
from tessloom.reading.recorded_splits import record_splits

NAME = "me/tess-light-curves"
URL = f"hf://datasets/{NAME}"
# What lies in a directory besides; some under names that tessloom might give.
STRANGERS = (
    ".env",
    ".hidden/tok",
    ".tessloom.lock",
    "[0-9] notes.txt",
    "checkpoints/s0023.parquet",
    "notes.secret",
    "qlp.ipynb",
    "qlp/catalog/dataset/Norder=5/Dir=0/Npix=07/s0023.parquet",
    "qlp/catalog/dataset/Norder=5/Dir=0/Npix=7/s0023 (1).parquet",
    "qlp/catalog/dataset/Norder=5/Dir=0/Npix=7/mine/s0023.parquet",
    "qlp/index_tic_id/dataset/index/part.1.parquet",
    "qlp/listing/.s0023.parquet.1-2.partial",
    "qlp/listing/s0099.txt",
    "qlp/margin_60arcs/notes.md",
    "QLP/.listing/token",
    "QLP/healpix=7/model.hdf5",
    "QLP/healpix=7/s0023-001-of-001.hdf5.bak",
)
UNSAID = {".tessloom.lock", "qlp/listing/.s0023.parquet.1-2.partial"}


class OlderHubStub:
    """Stands for clients before version 2, which can't be installed beside the one that is."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self) -> "OlderHubStub":
        return self

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.calls.append(("create_repo", {"repo_id": repo_id, **options}))

    def upload_large_folder(self, **options: Any) -> None:
        self.calls.append(("upload_large_folder", options))


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")


@pytest.fixture
def the_hub() -> Iterator[Hub]:
    with hub() as hub_on_the_loopback:
        yield hub_on_the_loopback


@pytest.fixture(scope="module")
def hdf5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset in which a pixel has files of two sectors."""
    out = tmp_path_factory.mktemp("hdf5") / "built"
    stars = shared_ids("qlp")
    tessloom.build("qlp", sector=[23, 24], out=out, archive="demo", targets=stars, format="hdf5")
    return out


@pytest.fixture
def copied(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "copied")


def visible(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".tessloom.lock"
    }


def add_strangers(root: Path) -> None:
    for name in STRANGERS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"of no one's business")


def test_a_dry_run_sums_up_every_file_and_byte_and_asks_nobody(copied: Path, the_hub: Hub) -> None:
    done = run("push", copied, URL, "--dry-run", **the_hub.environment)
    assert done.returncode == 0, done.stderr
    assert not the_hub.requests
    *lines, total, last = done.stdout.splitlines()
    expected = visible(copied)
    counts = {line.split()[-1]: int(line.split()[0]) for line in lines}
    of_top = {name: sum(n.startswith(f"{name}/") for n in expected) for name in ("qlp", "tglc")}
    assert counts == {".": 2, **of_top, "spoc": counts["spoc"]}
    assert sum(counts.values()) == len(expected)
    size = sum(map(len, expected.values()))
    address = f"https://huggingface.co/datasets/{NAME}"
    assert total == f"{len(expected):,} files with {size:,} bytes for {address}"
    assert last == "Nothing was uploaded: this was a dry run."


def test_each_file_is_listed_if_that_is_wanted(copied: Path) -> None:
    add_strangers(copied)
    done = run("push", copied, URL, "--dry-run", "--list")
    listed = [line.split() for line in done.stdout.splitlines() if len(line.split()) == 2]
    found = {name: int(size.replace(",", "")) for size, name in listed}
    assert found == {n: len(b) for n, b in visible(copied).items() if n not in STRANGERS}


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
def test_all_that_tessloom_wrote_is_uploaded_and_nothing_else(
    kind: str, dataset: Path, hdf5: Path, tmp_path: Path, the_hub: Hub
) -> None:
    root = shutil.copytree({"parquet": dataset, "hdf5": hdf5}[kind], tmp_path / "copied")
    if kind == "parquet":
        assert tessloom.open(root)["qlp"].write_margin(600)
        record_splits(root, Splits.parse("70/20/10"))
    else:
        assert list(root.glob("QLP/healpix=*/s0024-001-of-001.hdf5"))
    expected = visible(root)
    assert ("splits.json" in expected) == (kind == "parquet")
    add_strangers(root)
    done = run("push", root, URL, **the_hub.environment)
    assert done.returncode == 0, done.stderr
    assert the_hub.repositories[NAME].files == expected
    said = sorted(set(STRANGERS) - UNSAID)
    names = f"({', '.join(said[:3])} and {len(said) - 3} more)"
    assert f"Left out: {len(said)} files that tessloom did not write {names}" in done.stdout
    assert done.stdout.splitlines()[-1] == "Uploaded."


def test_where_nothing_else_lies_nothing_is_said_of_it(dataset: Path) -> None:
    pushed = push(dataset, URL, dry_run=True)
    assert pushed.left_out == ()
    assert "Left out" not in str(pushed)


@pytest.mark.parametrize(
    ("option", "private"), [((), False), (("--public",), False), (("--private",), True)]
)
def test_a_new_repository_is_seen_by_whom_the_user_wants(
    option: tuple[str, ...], private: bool, hdf5: Path, the_hub: Hub
) -> None:
    done = run("push", hdf5, URL, *option, **the_hub.environment)
    assert done.returncode == 0, done.stderr
    assert the_hub.repositories[NAME].private is private


@pytest.mark.parametrize("private", [True, False])
def test_an_older_repository_that_others_see_than_the_user_wants_gets_nothing(
    private: bool, hdf5: Path, the_hub: Hub
) -> None:
    the_hub.repositories[NAME] = repository = Repository(private)
    option = "--public" if private else "--private"
    done = run("push", hdf5, URL, option, **the_hub.environment)
    assert done.returncode == 2
    assert f"is {'private' if private else 'public'}" in done.stderr
    assert f"leave {option} out" in done.stderr
    assert not repository.files
    assert run("push", hdf5, URL, **the_hub.environment).returncode == 0
    assert repository.files == visible(hdf5)
    assert repository.private is private


def test_an_older_client_s_stub_is_asked_for_its_own_way_with_large_folders(
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged_in: None,  # noqa: ARG001
) -> None:
    stub = OlderHubStub()
    monkeypatch.setattr(huggingface_hub, "HfApi", stub)
    done = push(dataset, URL)
    (created, _), (uploaded, asked) = stub.calls
    assert (created, uploaded) == ("create_repo", "upload_large_folder")
    names = [*visible(dataset), ".tessloom.lock", "notes.secret"]
    taken = filter_repo_objects(names, allow_patterns=asked["allow_patterns"])
    assert set(taken) == set(done.files)
    # It tries each glob on each file.
    light_curves = [glob for glob in asked["allow_patterns"] if "Npix" in glob]
    assert len(light_curves) == len(NAMES)


def test_more_than_the_hub_recommends_is_said() -> None:
    few = {f"qlp/{number}": 10 for number in range(99_999)}
    assert "recommends" not in str(Push(repository=NAME, files=few, left_out=()))
    many = str(Push(repository=NAME, files=few | {"README.md": 10}, left_out=()))
    assert "The Hub recommends fewer than 100,000 files a repository" in many
    assert "asked before" not in many
    large = str(Push(repository=NAME, files={"qlp/1": 10**12 + 1}, left_out=()))
    assert "asked before more than 1 TB is uploaded" in large


def test_a_hub_that_can_t_be_reached_is_an_error_that_says_what_to_do(
    dataset: Path,
    logged_in: None,  # noqa: ARG001
) -> None:
    # The real client, which the tests' environment tells to stay off the network.
    with pytest.raises(DatasetError, match=r"does not take me/tess-light-curves .* continues"):
        push(dataset, URL)


def test_a_hub_that_refuses_is_an_error(hdf5: Path, the_hub: Hub) -> None:
    the_hub.refuse = 403
    done = run("push", hdf5, URL, **the_hub.environment)
    assert done.returncode == 3
    assert f"does not take {NAME}" in done.stderr
    assert "403 Forbidden" in done.stderr
    assert "Uploaded" not in done.stdout


@pytest.mark.parametrize(
    "url",
    [
        "hf://me/tess",
        "hf://datasets/tess",
        "hf://datasets/me/tess/more",
        "hf://datasets/me/te--ss",
        "hf://datasets/me/tess.git",
        "hf://datasets/../tess",
        "https://huggingface.co/datasets/me/tess",
        "s3://bucket/tess",
        "",
    ],
)
def test_another_url_is_a_wrong_call(url: str, dataset: Path) -> None:
    with pytest.raises(RequestError, match="give hf://datasets/owner/name"):
        push(dataset, url, dry_run=True)


def test_without_a_token_it_says_how_to_log_in(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(RequestError, match="hf auth login, or set HF_TOKEN"):
        push(dataset, URL)


def test_a_directory_without_a_dataset_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(RequestError, match="there is no tessloom dataset"):
        push(tmp_path, URL, dry_run=True)
    done = run("push", tmp_path / "nothing", URL, "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_dataset_in_a_store_is_refused() -> None:
    with pytest.raises(RequestError, match="is not on a local disk"):
        push("memory://bucket/dataset", URL, dry_run=True)


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("README.md", None, r"README\.md is missing"),
        ("croissant.json", None, r"croissant\.json is missing"),
        ("README.md", "no card", r"README\.md is damaged"),
    ],
)
def test_a_card_that_is_missing_or_damaged_is_found_before_anything_is_uploaded(
    file: str,
    content: str | None,
    error: str,
    copied: Path,
    logged_in: None,  # noqa: ARG001
) -> None:
    (copied / file).unlink()
    if content is not None:
        (copied / file).write_text(content)
    with pytest.raises(DatasetError, match=error):
        push(copied, URL)


def test_a_card_that_promises_files_that_are_not_there_is_found(copied: Path) -> None:
    for path in copied.glob("tglc/catalog/dataset/*/*/*/s0024.parquet"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"promises files tglc/.*/s0024\.parquet"):
        push(copied, URL, dry_run=True)


def test_a_dataset_is_not_uploaded_while_a_build_writes_to_it(copied: Path) -> None:
    with locked(copied), pytest.raises(DatasetLockedError):
        push(copied, URL)
