"""Whether a translation can be one: its length, its language, and that it does not turn in a circle. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from pydantic import Field

from voxmill.manifests.config_base import Settings

Detect = Callable[[str], tuple[str, float]]
"""text -> (language, probability)"""

HAN = 2.5
"""A Han character says about as much as this many letters."""


class GateConfig(Settings):
    """What a translation must hold; thresholds that are met pass."""

    length_ratio: tuple[float, float] = (0.4, 2.5)
    """Least and greatest length of the translation, for a text of length 1 (letters; Han characters count 2.5)."""
    min_language: float = Field(default=0.5, ge=0.0, le=1.0)
    """Where the translation is in another language than asked for with at least this probability, it is refused."""
    min_chars: int = Field(default=16, ge=0)
    """Shorter translations are in no language that could be told."""
    max_compression: float = Field(default=2.4, gt=0.0)
    """Largest ratio of text to zlib output (bytes): a loop compresses well."""
    max_repeats: int = Field(default=3, ge=1)
    """Most times that one word may follow upon itself."""


def refuse(source: str, translation: str, target: str, detect: Detect, config: GateConfig) -> str | None:
    """The name of the reason why this is no translation into `target`; None where it may be one."""
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
    """Letters and digits, as if all were Latin.

    >>> length("hi, there"), length("你好")
    (7.0, 5.0)
    """
    return float(sum(HAN if "\u4e00" <= c <= "\u9fff" else 1.0 for c in text if c.isalnum()))


def repeats(text: str) -> int:
    """The most times that one word (or, without spaces, one character) follows upon itself.

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
