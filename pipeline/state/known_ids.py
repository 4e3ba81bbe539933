"""Which ids a run has seen: 8 bytes each, because a run may list many millions of items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


class KnownIds:
    """The given ids, and those that are added later."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._given = np.sort(np.fromiter(map(_short, ids), np.uint64))
        self._added: set[int] = set()

    def add(self, ident: str) -> bool:
        """Adds an id. Returns whether it was not known before."""
        short = _short(ident)
        if short in self._added:
            return False
        place = int(np.searchsorted(self._given, np.uint64(short)))
        if place < len(self._given) and int(self._given[place]) == short:
            return False
        self._added.add(short)
        return True


def _short(ident: str) -> int:
    """64 bits of an id: enough to know it again."""
    return int.from_bytes(hashlib.sha256(ident.encode()).digest()[:8], "big")
