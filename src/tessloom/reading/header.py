"""What the headers of several parts of a light curve say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tessloom.errors import UnknownNameError
from tessloom.reading.names import unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Header(Mapping[str, Any]):
    """The header values in which all parts of a light curve agree; NaN agrees with NaN.

    Attributes
    ----------
    differing
        Names of the values in which they don't: those are in the headers of the parts.
    """

    def __init__(self, headers: Sequence[Mapping[str, Any]]) -> None:
        first, *others = headers
        self._values = {
            name: value
            for name, value in first.items()
            if all(_same(value, other[name]) for other in others)
        }
        self.differing = tuple(name for name in first if name not in self._values)

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self.differing:
            raise UnknownNameError(
                f"the parts of the light curve differ in {name}: take it from headers, which has "
                f"one for each part, as [header[{name!r}] for header in light_curve.headers]"
            )
        raise unknown_name("header value", name, (*self._values, *self.differing))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN
