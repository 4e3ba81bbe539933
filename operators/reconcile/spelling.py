"""From compared units back to the text they came from, with its case, punctuation and spaces.

A text is cut into tokens that join to the text. Tokens and units are aligned; where one token became several units (`don't`) or
several tokens one unit (`twenty five`), they form a group, which is only taken whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import regex
from rapidfuzz.distance import Indel

from voxmill.operators.reconcile.normalise import fold
from voxmill.operators.reconcile.tokenize import UNSPACED, unspaced

_TOKEN = regex.compile(rf"\s*[\p{{P}}\p{{S}}]*[{UNSPACED}]\p{{M}}*[\p{{P}}\p{{S}}]*|\s*[^\s{UNSPACED}]+|\s+")

_HANGUL = regex.compile(r"\p{Hangul}")
"""Korean is compared by syllable, since it is spaced freely, but it is written with spaces."""


@dataclass(slots=True)
class Group:
    """Tokens `[first_token, last_token)` correspond to units `[first, last)`."""

    first_token: int
    last_token: int
    first: int
    last: int


def tokens(text: str) -> list[str]:
    """Words and characters with the space before and the punctuation beside them; joined, they are the text.

    >>> tokens("Hello, 世界！ ok")
    ['Hello,', ' 世', '界！', ' ok']
    """
    return list(_TOKEN.findall(text))


def groups(pieces: Sequence[str], units: Sequence[str]) -> list[Group]:
    """Lays pieces of raw text beside its normalised units: both in order and without gaps, at least one unit in each group.

    Pieces that say nothing (fillers, brackets, lone punctuation) belong to the group before them, or to the first.
    """
    found: list[Group] = []

    def unequal(a: int, b: int, c: int, d: int) -> None:
        if b - a == d - c:
            found.extend(Group(a + k, a + k + 1, c + k, c + k + 1) for k in range(b - a))
        elif a < b and c < d:
            found.append(Group(a, b, c, d))
        elif found:
            found[-1].last_token, found[-1].last = b, d

    token = unit = 0
    for same in Indel.opcodes([fold(piece) for piece in pieces], units):
        if same.tag == "equal":
            unequal(token, same.src_start, unit, same.dest_start)
            token, unit = same.src_end, same.dest_end
            unequal(same.src_start, token, same.dest_start, unit)
    unequal(token, len(pieces), unit, len(units))
    if found:
        found[0].first_token = found[0].first = 0
    return found


@dataclass(frozen=True, slots=True)
class Spelling:
    """One engine's text, ready to be quoted by unit."""

    text: str
    units: tuple[str, ...]
    tokens: tuple[str, ...]
    groups: dict[int, Group]
    """By first unit."""

    @classmethod
    def of(cls, text: str, units: Sequence[str]) -> Spelling:
        """The spelling of a text and its normalised units."""
        pieces = tokens(text)
        return cls(text, tuple(units), tuple(pieces), {group.first: group for group in groups(pieces, units)})


def quote(spellings: Sequence[Spelling], chosen: Iterable[tuple[int, int]]) -> str:
    """The text of chosen units `(engine, unit)`, as those engines wrote them.

    A group that is not chosen whole is written as its normalised units. Consecutive units of one engine keep its spaces.
    """
    todo = list(chosen)
    text, before = "", ""
    after: tuple[int, int] | None = None
    while todo:
        engine, unit = todo[0]
        spelling = spellings[engine]
        group = spelling.groups.get(unit)
        if group is not None and todo[: group.last - unit] == [(engine, u) for u in range(unit, group.last)]:
            piece, end = "".join(spelling.tokens[group.first_token : group.last_token]), group.last
        else:
            piece, end, after = spelling.units[unit], unit + 1, None
        if after != (engine, unit):
            both_words = before and not unspaced(before) and not unspaced(spelling.units[unit])
            korean = bool(before) and piece[:1].isspace() and _HANGUL.match(spelling.units[unit]) is not None
            piece = " " * (bool(both_words) or korean) + piece.lstrip()
        text += piece
        before, after = spelling.units[end - 1], (engine, end)
        del todo[: end - unit]
    return text.strip()
