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
    from tessloom.dataset.splits import Splits
    from tessloom.dataset.status import SectorStatus, read_status
    from tessloom.dataset.verify import Verification
    from tessloom.reading.dataset import Dataset, Match
    from tessloom.reading.dataset import open_dataset as open  # noqa: A004 - as in tessloom.open()
    from tessloom.reading.light_curve import LightCurve
    from tessloom.reading.recorded_splits import record_splits

__all__ = [
    "Dataset",
    "LightCurve",
    "Match",
    "Progress",
    "Report",
    "RetryPolicy",
    "SectorStatus",
    "Splits",
    "Verification",
    "__version__",
    "build",
    "find_sectors",
    "open",
    "read_status",
    "record_splits",
    "retry",
    "verify",
]

_HOMES = {
    "Dataset": "tessloom.reading.dataset",
    "LightCurve": "tessloom.reading.light_curve",
    "Match": "tessloom.reading.dataset",
    "Progress": "tessloom.building.progress",
    "Report": "tessloom.building.report",
    "RetryPolicy": "tessloom.archive.retry_policy",
    "SectorStatus": "tessloom.dataset.status",
    "Splits": "tessloom.dataset.splits",
    "Verification": "tessloom.dataset.verify",
    "build": "tessloom.building.run",
    "find_sectors": "tessloom.building.discovery",
    "open": "tessloom.reading.dataset:open_dataset",
    "read_status": "tessloom.dataset.status",
    "record_splits": "tessloom.reading.recorded_splits",
    "retry": "tessloom.building.retrying",
    "verify": "tessloom.building.verification",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: ``--help`` should not wait for pyarrow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    module, _, own_name = _HOMES[name].partition(":")
    return getattr(import_module(module), own_name or name)


def __dir__() -> list[str]:
    return sorted(__all__)
