"""How far recognisers agree: the main evidence for the quality of a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from rapidfuzz.distance import Levenshtein


def similarity(a: Sequence[str], b: Sequence[str]) -> float:
    """1 - edit distance / length of the longer; 1 for two empty texts.

    >>> similarity(["今", "天", "好"], ["今", "天", "很", "好"])
    0.75
    """
    longer = max(len(a), len(b))
    return 1.0 - Levenshtein.distance(a, b) / longer if longer else 1.0


def agreement(systems: Sequence[Sequence[str]]) -> float | None:
    """Mean similarity over all pairs; None with fewer than two systems."""
    pairs = [similarity(a, b) for a, b in combinations(systems, 2)]
    return math.fsum(pairs) / len(pairs) if pairs else None
