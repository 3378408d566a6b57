"""tessloom: TESS full-frame-image light curves as datasets that machines can learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessloom._version import __version__

if TYPE_CHECKING:
    from tessloom.archive.retry_policy import RetryPolicy
    from tessloom.building.discovery import find_sectors
    from tessloom.building.progress import Progress
    from tessloom.building.report import Report
    from tessloom.building.retrying import retry
    from tessloom.building.run import build
    from tessloom.building.verification import verify
    from tessloom.dataset.status import SectorStatus, read_status
    from tessloom.dataset.verify import Verification

__all__ = [
    "Progress",
    "Report",
    "RetryPolicy",
    "SectorStatus",
    "Verification",
    "__version__",
    "build",
    "find_sectors",
    "read_status",
    "retry",
    "verify",
]

_HOMES = {
    "Progress": "tessloom.building.progress",
    "Report": "tessloom.building.report",
    "RetryPolicy": "tessloom.archive.retry_policy",
    "SectorStatus": "tessloom.dataset.status",
    "Verification": "tessloom.dataset.verify",
    "build": "tessloom.building.run",
    "find_sectors": "tessloom.building.discovery",
    "read_status": "tessloom.dataset.status",
    "retry": "tessloom.building.retrying",
    "verify": "tessloom.building.verification",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: ``--help`` should not wait for pyarrow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
