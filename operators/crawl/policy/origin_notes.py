"""Facts about origins that are learned once: known to this process for a while, and to all workers through the gate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voxmill.operators.crawl.policy.host_limit import HostGate

KEEP_SECONDS = 60.0
"""How long a fact is used here before the gate is asked for it again (s)."""

KEEP_SIZE = 16 * 1024 * 1024
"""Characters of facts that are kept here; the oldest are given up."""


class OriginNotes:
    """`get` may be called by any number of threads; what nobody knows is fetched by one of them, and the others wait for it."""

    def __init__(self, gate: HostGate, clock: Callable[[], float]) -> None:
        self._gate, self._clock = gate, clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, float]] = {}
        self._size = 0
        self._busy: dict[str, tuple[threading.Lock, int]] = {}
        """A lock for each fact that is being learned, and how many threads hold or want it."""

    def get(self, origin: str, name: str, fetch: Callable[[], tuple[str, float]]) -> str:
        """The fact `name` about an origin. Where nobody knows it, that of `fetch()`, which also says for how many seconds it holds."""
        key = f"{name} {origin}"
        if (known := self._known(key)) is not None:
            return known
        with self._alone(key):
            if (known := self._known(key)) is not None:
                return known
            value = self._gate.recall(origin, name)
            if value is None:
                value, seconds = fetch()
                self._gate.remember(origin, name, value, seconds)
            self._keep(key, value)
            return value

    def _known(self, key: str) -> str | None:
        with self._lock:
            value, until = self._kept.get(key, ("", 0.0))
            return value if until > self._clock() else None

    def _keep(self, key: str, value: str) -> None:
        with self._lock:
            self._size += len(value) - len(self._kept.pop(key, ("", 0.0))[0])
            self._kept[key] = value, self._clock() + KEEP_SECONDS
            while self._size > KEEP_SIZE and len(self._kept) > 1:
                self._size -= len(self._kept.pop(next(iter(self._kept)))[0])

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """One thread at a time for each key."""
        with self._lock:
            lock, wanted = self._busy.get(key, (threading.Lock(), 0))
            self._busy[key] = lock, wanted + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, wanted = self._busy.pop(key)
                if wanted > 1:
                    self._busy[key] = lock, wanted - 1
