"""The error for a name that a light curve does not have."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tessloom.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that is not there, with those that are near it first.

    Parameters
    ----------
    kind
        What it would be the name of.
    """
    names = list(known)
    near = get_close_matches(str(name).lower(), names)
    meant = f" (did you mean {' or '.join(near)}?)" if near else ""
    return UnknownNameError(
        f"the light curve has no {kind} {name!r}{meant}; it has {', '.join(names)}"
    )
