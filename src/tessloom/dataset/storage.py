"""Where a dataset lies: on a local disk, or in an object store by its URL.

A dataset's files have paths: a `pathlib.Path`, or what universal-pathlib has for a URL, which is
used in the same way. What a store does otherwise is decided here: files are uploaded whole, and
found by one listing. How they are read stands in `opening`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tessloom.errors import DatasetError, RequestError, TessloomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from upath import UPath

    # What a user says of where a dataset is.
    Place = str | os.PathLike[str] | UPath

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://(.*)")
_LOCAL = ("file", "local")
_READ_ONLY = ("data", "github", "http", "https")
# Where an upload is complete or absent, and replaces at once what was there.
_OBJECT_STORES = {"abfs", "abfss", "az", "gcs", "gs", "s3", "s3a"}
# Whose errors are no OSError, though they tell of the store: no credentials, no connection.
_LIBRARIES = {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "requests"}
# 32 MB of an upload are in memory; s3fs itself would hold 500.
_S3_UPLOAD = {"chunksize": 8 * 2**20, "max_concurrency": 4}
# Requests for small things at a time: each takes tens of milliseconds, whatever its size.
_AT_ONCE = 32
# Forked processes have another number than the one that imported this.
_PROCESS = os.getpid()
_HINT = "pip install 'tessloom[s3]' for s3://, and the fsspec package of the store for others"


def open_directory(place: Place) -> Path:
    """Return the path of a dataset's directory, which need not exist.

    Parameters
    ----------
    place
        A path, or a URL of a file system that fsspec knows, such as ``s3://bucket/prefix``. A
        `upath.UPath` brings its storage options along.

    Raises
    ------
    RequestError
        The URL's kind is unknown, can't be written to, or its package is not installed.
    DatasetError
        The store can't be used so: an account or credentials are missing.
    """
    if not isinstance(place, str | os.PathLike) and not hasattr(place, "storage_options"):
        raise RequestError(f"{place!r} is not the dataset's directory: give a path or a URL")
    text = os.fspath(place) if isinstance(place, str | os.PathLike) else str(place)
    if not text.strip():
        raise RequestError("the dataset's directory has no name: for this one give a full stop")
    match = _URL.fullmatch(text)
    if match is None:
        return local_path(text)
    scheme, rest = match[1].lower(), match[2]
    if scheme in _LOCAL:
        return Path(rest)
    if scheme in _READ_ONLY or "::" in text or not rest.strip("/"):
        raise RequestError(
            f"a dataset can't lie at {text}: give a directory, or a URL such as s3://bucket/prefix"
        )
    try:
        # Imported late: who builds on a local disk needs neither.
        import fsspec  # noqa: PLC0415
        from upath import UPath  # noqa: PLC0415

        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise RequestError(f"{text} can't be used ({error}): {_HINT}") from error
    except ValueError as error:
        raise RequestError(f"{scheme}:// is no kind of store that fsspec knows: {text}") from error
    options: dict[str, Any] = {}
    if scheme in {"s3", "s3a"}:
        options["config_kwargs"] = {"max_pool_connections": _AT_ONCE}
    options |= getattr(place, "storage_options", {})
    # A listing that is remembered may be out of date, and what there is to do follows from it.
    options["use_listings_cache"] = False
    path = UPath(text.rstrip("/"), **options)
    # What is used of a path, a UPath has too.
    root = cast("Path", path)
    try:
        store_of(root)
    except Exception as error:  # whatever a library makes of an account that is not named
        raise cannot_use(root, error) from error
    return root


def local_path(text: str | os.PathLike[str]) -> Path:
    """Return a path of this machine; ``~`` is the home directory.

    The shell leaves it as it is in ``--out=~/data``, Python does everywhere, and Arrow does not:
    one dataset would come to lie in two places.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise RequestError(f"{os.fspath(text)} can't be found: {error}") from error


def is_shared(path: Path) -> bool:
    """Return whether other processes of this machine see what lies at a path."""
    return is_local(path) or path.protocol != "memory"  # type: ignore[attr-defined]


def is_local(path: Path) -> bool:
    """Return whether a path is one of the machine's own file system."""
    return isinstance(path, Path)


@contextlib.contextmanager
def store_failures(root: Path) -> Iterator[None]:
    """Turn what a store's library raises into a `DatasetError`; on a local disk do nothing.

    Each library has errors of its own, for which neither its callers nor users are prepared.
    """
    try:
        yield
    except TessloomError:
        raise
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if is_local(root) or not (isinstance(error, OSError) or library in _LIBRARIES):
            raise
        raise cannot_use(root, error) from error


def cannot_use(root: Path | str, error: Exception) -> DatasetError:
    """Return the error for a store that refuses."""
    return DatasetError(
        f"{root} can't be used ({said(error)}). Check the address, the credentials and what they "
        "allow; what is finished is kept, and the same command continues"
    )


def said(error: Exception) -> str:
    """Return what a store's library says of an error, without its number."""
    return str(getattr(error, "strerror", None) or error) or repr(error)


def make_directory(directory: Path) -> None:
    """Make a directory, and those above it, where they are needed."""
    # In an object store they are not; and making one would make a missing bucket.
    if is_local(directory):
        directory.mkdir(parents=True, exist_ok=True)
    elif not _puts_whole(directory):
        store, name = store_of(directory)
        store.makedirs(name, exist_ok=True)


def upload(file: Path, path: Path) -> None:
    """Put a local file in a store under its name, whole or not at all.

    Raises
    ------
    OSError
        The store does not take it.
    """
    store, name = store_of(path)
    with as_os_error():
        if _puts_whole(path):
            store.put_file(str(file), name, **(_S3_UPLOAD if "s3" in store.protocol else {}))
            return
        make_directory(path.parent)
        partial = f"{store_of(path.parent)[1]}/.{path.name}.{secrets.token_hex(8)}.partial"
        left = False
        try:
            store.put_file(str(file), partial)
            store.mv(partial, name)
        finally:
            with contextlib.suppress(Exception):
                left = store.exists(partial)
                if left:
                    store.rm_file(partial)
        if left:  # some say nothing when a name is taken
            raise OSError("the store does not rename files")


def upload_bytes(body: bytes, path: Path) -> None:
    """Put a small file in a store under its name, whole or not at all.

    Raises
    ------
    OSError
        The store does not take it.
    """
    if _puts_whole(path):
        store, name = store_of(path)
        with as_os_error():
            store.pipe_file(name, body)
        return
    with tempfile.NamedTemporaryFile(prefix="tessloom-") as file:
        file.write(body)
        file.flush()
        upload(Path(file.name), path)


def give_up_uploads(directory: Path) -> None:
    """Give up uploads below a directory that a killed process began: they cost money.

    No reader sees them. The caller knows that no one else is uploading there.
    """
    store, name = store_of(directory)
    if "s3" not in store.protocol:
        return
    bucket, prefix, _ = store.split_path(name)
    # Who may put objects need not have the right to list uploads.
    with contextlib.suppress(OSError):
        while True:
            found = store.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
            for begun in found.get("Uploads", []):
                store.call_s3(
                    "abort_multipart_upload",
                    Bucket=bucket,
                    Key=begun["Key"],
                    UploadId=begun["UploadId"],
                )
            if not found.get("IsTruncated"):  # what was given up is not listed again
                return


def matching(directory: Path, pattern: str) -> Iterator[Path]:
    """Yield the files below a directory whose path from there matches a pattern of as many parts.

    In a store that is one listing, however many directories there are.
    """
    if is_local(directory):
        yield from directory.glob(pattern)
        return
    for name in names_below(directory):
        if name.count("/") == pattern.count("/") and PurePosixPath(name).match(pattern):
            yield directory / name


def names_below(directory: Path) -> list[str]:
    """Return the paths of all files below a directory, from there, sorted."""
    if is_local(directory):
        files = (path for path in directory.rglob("*") if path.is_file())
        return sorted(path.relative_to(directory).as_posix() for path in files)
    store, start = store_of(directory)
    found = store.find(start)
    return sorted(name.removeprefix(f"{start}/") for name in found if name.startswith(f"{start}/"))


def present(directory: Path, paths: Iterable[Path]) -> set[Path]:
    """Return those of some paths below a directory at which there is a file."""
    if is_local(directory):
        return {path for path in paths if path.exists()}
    start = str(directory)
    names = set(names_below(directory))
    return {path for path in paths if str(path).removeprefix(f"{start}/") in names}


def for_each(do: Callable[[_In], _Out], items: Iterable[_In], root: Path) -> Iterator[_Out]:
    """Yield what `do` returns for each of some items, in their order.

    In a store several are done at a time, as long as they are small.
    """
    if is_local(root):
        yield from map(do, items)
        return
    with ThreadPoolExecutor(_AT_ONCE, "tessloom-reading") as executor:
        yield from executor.map(do, items)


def store_of(path: Path) -> tuple[Any, str]:
    """Return fsspec's file system of a path, and what it calls the path.

    A forked process gets one of its own: it has the parent's, but not the thread that works for it.
    """
    stored: Any = path
    store = stored.fs
    if os.getpid() != _PROCESS:
        store = type(store)(*store.storage_args, **store.storage_options)
    return store, stored.path.rstrip("/")


def _puts_whole(path: Path) -> bool:
    stored: Any = path
    return stored.protocol in _OBJECT_STORES


@contextlib.contextmanager
def as_os_error() -> Iterator[None]:
    """Turn whatever a store's library raises into an `OSError`."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(said(error)) from error
