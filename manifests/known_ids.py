"""Which ids a run has seen: 8 bytes each, because a run may list many millions of items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

FRESH = 1 << 20
"""Ids that are added before they join the sorted ones: in a set each takes ten times as much."""


class KnownIds:
    """The given ids, and those that are added later."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._sorted = np.sort(np.fromiter(map(_short, ids), np.uint64))
        self._fresh: set[int] = set()

    def add(self, ident: str) -> bool:
        """Adds an id. Returns whether it was not known before."""
        short = _short(ident)
        if short in self._fresh:
            return False
        place = int(np.searchsorted(self._sorted, np.uint64(short)))
        if place < len(self._sorted) and int(self._sorted[place]) == short:
            return False
        self._fresh.add(short)
        if len(self._fresh) >= FRESH:
            fresh = np.fromiter(self._fresh, np.uint64, len(self._fresh))
            self._sorted, self._fresh = np.sort(np.concatenate([self._sorted, fresh])), set()
        return True


def _short(ident: str) -> int:
    """64 bits of an id: enough to know it again."""
    return int.from_bytes(hashlib.sha256(ident.encode()).digest()[:8], "big")
