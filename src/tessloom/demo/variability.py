"""How the demo's stars vary: relative flux on a grid of times, 1 being the quiet star."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tessloom.demo.sectors import Floats


class Parameters(NamedTuple):
    """What a model needs to know of a star.

    Attributes
    ----------
    seed
        Tells the star from all others.
    period, epoch
        Days, and days since JD 2457000.
    amplitude
        Relative flux.
    shape
        A number whose meaning is the model's.
    """

    seed: int
    period: float
    epoch: float
    amplitude: float
    shape: float


def _quiet(star: Parameters, time: Floats) -> Floats:  # noqa: ARG001 - all models are called alike
    return np.zeros_like(time)


def _transits(star: Parameters, time: Floats) -> Floats:
    duration = 0.13 * np.cbrt(star.period / 3)
    half = star.period / 2
    distance: Floats = np.abs((time - star.epoch + half) % star.period - half)
    ingress = np.clip((duration / 2 - distance) / (0.15 * duration), 0, 1)
    limb_darkening = 1 - 0.2 * np.minimum(2 * distance / duration, 1) ** 2
    return np.asarray(-star.amplitude * ingress * limb_darkening)


def _eclipses(star: Parameters, time: Floats) -> Floats:
    phase = ((time - star.epoch) / star.period) % 1
    width = 0.025 + 0.05 / star.period
    primary = np.minimum(phase, 1 - phase)
    secondary = np.abs(phase - 0.5)
    depth = np.exp(-((primary / width) ** 2.6)) + star.shape * np.exp(-((secondary / width) ** 2.6))
    tides = 0.06 / star.period * np.cos(4 * np.pi * phase)
    return -star.amplitude * (depth + tides)


def _pulsations(star: Parameters, time: Floats) -> Floats:
    angle = 2 * np.pi * (time - star.epoch) / star.period
    sawtooth = sum(
        star.shape ** (order - 1) / order * np.sin(order * angle) for order in range(1, 5)
    )
    # The first overtone of radial pulsation has 0.77 times the period of the fundamental mode.
    overtone = (1 - star.shape) * 0.6 * np.sin(angle / 0.77)
    return np.asarray(star.amplitude * (sawtooth + overtone))


def _flares(star: Parameters, time: Floats) -> Floats:
    # One flare in every `period` days. A flare's number seeds its time and size, so that all
    # pipelines and sectors see the same ones.
    generator = np.random.Generator(np.random.PCG64(star.seed))
    offset, size = generator.random((2, 1 + int(4000 / star.period)))
    current = ((time - star.epoch) / star.period).astype(int)
    flux = np.zeros_like(time)
    for number in (current - 1, current):
        age = time - star.epoch - (number + offset[number]) * star.period
        rise = np.exp(-((np.minimum(age, 0) / 0.008) ** 2))
        decay = 0.7 * np.exp(-np.maximum(age, 0) / 0.02) + 0.3 * np.exp(-np.maximum(age, 0) / 0.1)
        flux += star.amplitude * size[number] ** 3 * rise * decay
    return flux


def _spots(star: Parameters, time: Floats) -> Floats:
    angle = 2 * np.pi * (time - star.epoch) / star.period
    evolution = 1 + 0.3 * np.sin(angle / 11)
    return star.amplitude * evolution * (np.sin(angle) + 0.4 * np.sin(2 * angle + 6 * star.shape))


@dataclass(frozen=True)
class Kind:
    """One class of variable stars.

    Attributes
    ----------
    name
        What its stars are called.
    share
        Share of all stars.
    mass
        Typical mass of such a star, solar masses.
    periods, amplitudes, shapes
        Ranges of the parameters: days, relative flux, and a number whose meaning is the model's.
    model
        Gives the relative flux minus 1.
    slow
        Whether detrending removes it.
    """

    name: str
    share: float
    mass: float
    periods: tuple[float, float]
    amplitudes: tuple[float, float]
    shapes: tuple[float, float]
    model: Callable[[Parameters, Floats], Floats]
    slow: bool = False


KINDS = (
    Kind("quiet", 0.44, 0.9, (1, 2), (1e-9, 2e-9), (0, 1), _quiet),
    Kind("transits", 0.14, 0.9, (1.2, 14), (0.002, 0.02), (0, 1), _transits),
    Kind("eclipsing binary", 0.12, 1.2, (0.5, 9), (0.05, 0.45), (0.1, 0.9), _eclipses),
    Kind("pulsator", 0.12, 1.7, (0.12, 0.7), (0.005, 0.15), (0, 0.8), _pulsations),
    Kind("flare star", 0.07, 0.3, (0.6, 3), (0.1, 1.5), (0, 1), _flares),
    Kind("spotted star", 0.11, 0.8, (2, 15), (0.004, 0.03), (0, 1), _spots, slow=True),
)
