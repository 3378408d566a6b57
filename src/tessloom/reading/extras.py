"""Packages that not everyone needs, imported when something asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tessloom.errors import RequestError


def extra(module: str, name: str) -> Any:
    """Return a module that an extra of tessloom brings.

    Raises
    ------
    RequestError
        It is not installed, or does not work beside what is.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise RequestError(
            f"this needs {package} ({error}), which the extra {name!r} brings: "
            f"pip install 'tessloom[{name}]', or '.[{name}]' in a checkout"
        ) from error
