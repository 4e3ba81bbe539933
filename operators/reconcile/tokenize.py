"""Units of comparison: characters in scripts written without spaces, words elsewhere, both in mixed text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import regex

Unit = Literal["char", "word", "mixed"]

CHINESE = frozenset({"zh", "yue", "wuu", "nan", "hak", "gan", "hsn", "cdo"})
"""Languages written in Han characters, as primary subtags."""

UNSPACED = r"\p{Han}\p{Hangul}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that put no space between words, for use inside a character class: one character, one unit."""

_UNIT = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[^\s{UNSPACED}]+")
_START = regex.compile(rf"[{UNSPACED}]")


def units(text: str) -> list[str]:
    """The units of a text: characters in scripts written without spaces, words elsewhere.

    >>> units("我有iphone 十五")
    ['我', '有', 'iphone', '十', '五']
    """
    return list(_UNIT.findall(text))


def unspaced(text: str) -> bool:
    """Whether a text begins in a script written without spaces.

    >>> unspaced("好"), unspaced("ok")
    (True, False)
    """
    return _START.match(text) is not None


def join(words: Iterable[str]) -> str:
    """The text of units; `units(join(x)) == x`.

    >>> join(["我", "有", "iphone", "pro", "十", "五"])
    '我有iphone pro十五'
    """
    text, spaced = "", False
    for word in words:
        now = not unspaced(word)
        text += f" {word}" if now and spaced else word
        spaced = now
    return text


def kind(sequences: Iterable[Sequence[str]], language: str | None) -> Unit:
    """The kind of units in the sequences; where there are none, that of the language.

    >>> kind([["好"], ["ok"]], "zh"), kind([[], []], "zh"), kind([["ok"]], None)
    ('mixed', 'char', 'word')
    """
    found = {unspaced(unit) for sequence in sequences for unit in sequence}
    if len(found) == 2:
        return "mixed"
    return "char" if True in found or (not found and language in CHINESE) else "word"
