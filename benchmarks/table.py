"""The table that ``make bench`` prints: what was measured, against what, and the goal."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WIDTHS = (58, 34, 18, 10, 8, 6)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    what, reference
        What was measured, and against what in the same run; no reference where the goal is a
        quantity.
    reached, unit
        The result: ``"times"`` the reference's cost, ``"times faster"``, or a quantity.
    goal
        What is to be reached; None for what is shown for information.
    at_most
        Whether the goal is a ceiling. Else it is a floor.
    noise
        How far rounds lie apart, as a share of `reached`; None where there was one.
    figures
        What the result was made of.
    """

    what: str
    reference: str = ""
    reached: float
    unit: str
    goal: float | None = None
    at_most: bool = False
    noise: float | None = None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.reached <= self.goal if self.at_most else self.reached >= self.goal


@dataclass(frozen=True)
class Skipped:
    """A line that could not be measured, and why."""

    what: str
    why: str


Line = Row | Skipped


def print_head() -> None:
    """Print the table's head."""
    print(_columns(("what", "reference", "reached", "goal", "reached?", "noise")))


def print_line(line: Line) -> None:
    """Print one line of the table, and below it the figures behind it."""
    if isinstance(line, Skipped):
        print(f"{line.what:{_WIDTHS[0]}} SKIPPED: {line.why}", flush=True)
        return
    goal = "" if line.goal is None else f"{'<=' if line.at_most else '>='} {line.goal:g}"
    mark = {None: "", True: "yes", False: "NO"}[line.ok]
    noise = "" if line.noise is None else f"±{100 * line.noise:.0f}%"
    figures = "; ".join(f"{name} {value:,.6g}" for name, value in line.figures.items())
    reached = f"{line.reached:,.3g} {line.unit}"
    if line.reached >= 1000:
        reached = f"{line.reached:,.0f} {line.unit}"
    cells = (line.what, line.reference, reached, goal, mark, noise)
    print(_columns(cells), flush=True)
    if figures:
        print(f"    {figures}", flush=True)


def write_json(path: Path, lines: Sequence[Line], settings: dict[str, object]) -> None:
    """Write all lines, and how and where they were measured."""
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }
    rows = [
        asdict(line) | ({"ok": line.ok} if isinstance(line, Row) else {"skipped": True})
        for line in lines
    ]
    content = {"machine": machine, "settings": settings, "rows": rows}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _columns(cells: Sequence[str]) -> str:
    cells = [f"{cell:{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)]
    return " ".join(cells).rstrip()
