"""Chooses among the readings of written text (`1871`, `&`, `Dr.`) those that the compared texts share.

A text is a sequence of pieces. A piece is a word, or the readings of one written form, the usual one first. Nothing is merged into
a common form: `21` has no reading `two one`, so the two stay apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

from rapidfuzz.distance import Levenshtein

Reading: TypeAlias = tuple[str, ...]
Piece: TypeAlias = "str | tuple[Reading, ...]"
_Edge: TypeAlias = "tuple[int, int, str | None, int]"

DISTANCE = 1 << 20
"""Cost of one differing word: it outweighs every preference among readings."""
WINDOW = 100_000
"""Most pairs of words compared between two anchor words; beyond it (a recogniser's loop) readings stay the usual ones."""
LONG = 7
"""Least letters of a word that equals its parts written apart: `ice cream`, but not `may be`."""


def usual_reading(pieces: Iterable[Piece]) -> Reading:
    """The text in its usual reading.

    >>> usual_reading(["in", (("eighteen", "seventy", "one"), ("one", "eight", "seven", "one"))])
    ('in', 'eighteen', 'seventy', 'one')
    """
    found: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            found.append(piece)
        else:
            found.extend(piece[0])
    return tuple(found)


def readings(*given: Iterable[str]) -> Piece:
    """A piece of one or more readings, each once; a plain word where there is a single reading of one word."""
    found = tuple(dict.fromkeys(tuple(one) for one in given))
    return found[0][0] if len(found) == 1 and len(found[0]) == 1 else found


def shared_readings(texts: Sequence[Sequence[Piece]]) -> list[Reading]:
    """One reading per text, such that the texts differ in as few words as possible; independent of their order.

    With more than two, the text with the fewest choices is fixed first; each other one follows the fixed text closest to it.
    """
    found = [usual_reading(text) for text in texts]
    if len(set(found)) < 2:
        return found
    if not any(map(_open, texts)) and not _apart(found):
        return found
    keys = [tuple(text) for text in texts]
    distinct = sorted(set(keys), key=lambda key: (sum(not isinstance(piece, str) for piece in key), repr(key)))
    settled: dict[tuple[Piece, ...], Reading] = {}
    for key in distinct:
        if not settled and len(distinct) > 1:
            settled[key] = closest_readings(key, distinct[1])[0] if _open(key) else usual_reading(key)
            continue
        tries = [closest_readings(key, other)[::2] for other in dict.fromkeys(settled.values())]
        settled[key] = min(tries, key=lambda one: one[1])[0]
    return [settled[key] for key in keys]


def closest_readings(a: Sequence[Piece], b: Sequence[Piece]) -> tuple[Reading, Reading, int]:
    """The readings of two texts that differ least, and in how many words; never more than their usual readings do."""
    start, end = _same_ends(a, b)
    head, tail = usual_reading(a[:start]), usual_reading(a[len(a) - end :])
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    one, two = usual_reading(a), usual_reading(b)
    distance = _cost(one, two)
    a, b = _joined(a, b), _joined(b, a)
    if distance and (_open(a) or _open(b)):
        a, b = _possible(a, b), _possible(b, a)
        parts = [_cheapest(mine, other) for mine, other in _windows(a, b)]
        left, right = tuple(chain(*(part[0] for part in parts))), tuple(chain(*(part[1] for part in parts)))
        if (cost := _cost(left, right)) < distance:
            one, two, distance = left, right, cost
    return head + one + tail, head + two + tail, distance


def _open(pieces: Iterable[Piece]) -> bool:
    return any(not isinstance(piece, str) for piece in pieces)


def _cost(a: Sequence[str], b: Sequence[str]) -> int:
    return Levenshtein.distance(a, b)


def _same_ends(a: Sequence[Piece], b: Sequence[Piece]) -> tuple[int, int]:
    """How many plain words both texts share at the start and at the end."""
    most = min(len(a), len(b))
    start = 0
    while start < most and a[start] == b[start] and isinstance(a[start], str):
        start += 1
    end = 0
    while end < most - start and a[-1 - end] == b[-1 - end] and isinstance(a[-1 - end], str):
        end += 1
    return start, end


def _joined(pieces: Sequence[Piece], other: Sequence[Piece]) -> Sequence[Piece]:
    """Adds the split reading to words that the other text writes apart (`icecream`, `email`)."""
    here = {piece for piece in pieces if isinstance(piece, str) and len(piece) > 4}
    if not here:
        return pieces
    apart: dict[str, Reading] = {}
    words = [piece if isinstance(piece, str) else "" for piece in other]
    for k in range(len(words) - 1):
        for many in (2, 3):
            parts = tuple(words[k : k + many])
            whole = "".join(parts)
            if whole in here and len(parts) == many and all(parts) and _one_word(parts, whole):
                apart[whole] = parts
    if not apart:
        return pieces
    return [((piece,), apart[piece]) if isinstance(piece, str) and piece in apart else piece for piece in pieces]


def _apart(texts: Sequence[Reading]) -> bool:
    """Whether a text may write as one word what another writes as several; a quick test that is mostly false."""
    sets: list[set[str]] = [set(text) for text in texts]
    odd = {word for word in sets[0].union(*sets) - sets[0].intersection(*sets) if len(word) > 4}
    return bool(odd) and any(
        a + b in odd or a + b + c in odd
        for text in texts
        for a, b, c in zip(text, (*text[1:], ""), (*text[2:], "", ""), strict=False)
    )


def _one_word(parts: Reading, whole: str) -> bool:
    if len(parts) == 2 and len(parts[0]) == 1:
        return parts[0] not in "ai"  # `a way`, `i deal`
    return len(whole) >= LONG and min(map(len, parts)) > 1


def _possible(pieces: Sequence[Piece], other: Sequence[Piece]) -> list[Piece]:
    """Drops readings with a word that the other text cannot have; the usual one stays."""
    words = {word for piece in other for word in ((piece,) if isinstance(piece, str) else chain(*piece))}
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str):
            found.append(piece)
        else:
            found.append(tuple(reading for k, reading in enumerate(piece) if not k or words.issuperset(reading)))
    return found


def _windows(a: Sequence[Piece], b: Sequence[Piece]) -> Iterable[tuple[Sequence[Piece], Sequence[Piece]]]:
    """Cuts both texts at words that occur once in each, so that the compared graphs are small."""
    places = _once(b)
    anchors = _increasing([(k, places[word]) for word, k in _once(a).items() if word in places])
    found = []
    x = y = 0
    for k, place in [*anchors, (len(a), len(b))]:
        found.append((a[x:k], b[y:place]))
        found.append((a[k : k + 1], b[place : place + 1]))
        x, y = k + 1, place + 1
    return found


def _size(pieces: Iterable[Piece]) -> int:
    return sum(1 if isinstance(piece, str) else sum(map(len, piece)) for piece in pieces)


def _once(pieces: Sequence[Piece]) -> dict[str, int]:
    """Words that the text can hold only once, and where, in order."""
    count = Counter(word for piece in pieces for word in ((piece,) if isinstance(piece, str) else set(chain(*piece))))
    return {piece: k for k, piece in enumerate(pieces) if isinstance(piece, str) and count[piece] == 1}


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs, in order of the first, in which the second rises too."""
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for k, (_, place) in enumerate(pairs):
        where = bisect_left(tails, place)
        tails[where : where + 1] = [place]
        at[where : where + 1] = [k]
        before.append(at[where - 1] if where else -1)
    found = []
    k = at[-1] if at else -1
    while k >= 0:
        found.append(pairs[k])
        k = before[k]
    return found[::-1]


def _graph(pieces: Sequence[Piece]) -> tuple[int, list[_Edge]]:
    """Nodes in topological order, and edges `(from, to, word, preference)` by the node they lead to."""
    edges: list[_Edge] = []
    node = 0
    for piece in pieces:
        if isinstance(piece, str):
            edges.append((node, node + 1, piece, 0))
            node += 1
            continue
        last = node + 1 + sum(max(len(reading) - 1, 0) for reading in piece)
        inner = node
        for rank, reading in enumerate(piece):
            at = node
            for word in reading[:-1]:
                inner += 1
                edges.append((at, inner, word, rank if at == node else 0))
                at = inner
            edges.append((at, last, reading[-1] if reading else None, rank if at == node else 0))
        node = last
    return node, sorted(edges, key=lambda edge: edge[1])


def _cheapest(a: Sequence[Piece], b: Sequence[Piece]) -> tuple[Reading, Reading, int]:
    """Edit distance between two word graphs, and a path through each that has it."""
    if (not _open(a) and not _open(b)) or _size(a) * _size(b) > WINDOW:
        return usual_reading(a), usual_reading(b), _cost(usual_reading(a), usual_reading(b))
    rows, left = _graph(a)
    columns, right = _graph(b)
    into: list[list[_Edge]] = [[] for _ in range(columns + 1)]
    for edge in right:
        into[edge[1]].append(edge)
    above: list[list[_Edge]] = [[] for _ in range(rows + 1)]
    for edge in left:
        above[edge[1]].append(edge)
    cost = [[0] * (columns + 1) for _ in range(rows + 1)]
    back: dict[tuple[int, int], tuple[_Edge | None, _Edge | None]] = {}
    for u in range(rows + 1):
        for v in range(columns + 1):
            if not u and not v:
                continue
            best, step = -1, (None, None)
            for up in above[u]:
                here = cost[up[0]][v] + up[3] + (DISTANCE if up[2] is not None else 0)
                if best < 0 or here < best:
                    best, step = here, (up, None)  # type: ignore[assignment]
                for side in into[v]:
                    if up[2] is None or side[2] is None:
                        continue
                    here = cost[up[0]][side[0]] + up[3] + side[3] + (DISTANCE if up[2] != side[2] else 0)
                    if here <= best:
                        best, step = here, (up, side)  # type: ignore[assignment]
            for side in into[v]:
                here = cost[u][side[0]] + side[3] + (DISTANCE if side[2] is not None else 0)
                if best < 0 or here < best:
                    best, step = here, (None, side)  # type: ignore[assignment]
            cost[u][v], back[u, v] = best, step
    one: list[str] = []
    two: list[str] = []
    u, v = rows, columns
    while u or v:
        up_, side_ = back[u, v]
        if up_ is not None:
            u = up_[0]
            if up_[2] is not None:
                one.append(up_[2])
        if side_ is not None:
            v = side_[0]
            if side_[2] is not None:
                two.append(side_[2])
    return tuple(reversed(one)), tuple(reversed(two)), cost[rows][columns] // DISTANCE
