"""A dataset to the Hugging Face Hub, with the tool of its own makers."""

from __future__ import annotations

import glob
import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tessloom.dataset.croissant import CROISSANT
from tessloom.dataset.formats import existing_format
from tessloom.dataset.layout import CARD, LOCK
from tessloom.dataset.lock import unwritten
from tessloom.dataset.own_files import own_files
from tessloom.dataset.storage import is_local, names_below, open_directory
from tessloom.dataset.summary import size_text
from tessloom.errors import DatasetError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from huggingface_hub import HfApi

    from tessloom.dataset.storage import Place

_URL = re.compile(r"hf://datasets/(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)/?", re.ASCII)
# Not worth a word: the lock, what killed builds have left, and notes that the Hub's tool makes.
_UNSAID = (LOCK, ".*.partial", "*/.*.partial", ".cache/huggingface/*")
_NAMED = 3
# What the Hub recommends: https://huggingface.co/docs/hub/storage-limits. Nor should a folder have
# more than 10,000 entries; those of a dataset can't: HATS puts no more pixels into one.
_MOST_FILES = 100_000
_MOST_BYTES = 10**12


@dataclass(frozen=True, kw_only=True)
class Push:
    """What is uploaded, or would be; as text, a summary.

    Attributes
    ----------
    repository
        ``owner/name``.
    files
        Their sizes in bytes by their paths below the dataset.
    left_out
        What else lies in the dataset's directory: files that tessloom did not write.
    """

    repository: str
    files: dict[str, int]
    left_out: tuple[str, ...]

    @property
    def address(self) -> str:
        """Where the dataset is on the web."""
        return f"https://huggingface.co/datasets/{self.repository}"

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(self.files.values())

    @property
    def listed(self) -> str:
        """A line for each file: its size in bytes and its path."""
        return "\n".join(f"{size:>14,} {name}" for name, size in self.files.items())

    def __str__(self) -> str:
        total = f"{_files(len(self.files))} with {self.bytes:,} bytes for {self.address}"
        return "\n".join([*self._directories(), total, *self._notes()])

    def _directories(self) -> Iterator[str]:
        files: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for name, size in self.files.items():
            directory, slash, _ = name.partition("/")
            files[directory if slash else "."] += 1
            sizes[directory if slash else "."] += size
        for directory, count in files.items():
            yield f"{_files(count):>14} {size_text(sizes[directory]):>11}  {directory}"

    def _notes(self) -> Iterator[str]:
        if self.left_out:
            more = len(self.left_out) - _NAMED
            names = ", ".join(self.left_out[:_NAMED]) + (f" and {more:,} more" * (more > 0))
            yield f"Left out: {_files(len(self.left_out))} that tessloom did not write ({names})"
        if len(self.files) >= _MOST_FILES:
            yield (
                f"The Hub recommends fewer than {_MOST_FILES:,} files a repository: build each "
                "pipeline, or some sectors, into a directory of its own and push these"
            )
        if self.bytes > _MOST_BYTES:
            yield (
                f"The Hub wants to be asked before more than {size_text(_MOST_BYTES)} is uploaded: "
                "https://huggingface.co/docs/hub/storage-limits"
            )


def push(
    place: Place,
    url: str,
    *,
    dry_run: bool = False,
    private: bool | None = None,
    tell: Callable[[Push], object] = lambda _: None,
) -> Push:
    """Upload a dataset to the Hugging Face Hub; one that was interrupted is continued.

    Only what tessloom has written is uploaded, whatever else lies in the directory.

    Parameters
    ----------
    place
        The dataset's directory, on a local disk.
    url
        ``hf://datasets/owner/name``. The repository is made where there is none.
    dry_run
        Check the dataset's card and list its files, but upload nothing and ask the Hub nothing.
    private
        Whether the repository can be seen by its owner alone. None: a new one is as the Hub makes
        it, public unless the organization's default is private; an older one stays as it is.
    tell
        Called with what is uploaded, before it is.

    Raises
    ------
    RequestError
        The URL is none of a dataset, there is no dataset, the Hub's package is not installed,
        nobody is logged in, or the repository is there and not as `private` says.
    DatasetError
        The card does not agree with the files, or the Hub does not take them.
    """
    repository = _repository(url)
    root = open_directory(place)
    if not is_local(root):
        raise RequestError(
            f"{place} is not on a local disk, from which alone the Hub's tool uploads: copy the "
            "dataset to one and push the copy"
        )
    dataset_format = existing_format(root)
    try:
        import huggingface_hub  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise RequestError(
            "the Hub's package is not installed: pip install 'tessloom[huggingface]'"
        ) from error
    with unwritten(root):
        names = names_below(root)
        files = {
            name: (root / name).stat().st_size for name in own_files(root, dataset_format, names)
        }
        others = [name for name in names if name not in files]
        _check_card(root)
        if not dry_run and huggingface_hub.get_token() is None:
            raise RequestError(
                "nobody is logged in to the Hugging Face Hub: hf auth login, or set HF_TOKEN"
            )
        said = (name for name in others if not any(fnmatchcase(name, each) for each in _UNSAID))
        pushed = Push(repository=repository, files=files, left_out=tuple(said))
        tell(pushed)
        if not dry_run:
            _upload(huggingface_hub.HfApi(), root, pushed, others, private)
    return pushed


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _repository(url: str) -> str:
    match = _URL.fullmatch(url)
    # The Hub's own rule for names.
    if match is None or "--" in url or ".." in url or match["repository"].endswith((".", ".git")):
        raise RequestError(
            f"{url} is no dataset of the Hugging Face Hub: give hf://datasets/owner/name"
        )
    return match["repository"]


def _check_card(root: Path) -> None:
    """Check that the card is there, can be read, and finds files for all that it promises."""
    from huggingface_hub import DatasetCard  # noqa: PLC0415

    advice = "run the build again: it writes the card at its end"
    for name in (CARD, CROISSANT):
        if not (root / name).is_file():
            raise DatasetError(f"{root / name} is missing: {advice}")
    try:
        configs = DatasetCard.load(root / CARD).data.to_dict()["configs"]
        patterns = [files["path"] for config in configs for files in config["data_files"]]
    except Exception as error:
        raise DatasetError(f"the card {root / CARD} is damaged ({error!r}): {advice}") from error
    for pattern in patterns:
        if next(root.glob(pattern), None) is None:
            raise DatasetError(f"{root / CARD} promises files {pattern}; there are none: {advice}")


def _upload(
    api: HfApi, root: Path, pushed: Push, others: Iterable[str], private: bool | None
) -> None:
    # Since version 2 of the Hub's package, upload_folder is what upload_large_folder was: it
    # commits many files in parts, and continues.
    upload = getattr(api, "upload_large_folder", None) or api.upload_folder
    taken, left = _patterns(pushed.files, others)
    try:
        api.create_repo(pushed.repository, repo_type="dataset", private=private, exist_ok=True)
        _check_visibility(api, pushed, private)
        upload(
            repo_id=pushed.repository,
            repo_type="dataset",
            folder_path=root,
            allow_patterns=taken,
            ignore_patterns=left,
        )
    except RequestError:
        raise
    except Exception as error:
        raise DatasetError(
            f"the Hugging Face Hub does not take {pushed.repository} ({error}). Check the name, "
            "the token and the connection; the same command continues"
        ) from error


def _check_visibility(api: HfApi, pushed: Push, private: bool | None) -> None:
    """Check that a repository is seen by whom it shall: one that was there stays as it was."""
    if private is None:
        return
    found = bool(api.repo_info(pushed.repository, repo_type="dataset").private)
    if found != private:
        now, option = ("private", "--public") if found else ("public", "--private")
        raise RequestError(
            f"{pushed.address} was there before and is {now}: change that in its settings, or "
            f"leave {option} out. Nothing was uploaded"
        )


def _patterns(files: Iterable[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return globs of what the Hub's tool shall take, and of what it shall leave all the same.

    It tries each on each file, so one for each of 50,000 files would take it hours. Paths that
    differ by their numbers have one together, and what that matches besides is left by name.
    """
    taken = sorted({re.sub("[0-9]+", "*", glob.escape(name)) for name in files})
    left = [glob.escape(name) for name in others if any(fnmatchcase(name, it) for it in taken)]
    return taken, left
