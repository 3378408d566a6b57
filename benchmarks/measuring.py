"""How costs are compared: in rounds that take turns, on one machine, at one time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Costs = dict[str, list[float]]


class Ratio(NamedTuple):
    """How one cost compares with another.

    Attributes
    ----------
    value
        Of the cheapest rounds of both: what disturbs a round only ever adds to it. Of the mean
        rounds where chance is part of what is measured.
    noise
        Half of the distance between the lowest and the highest ratio within a round, as a share of
        `value`.
    """

    value: float
    noise: float


def take_turns(rounds: int, works: Mapping[str, Callable[[], float]]) -> Costs:
    """Return what each work costs in each round: all of them once, then all of them again."""
    costs: Costs = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            costs[name].append(work())
    return costs


def ratio(
    costs: Costs, dividend: str, divisor: str, of: Callable[[list[float]], float] = min
) -> Ratio:
    """Return how many times the one costs what the other costs."""
    value = of(costs[dividend]) / of(costs[divisor])
    each = [one / other for one, other in zip(costs[dividend], costs[divisor], strict=True)]
    return Ratio(value, (max(each) - min(each)) / 2 / value)


def noise(costs: list[float]) -> float:
    """Return half of the distance between the lowest and the highest cost, as a share."""
    return (max(costs) - min(costs)) / 2 / min(costs)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds that this process spends on a work, in all of its threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def microseconds(costs: Costs) -> dict[str, float]:
    """Return the cheapest rounds, which were given in seconds, as figures to print."""
    return {f"{name}, µs": round(1e6 * min(values), 1) for name, values in costs.items()}
