"""`tessloom push` uploads a dataset to the Hugging Face Hub, which no test can reach."""

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.utils._paths import filter_repo_objects

from support import run
from tessloom.dataset.lock import locked
from tessloom.errors import DatasetError, DatasetLockedError, RequestError
from tessloom.reading.push import push

URL = "hf://datasets/me/tess-light-curves"


class HubStub:
    """Stands where the Hub's client is used, and notes what it is asked for."""

    error: Exception | None = None

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self) -> "HubStub":
        return self

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.calls.append(("create_repo", {"repo_id": repo_id, **options}))

    def upload_folder(self, **options: Any) -> None:
        if self.error:
            raise self.error
        self.calls.append(("upload_folder", options))


class OlderHubStub(HubStub):
    def upload_large_folder(self, **options: Any) -> None:
        self.calls.append(("upload_large_folder", options))


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, logged_in: None) -> HubStub:  # noqa: ARG001
    stub = HubStub()
    monkeypatch.setattr(huggingface_hub, "HfApi", stub)
    return stub


@pytest.fixture
def copied(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "copied")


def visible(root: Path) -> dict[str, int]:
    return {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".tessloom.lock"
    }


def test_a_dry_run_lists_every_file_and_byte_and_asks_nobody(copied: Path) -> None:
    (copied / "qlp" / ".s0023.parquet.1-2.partial").write_bytes(b"half")
    done = run("push", copied, URL, "--dry-run")
    assert done.returncode == 0, done.stderr
    *listed, last = done.stdout.splitlines()
    files = {name: int(size.replace(",", "")) for size, name in map(str.split, listed)}
    expected = {name: size for name, size in visible(copied).items() if "partial" not in name}
    assert files == expected
    assert {"README.md", "croissant.json"} <= set(files)
    total = f"{len(files):,} files with {sum(files.values()):,} bytes would be uploaded to "
    assert last == total + "https://huggingface.co/datasets/me/tess-light-curves"


def test_the_folder_is_given_to_the_stub_of_the_hub_s_client(dataset: Path, hub: HubStub) -> None:
    done = push(dataset, URL, private=True)
    (created, options), (uploaded, asked) = hub.calls
    assert (created, uploaded) == ("create_repo", "upload_folder")
    assert options == {
        "repo_id": "me/tess-light-curves",
        "repo_type": "dataset",
        "private": True,
        "exist_ok": True,
    }
    assert (asked["repo_id"], asked["repo_type"]) == ("me/tess-light-curves", "dataset")
    assert Path(asked["folder_path"]) == dataset
    names = [*visible(dataset), ".tessloom.lock"]
    left = filter_repo_objects(names, ignore_patterns=asked["ignore_patterns"])
    assert sorted(left) == sorted(done.files) == sorted(visible(dataset))
    assert "are uploaded" in str(done)


def test_an_older_client_s_stub_is_asked_for_its_own_way_with_large_folders(
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged_in: None,  # noqa: ARG001
) -> None:
    stub = OlderHubStub()
    monkeypatch.setattr(huggingface_hub, "HfApi", stub)
    push(dataset, URL)
    assert [name for name, _ in stub.calls] == ["create_repo", "upload_large_folder"]


def test_the_installed_client_has_what_the_stub_stands_for() -> None:
    import inspect

    api = huggingface_hub.HfApi
    upload = getattr(api, "upload_large_folder", None) or api.upload_folder
    asked = {"repo_id", "repo_type", "folder_path", "ignore_patterns"}
    assert asked <= set(inspect.signature(upload).parameters)
    wanted = {"repo_id", "repo_type", "private", "exist_ok"}
    assert wanted <= set(inspect.signature(api.create_repo).parameters)


def test_a_hub_that_can_t_be_reached_is_an_error_that_says_what_to_do(
    dataset: Path,
    logged_in: None,  # noqa: ARG001
) -> None:
    # The real client, which the tests' environment tells to stay off the network.
    with pytest.raises(DatasetError, match=r"does not take me/tess-light-curves .* continues"):
        push(dataset, URL)


def test_what_the_stub_of_the_hub_refuses_is_an_error(dataset: Path, hub: HubStub) -> None:
    hub.error = PermissionError("403 Forbidden")
    with pytest.raises(DatasetError, match="403 Forbidden"):
        push(dataset, URL)


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
    file: str, content: str | None, error: str, copied: Path, hub: HubStub
) -> None:
    (copied / file).unlink()
    if content is not None:
        (copied / file).write_text(content)
    with pytest.raises(DatasetError, match=error):
        push(copied, URL)
    assert hub.calls == []


def test_a_card_that_promises_files_that_are_not_there_is_found(copied: Path) -> None:
    for path in copied.glob("tglc/catalog/dataset/*/*/*/s0024.parquet"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"promises files tglc/.*/s0024\.parquet"):
        push(copied, URL, dry_run=True)


def test_a_dataset_is_not_uploaded_while_a_build_writes_to_it(copied: Path, hub: HubStub) -> None:
    with locked(copied), pytest.raises(DatasetLockedError):
        push(copied, URL)
    assert hub.calls == []
