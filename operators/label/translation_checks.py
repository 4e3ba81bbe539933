"""Plausibility checks of a translation: length, language, repetition. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from pydantic import Field

from voxmill.manifests.config_base import Settings

Detect = Callable[[str], tuple[str, float]]
"""text -> (language, probability)"""

HAN = 2.5
"""Letters that one Han character counts for."""


class GateConfig(Settings):
    """Thresholds that a translation must meet; equality passes."""

    length_ratio: tuple[float, float] = (0.4, 2.5)
    """Least and greatest ratio of the lengths of translation and text (letters; Han characters count 2.5)."""
    min_language: float = Field(default=0.5, ge=0.0, le=1.0)
    """Where the translation is in another language than asked for with at least this probability, it is refused."""
    min_chars: int = Field(default=16, ge=0)
    """The language of shorter translations is not checked (characters)."""
    max_compression: float = Field(default=2.4, gt=0.0)
    """Largest ratio of text to zlib output (bytes): a loop compresses well."""
    max_repeats: int = Field(default=3, ge=1)
    """Most repetitions of one word in a row."""


def refusal(source: str, translation: str, target: str, detect: Detect, config: GateConfig) -> str | None:
    """The reason for which a text is no translation into `target`, or None."""
    low, high = config.length_ratio
    if not low <= length(translation) / max(1.0, length(source)) <= high:
        return "label.translation_length"
    raw = translation.encode()
    if len(raw) / len(zlib.compress(raw)) > config.max_compression or repeats(translation) > config.max_repeats:
        return "label.translation_repetition"
    if len(translation) >= config.min_chars:
        language, sure = detect(translation)
        if language != target and sure >= config.min_language:
            return "label.translation_language"
    return None


def length(text: str) -> float:
    """Number of letters and digits; Han characters count `HAN` each.

    >>> length("hi, there"), length("你好")
    (7.0, 5.0)
    """
    return float(sum(HAN if "\u4e00" <= c <= "\u9fff" else 1.0 for c in text if c.isalnum()))


def repeats(text: str) -> int:
    """The most repetitions of one word (or, without spaces, one character) in a row.

    >>> repeats("no no no way"), repeats("哈哈哈哈")
    (3, 4)
    """
    words = text.lower().split()
    units = words if len(words) > 1 else list(text)
    longest = run = 0
    for before, unit in zip([None, *units], units, strict=False):
        run = run + 1 if unit == before else 1
        longest = max(longest, run)
    return longest
