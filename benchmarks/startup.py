"""What it takes until tessloom does something, against Python itself."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from measuring import ratio, take_turns
from processes import TESSLOOM, run
from table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import tessloom": [sys.executable, "-c", "import tessloom"],
    "tessloom --help": [TESSLOOM, "--help"],
}
_GOALS = {"import tessloom": 0.15, "tessloom --help": 0.3}


def startup(rounds: int) -> Iterator[Row]:
    """Yield the lines on start-up: seconds of wall time, the start of Python included."""
    costs = take_turns(
        rounds, {name: partial(_seconds, command) for name, command in _COMMANDS.items()}
    )
    for name, goal in _GOALS.items():
        found = ratio(costs, name, "python -c pass")
        yield Row(
            what=f"start-up: {name}",
            reached=min(costs[name]),
            unit="s",
            goal=goal,
            at_most=True,
            noise=found.noise,
            figures={"python -c pass, s": min(costs["python -c pass"]), "times it": found.value},
        )


def _seconds(command: list[str]) -> float:
    return run(command).wall
