"""`LocalGate`: whose turn it is, for the whole run; asked before every request, so that rate limits hold across all workers.

Per host it keeps the rate, the requests in flight, Retry-After and a circuit breaker (`host_state.py`); over all hosts, the byte budget and
what origins say of themselves (robots.txt). A host is forgotten once nothing of it matters any more, so that a crawl of millions of hosts
holds those of the last minutes. In a cluster one actor holds the `LocalGate`; workers reach it through a handle (`HostGate`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from voxmill.operators.crawl.policy.host_limit import Ask, GateAnswer, GateMessage, GateReply, GateSettings, Place, Refused
from voxmill.operators.crawl.policy.host_state import HostState

SWEEP_SECONDS = 30.0
"""How often hosts and notes that no longer matter are forgotten (s)."""

NOTES_HELD = 64 * 1024 * 1024
NOTES_SAVED = 1024 * 1024
"""Characters of notes about origins that are held in memory, and saved with the run: the newest ones. An origin whose note is gone is asked
for its robots.txt once more."""


def steady_clock() -> Callable[[], float]:
    """A clock in seconds since the epoch that later changes of the system time do not move."""
    begun, since = time.time(), time.monotonic()
    return lambda: begun + (time.monotonic() - since)


class LocalGate:
    """The gate of one process, for its threads; see `HostGate`. `state()` is what a run saves.

    It refuses to be pickled: a copy would use the whole rate again.
    """

    def __init__(
        self, rules: GateSettings, state: Mapping[str, Any] | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self.rules = rules
        self._clock = clock or steady_clock()
        self._lock = threading.Lock()
        saved, now = state or {}, self._clock()
        # Saved by a clock ahead of ours: take it that no time has passed since, and keep all waits.
        back = max(0.0, saved.get("saved_at", now) - now)
        hosts = saved.get("hosts", {})
        self._hosts = {host: HostState.restored(known, now, back, rules) for host, known in hosts.items()}
        self._notes: dict[str, tuple[str, float]] = {}
        self._notes_size = 0
        for key, (value, expiry) in saved.get("notes", {}).items():
            self._note(key, value, expiry - back)
        before = sum(known.get("num_bytes", 0) for known in hosts.values())  # where versions before 2 kept it
        self._num_bytes: int = saved.get("num_bytes", before)
        self._num_leases = 0
        self._changed_at = self._swept_at = now

    def exchange(self, message: GateMessage) -> GateReply:
        """See `HostGate.exchange`."""
        with self._lock:
            now = self._now()
            for begun in message.begun:
                self._put(begun.host, self._host(begun.host).begin(now, self.rules, begun.lease, begun.ago))
            for ended in message.ended:
                self._num_bytes += ended.num_bytes
                state = self._host(ended.host).release(now, self.rules, ended.lease, ended.begun_ago)
                self._put(ended.host, state)
            for host in message.fine:
                self._put(host, self._host(host).report(now, self.rules, 200, None, None))
            lost = tuple(place for place in message.held if not self._renew(now, place))
            return GateReply(tuple(self._answer(now, ask) for ask in message.asks), lost)

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        """See `HostGate.report`."""
        with self._lock:
            now = self._now()
            state = self._host(host).report(now, self.rules, status, retry_after, bot_page)
            self._put(host, state)
            return state.refusal(now, self.rules)

    def recall(self, origin: str, name: str) -> str | None:
        """See `HostGate.recall`."""
        with self._lock:
            value, expiry = self._notes.get(f"{name} {origin}", ("", 0.0))
            return value if expiry > self._clock() else None

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        """See `HostGate.remember`."""
        with self._lock:
            self._note(f"{name} {origin}", value, self._now() + seconds)

    def state(self) -> dict[str, Any]:
        """The whole state as JSON types. `LocalGate(rules, gate.state())` continues from it."""
        with self._lock:
            # As of the last change, so that an unchanged gate saves the same text.
            then = self._changed_at
            hosts = {host: s.saved() for host, s in sorted(self._hosts.items()) if not s.forgettable(then, self.rules)}
            notes, size = dict[str, list[Any]](), 0
            for key, (value, expiry) in reversed(self._notes.items()):
                size += len(value)
                if size > NOTES_SAVED:
                    break
                if expiry > then:
                    notes[key] = [value, expiry]
            notes = dict(sorted(notes.items()))
            return {"hosts": hosts, "notes": notes, "num_bytes": self._num_bytes, "saved_at": then}

    @property
    def num_known(self) -> int:
        """Hosts and notes that are held in memory."""
        with self._lock:
            return len(self._hosts) + len(self._notes)

    @property
    def num_held(self) -> int:
        """Places at hosts that are held now."""
        with self._lock:
            return sum(len(state.at(self._clock(), self.rules).leases) for state in self._hosts.values())

    def _answer(self, now: float, ask: Ask) -> GateAnswer:
        if self.rules.byte_budget is not None and self._num_bytes >= self.rules.byte_budget:
            return Refused("crawl.budget", f"{self._num_bytes} of {self.rules.byte_budget} bytes")
        lease = str(self._num_leases)
        state, answer = self._host(ask.host).acquire(now, self.rules, ask, lease)
        self._num_leases += lease in state.leases
        self._put(ask.host, state)
        return answer

    def _renew(self, now: float, place: Place) -> bool:
        host, lease = place
        state = self._host(host).renew(now, self.rules, lease)
        if lease not in state.leases:
            return False
        self._put(host, state)
        return True

    def _host(self, host: str) -> HostState:
        return self._hosts.get(host, HostState())

    def _put(self, host: str, state: HostState) -> None:
        self._hosts[host] = state

    def _note(self, key: str, value: str, expiry: float) -> None:
        self._forget(key)
        self._notes[key] = value, expiry
        self._notes_size += len(value)
        while self._notes_size > NOTES_HELD and len(self._notes) > 1:
            self._forget(next(iter(self._notes)))

    def _forget(self, key: str) -> None:
        self._notes_size -= len(self._notes.pop(key, ("", 0.0))[0])

    def _now(self) -> float:
        """The time of a change; now and then what no longer matters is forgotten."""
        now = self._changed_at = self._clock()
        if now >= self._swept_at + SWEEP_SECONDS:
            self._swept_at = now
            self._hosts = {host: s for host, s in self._hosts.items() if not s.forgettable(now, self.rules)}
            for key in [key for key, note in self._notes.items() if note[1] <= now]:
                self._forget(key)
        return now

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a LocalGate stays in its process; hand a worker something that asks this one")
