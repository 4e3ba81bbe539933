"""What a stage costs: a fixed part for every unit and a part for every second of audio, fitted to the units of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxmill.pipeline.planning.bootstrap import Array


@dataclass(frozen=True, slots=True)
class CostLine:
    """`unit_s` + `audio_s` * seconds of audio, once for the estimate and once for every resample."""

    unit_s: Array
    """Seconds of work for every unit, however short."""
    audio_s: Array
    """Seconds of work for every second of audio."""

    def of(self, num_units: Array, seconds: Array) -> Array:
        """Seconds of work for so many units with so much audio in all."""
        return np.asarray(self.unit_s * num_units + self.audio_s * seconds)


def fit_cost(weights: Array, seconds: Sequence[float], work_s: Sequence[float]) -> CostLine:
    """Weighted least squares of `work_s` on `seconds`, neither part below 0; one row of `weights` per resample, one column per unit.

    The line reproduces the weighted total that it was fitted to. Where all units are as long as each other nothing tells the two parts
    apart, and all of the cost goes with the audio.
    """
    x, y = np.asarray(seconds, dtype=float), np.asarray(work_s, dtype=float)
    count, sum_x, sum_y = weights.sum(axis=1), weights @ x, weights @ y
    spread = count * (weights @ (x * x)) - sum_x**2
    clear = spread > 1e-6 * np.maximum(sum_x**2, 1e-12)
    slope = np.where(clear, (count * (weights @ (x * y)) - sum_x * sum_y) / np.where(clear, spread, 1.0), 0.0)
    constant = (sum_y - slope * sum_x) / np.where(count > 0, count, 1.0)
    through_zero = ~clear | (constant < 0)
    slope = np.where(through_zero, sum_y / np.where(sum_x > 0, sum_x, 1.0), slope)
    constant = np.where(through_zero & (sum_x > 0), 0.0, constant)
    falling = slope < 0
    constant = np.where(falling, sum_y / np.where(count > 0, count, 1.0), constant)
    return CostLine(constant, np.where(falling, 0.0, slope))


def units_for(hours: Array, weights: npt.NDArray[np.float64], unit_seconds: float, total: int, *, seed: int = 0) -> Array:
    """How many units recordings of these lengths would make, in random order; one figure per row of `weights`.

    A recording longer than a unit makes several of its own; shorter ones are put together, and what room they leave is found by putting
    some together as `state.units.form_units` does.
    """
    seconds = hours * 3600
    long = seconds > unit_seconds
    own = np.where(long, np.ceil(seconds / unit_seconds), 0.0)
    share = np.where(long, 0.0, seconds / unit_seconds)
    if not (weights[0] * seconds).any():
        return np.zeros(len(weights))
    rng = np.random.default_rng(seed)
    rooms = [_room(row, seconds, own, share, unit_seconds, total, rng) for row in weights[: ROOMS + 1]]
    room = (
        np.array([rooms[0], *(rooms[1 + row % (len(rooms) - 1)] for row in range(len(weights) - 1))])
        if len(rooms) > 1
        else rooms[0]
    )
    return np.asarray(weights @ own + room * (weights @ share))


ROOMS = 40
"""Resamples in which short recordings are put together; the others take their results in turn."""


def _room(
    weights: Array, seconds: Array, own: Array, share: Array, unit_seconds: float, total: int, rng: np.random.Generator
) -> float:
    """Units that short recordings make, over those that they would fill without room between them."""
    base = np.clip(weights * (seconds > 0), 0.0, None)
    if base.sum() <= 0:
        return 1.0
    draws = rng.choice(len(seconds), min(2000, max(1, total)), p=base / base.sum())
    filled = float(share[draws].sum())
    return max(1.0, float(num_units(seconds[draws], unit_seconds) - own[draws].sum()) / filled) if filled > 0 else 1.0


def num_units(seconds: Sequence[float] | Array, unit_seconds: float) -> int:
    """Units that recordings of these lengths make in this order.

    >>> num_units([25, 4, 4, 4], 10)
    5
    """
    count, room = 0, 0.0
    for one in seconds:
        if one > unit_seconds:
            count += int(-(-one // unit_seconds))
            room = 0.0
        elif one > room:
            count += 1
            room = unit_seconds - one
        else:
            room -= one
    return count
