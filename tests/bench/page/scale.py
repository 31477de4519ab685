"""From values to places: axes and the figures that stand at them."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10


def steps(top: float, wanted: int = 5) -> list[float]:
    """Round values from 0 up, of which the last is `top` or a little more."""
    rough = top / wanted if top > 0 else 1.0
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    count = 1
    while count * step < top * 0.999:
        count += 1
    return [step * n for n in range(count + 1)]


class LogScale:
    """Places between left and right for values of 0 and more, a factor of ten always as wide; 0 stands left of all."""

    def __init__(self, values: Iterable[float], left: float, right: float) -> None:
        found = sorted(set(values))
        positive = [log10(value) for value in found if value > 0] or [0.0]
        self._first = positive[0] - (1 if found and found[0] <= 0 else 0)
        width = positive[-1] - self._first
        self._left, self._unit = left, (right - left) / width if width else 0.0

    def __call__(self, value: float) -> float:
        exponent = log10(value) if value > 0 else self._first
        return self._left + (exponent - self._first) * self._unit
