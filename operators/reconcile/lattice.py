"""One merge step of ROVER (Fiscus, 1997): the cheapest alignment of a new word sequence with the network of the earlier ones.

Costs, preference between equal paths and single-precision sums are those of NIST SCTK's `rover`, so that both give the same words.
Two things are ours: costs are kept per slot instead of per word (a slot's least cost is all that its successors need; words are told
apart when tracing back), and only a diagonal band is computed, wide enough for every path that could win.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from rapidfuzz.distance import Levenshtein

Slot: TypeAlias = tuple[str | None, ...]
"""One correspondence set: the word of each system or None, in the order of the systems."""

GAP = 3.0
"""Cost of an inserted word."""
SUBSTITUTION = 4.0
FILL = 1.0
"""Cost of a word in a slot where an earlier system has none."""
SKIP = 0.0010000000474974513
"""Cost of passing over such a slot: 0.001 in single precision."""

_INF = float("inf")
_WEIGHTS = (int(GAP), int(GAP), int(SUBSTITUTION))


def speakers(slot: Slot) -> list[int]:
    """The systems of a slot in order of preference: the one that opened it speaks first, then the others in their order.

    >>> speakers((None, None, "b", "c", None))
    [2, 0, 1, 3, 4]
    """
    opener = next((k for k, word in enumerate(slot) if word is not None), 0)
    return [opener, *range(opener), *range(opener + 1, len(slot))]


def band(network: Sequence[Slot], earlier: Sequence[Sequence[str]], words: Sequence[str]) -> int:
    """How far from the diagonal the cheapest path can stray, in words.

    Each earlier system is one path through the network, so its own distance to the new words bounds the cost from above;
    and a path that strays further holds more words without a partner than that cost pays for.
    """
    bound = min(Levenshtein.distance(path, words, weights=_WEIGHTS) for path in earlier) + SKIP * (len(network) + 1)
    return int(bound / GAP) - max(0, len(words) - len(network))


def _single(value: float, cell: array[float] = array("f", [0.0])) -> float:  # noqa: B008
    """Rounds to single precision."""
    cell[0] = value
    return cell[0]


class Lattice:
    """All alignments of a network with one more sequence, within a diagonal band.

    `rows[s][j]` is the least cost of aligning the first `s` slots with the first `j` words.
    Sums are in single precision, as in SCTK: where paths cost the same, its rounding decides between them.
    (Without null words all costs are small integers, exact in any precision, and lists are faster.)
    """

    def __init__(self, network: Sequence[Slot], words: Sequence[str], band: int) -> None:
        self.network, self.words = network, words
        low, high = min(0, len(words) - len(network)) - band, max(0, len(words) - len(network)) + band
        exact = all(None not in slot for slot in network)
        blank: Any = [_INF] * (len(words) + 1) if exact else array("f", [_INF] * (len(words) + 1))
        above = blank[:]
        for j in range(min(high, len(words)) + 1):
            above[j] = GAP * j
        self.rows = [above]
        for s, slot in enumerate(network, 1):
            here = frozenset(slot)
            miss, skip = (FILL, SKIP) if None in here else (SUBSTITUTION, GAP)
            row = blank[:]
            start = max(1, s + low)
            if start == 1:
                row[0] = above[0] + skip
            left, diagonal = row[start - 1], above[start - 1]
            for j in range(start, min(len(words), s + high) + 1):
                best = diagonal if words[j - 1] in here else diagonal + miss
                diagonal = above[j]
                if diagonal + skip < best:  # noqa: PLR1730  `min` would cost a call per cell
                    best = diagonal + skip
                if left + GAP < best:  # noqa: PLR1730
                    best = left + GAP
                row[j] = best
                left = row[j]  # read back: the array rounds
            self.rows.append(row)
            above = row

    def merged(self, number: int) -> list[Slot]:
        """The network of `number` systems with the new sequence in it, along the cheapest path, followed back from the end.

        A path runs through one arc of each slot, and inserted words hang on that arc: equal costs are decided arc by arc.
        """
        absent: Slot = (None,) * number
        slots: list[Slot] = []
        s, j = len(self.network), len(self.words)
        arc = self._best_arc(s, j)
        while s or j:
            step = self._step(s, j, arc)
            if step != "skip":
                j -= 1
            if step != "insert":
                s -= 1
                arc = self._best_arc(s, j)
            slots.append((*(absent if step == "insert" else self.network[s]), None if step == "skip" else self.words[j]))
        slots.reverse()
        return slots

    def _best_arc(self, s: int, j: int) -> str | None:
        """The first arc of slot `s` through which the cell (s, j) reaches its least cost."""
        if s == 0:
            return None
        slot = self.network[s - 1]
        if len(set(slot)) == 1:
            return slot[0]
        return next(slot[k] for k in speakers(slot) if self._cost(s, j, slot[k]) == self.rows[s][j])

    def _step(self, s: int, j: int, arc: str | None) -> Literal["pair", "skip", "insert"]:
        """How the cheapest path through `arc` enters (s, j): pair before insert before skip where they cost the same."""
        if s == 0:
            return "insert"
        if j == 0:
            return "skip"
        paired, skipped = self._pair(s, j, arc), self._skip(s, j, arc)
        if paired <= skipped and not self._tempts(s, j, paired):
            return "pair"
        inserted = _single(self._cost(s, j - 1, arc) + GAP)
        if paired <= skipped and paired <= inserted:
            return "pair"
        return "skip" if skipped < inserted else "insert"

    def _cost(self, s: int, j: int, arc: str | None) -> float:
        """Least cost of the cell (s, j) when slot `s` is passed through `arc`."""
        start = j
        while start > 0 and self._tempts(s, start, self._entry(s, start, arc)):
            start -= 1
        cost = self._entry(s, start, arc)
        for i in range(start + 1, j + 1):
            cost = min(self._entry(s, i, arc), _single(cost + GAP))
        return cost

    def _tempts(self, s: int, j: int, cost: float) -> bool:
        """Whether an insertion could be as cheap; the slot's least cost bounds that of each arc."""
        return bool(self.rows[s][j - 1] + GAP <= cost + SKIP)

    def _entry(self, s: int, j: int, arc: str | None) -> float:
        skipped = self._skip(s, j, arc)
        return min(self._pair(s, j, arc), skipped) if j else skipped

    def _pair(self, s: int, j: int, arc: str | None) -> float:
        if arc is None:
            return _single(self.rows[s - 1][j - 1] + FILL)
        return _single(self.rows[s - 1][j - 1] + (0.0 if arc == self.words[j - 1] else SUBSTITUTION))

    def _skip(self, s: int, j: int, arc: str | None) -> float:
        return _single(self.rows[s - 1][j] + (SKIP if arc is None else GAP))
