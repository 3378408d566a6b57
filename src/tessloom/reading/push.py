"""A dataset to the Hugging Face Hub, with the tool of its own makers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from tessloom.dataset.croissant import CROISSANT
from tessloom.dataset.formats import find_format
from tessloom.dataset.layout import CARD, LOCK
from tessloom.dataset.lock import unwritten
from tessloom.dataset.storage import is_local, names_below, open_directory
from tessloom.errors import DatasetError, RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from huggingface_hub import HfApi

    from tessloom.dataset.storage import Place

_URL = re.compile(r"hf://datasets/(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)/?", re.ASCII)
# Of no use elsewhere; the last is where the Hub's tool keeps notes on what it has uploaded.
_LEFT_OUT = (LOCK, "*.partial", ".cache/*")


@dataclass(frozen=True, kw_only=True)
class Push:
    """What was uploaded, or would be.

    Attributes
    ----------
    repository
        ``owner/name``.
    files
        Their sizes in bytes by their paths below the dataset.
    dry_run
        Whether nothing was uploaded.
    """

    repository: str
    files: dict[str, int]
    dry_run: bool

    @property
    def address(self) -> str:
        """Where the dataset is on the web."""
        return f"https://huggingface.co/datasets/{self.repository}"

    def __str__(self) -> str:
        done = "would be uploaded" if self.dry_run else "are uploaded"
        total = f"{len(self.files):,} files with {sum(self.files.values()):,} bytes {done} to "
        listed = [f"{size:>14,} {name}" for name, size in self.files.items()] * self.dry_run
        return "\n".join([*listed, total + self.address])


def push(place: Place, url: str, *, dry_run: bool = False, private: bool | None = None) -> Push:
    """Upload a dataset to the Hugging Face Hub; one that was interrupted is continued.

    Parameters
    ----------
    place
        The dataset's directory, on a local disk.
    url
        ``hf://datasets/owner/name``. The repository is made where there is none.
    dry_run
        Check the dataset's card and list its files, but upload nothing and ask the Hub nothing.
    private
        Whether a repository that is made can be seen by its owner alone; None: as the owner's
        settings have it.

    Raises
    ------
    RequestError
        The URL is none of a dataset, there is no dataset, the Hub's package is not installed, or
        nobody is logged in.
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
    if find_format(root) is None:
        raise RequestError(f"there is no tessloom dataset in {root}")
    try:
        import huggingface_hub  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise RequestError(
            "the Hub's package is not installed: pip install 'tessloom[huggingface]'"
        ) from error
    with unwritten(root):
        files = {
            name: (root / name).stat().st_size
            for name in names_below(root)
            if not any(fnmatch(name, pattern) for pattern in _LEFT_OUT)
        }
        _check_card(root)
        if not dry_run:
            if huggingface_hub.get_token() is None:
                raise RequestError(
                    "nobody is logged in to the Hugging Face Hub: hf auth login, or set HF_TOKEN"
                )
            _upload(huggingface_hub.HfApi(), root, repository, private=private)
    return Push(repository=repository, files=files, dry_run=dry_run)


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


def _upload(api: HfApi, root: Path, repository: str, *, private: bool | None) -> None:
    # Since version 2 of the Hub's package, upload_folder is what upload_large_folder was: it
    # commits many files in parts, and continues.
    upload = getattr(api, "upload_large_folder", None) or api.upload_folder
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        upload(
            repo_id=repository,
            repo_type="dataset",
            folder_path=root,
            ignore_patterns=list(_LEFT_OUT),
        )
    except Exception as error:
        raise DatasetError(
            f"the Hugging Face Hub does not take {repository} ({error}). Check the name, the token "
            "and the connection; the same command continues"
        ) from error
