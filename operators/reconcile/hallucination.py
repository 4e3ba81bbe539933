"""Signs of hallucinated text: loops, high compression, more characters per second than speech can have."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RepeatedRun:
    """An n-gram of `size` units repeated `times` times in a row, from unit `start` on."""

    size: int
    times: int
    start: int


def repeated_run(units: Sequence[str], shortest: int = 2, longest: int = 10) -> RepeatedRun:
    """The longest run of one n-gram, `shortest` <= n <= `longest`; at equal length the shortest n-gram, then the first.

    From pairs on by default: single words are repeated for emphasis (对对对), and a loop of one word is also one of pairs.

    >>> repeated_run("thank you thank you thank you bye".split())
    RepeatedRun(size=2, times=3, start=0)
    """
    best = RepeatedRun(0, 1 if units else 0, 0)
    if len(set(units)) == len(units):
        return best
    for size in range(shortest, min(longest, len(units) // 2) + 1):
        same = 0  # length of the current stretch in which each unit equals the one `size` before it
        for i in range(size, len(units)):
            same = same + 1 if units[i] == units[i - size] else 0
            if same // size + 1 > best.times:
                best = RepeatedRun(size, same // size + 1, i - same - size + 1)
    return best


def compression_ratio(text: str) -> float:
    """Bytes of UTF-8 per byte of zlib output, as Whisper measures it; 0 for an empty text."""
    blob = text.encode()
    return len(blob) / len(zlib.compress(blob)) if blob else 0.0


def chars_per_second(units: Sequence[str], seconds: float) -> float:
    """Characters of the normalised text, without spaces, per second of audio."""
    return sum(map(len, units)) / seconds if seconds > 0 else 0.0
