"""Joins the pieces (characters or words) and millisecond times that FunASR recognisers return. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Span, TimedWord

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Han and kana: scripts that put no space between words."""


def unspaced(character: str) -> bool:
    """Whether a character is of a script that puts no space between words.

    >>> unspaced("语"), unspaced("x")
    (True, False)
    """
    return bool(_UNSPACED.match(character))


def joined(pieces: Sequence[str]) -> str:
    """Text of pieces: a space between two words, none beside a Han character or kana.

    >>> joined(["我", "用", "smart", "phone", "打", "电", "话"])
    '我用smart phone打电话'
    """
    text = ""
    for piece in pieces:
        text += piece if not text or unspaced(text[-1]) or unspaced(piece[:1]) else f" {piece}"
    return text


def timed(pieces: Sequence[str], milliseconds: Sequence[Sequence[int]] | None, span: Span) -> tuple[TimedWord, ...] | None:
    """Pieces with times relative to the clip, those of FunASR counting from the start of `span`; None where numbers differ."""
    if milliseconds is None or len(pieces) != len(milliseconds):
        return None
    words = []
    for piece, (first, last) in zip(pieces, milliseconds, strict=True):
        start, end = (min(span.start + time * SAMPLE_RATE // 1000, span.end) for time in (max(first, 0), max(last, 0)))
        words.append(TimedWord(piece, start, max(start, end)))
    return tuple(words)
