"""Whose turn it is: one gate for the whole run, asked before every request, so that rate limits hold across all workers.

Per host it keeps the rate, the requests in flight, Retry-After and a circuit breaker; over all hosts, the byte budget.
`HostState` is the state machine of one host, pure but for the `now` it is given; `LocalGate` keeps one per host behind a lock.
In a cluster one actor holds the `LocalGate`, and every worker has a handle with the same methods.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from pydantic import Field

from voxmill.manifests.config_base import Settings


class GateSettings(Settings):
    """Rate limits and circuit breaker of a host. All durations in seconds."""

    requests_per_second: float = Field(default=1.0, gt=0)
    """Requests a second to one host, over all workers together. robots.txt's Crawl-delay can only lower it."""
    max_in_flight: int = Field(default=2, ge=1)
    """Requests of one host that may run at once."""
    lease_seconds: float = Field(default=600.0, gt=0)
    """After so many seconds a request counts as lost and its place is freed, so that a dead worker does not block a host."""
    breaker_refusals: int = Field(default=2, ge=1)
    """403 or 429 this many times in a row opens the host's breaker."""
    breaker_bot_pages: int = Field(default=1, ge=1)
    """Bot challenges in a row that open the breaker."""
    breaker_seconds: float = Field(default=86_400.0, gt=0)
    """How long a breaker stays open (s). After it one refusal is enough to open it again."""
    cooloff_seconds: float = Field(default=30.0, ge=0)
    """Pause of a host (s) after a 429 that names no Retry-After."""
    max_retry_after: float = Field(default=600.0, ge=0)
    """A host that asks for a longer pause (s), by Retry-After or Crawl-delay, is left alone: its items end as `crawl.blocked` and can be retried later."""
    byte_budget: int | None = Field(default=None, ge=1)
    """Bytes that the whole run may take from networks; null: no limit."""


@dataclass(frozen=True, slots=True)
class Go:
    """A turn: one request may start now. Give the lease back with `release`."""

    lease: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after `seconds`."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No turn will come. `reason` is `crawl.blocked` or `crawl.budget`."""

    reason: str
    detail: str


GateAnswer: TypeAlias = Go | Wait | Refused
"""What `HostGate.acquire` returns."""


class HostGate(Protocol):
    """Gives out turns to ask a host. `host` is a host name, with its port where that is not the default of the scheme.

    >>> gate: HostGate = LocalGate(GateSettings(requests_per_second=1), clock=lambda: 0.0)
    >>> first, second = gate.acquire("a.org"), gate.acquire("a.org")
    >>> first, second
    (Go(lease='0'), Wait(seconds=1.0, why='rate'))
    >>> gate.report("a.org", 200), gate.release("a.org", "0", num_bytes=1000)
    (None, None)
    """

    def acquire(self, host: str, min_interval: float = 0.0) -> GateAnswer:
        """A turn, a wait, or a refusal. `min_interval`: seconds between requests that robots.txt asks for."""
        ...

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        """Reports what the host answered. Returns the refusal if its breaker is open now."""
        ...

    def release(self, host: str, lease: str, num_bytes: int) -> None:
        """Gives the lease back; `num_bytes` came of the request."""
        ...

    def recall(self, origin: str, name: str) -> str | None:
        """A fact about an origin that a worker learned (its robots.txt), or None if unknown or expired."""
        ...

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        """Keeps a fact about an origin for so many seconds, for all workers."""


@dataclass(frozen=True, slots=True)
class HostState:
    """One host. Times are seconds since the epoch; every method returns the next state and changes nothing."""

    next_at: float = 0.0
    """When the rate allows the next request."""
    hold_until: float = 0.0
    """End of the pause that Retry-After asked for."""
    refusals: int = 0
    """403 and 429 in a row."""
    bot_pages: int = 0
    opened_at: float | None = None
    opened_by: str = ""
    leases: Mapping[str, float] = field(default_factory=dict)
    """Leases, with their expiry times."""
    num_requests: int = 0
    num_bytes: int = 0

    def refusal(self, now: float, rules: GateSettings) -> Refused | None:
        """The refusal that holds now: the breaker is open, or the host asked for too long a pause; else None."""
        if self.opened_at is not None and now < self.opened_at + rules.breaker_seconds:
            return Refused("crawl.blocked", self.opened_by)
        if self.hold_until - now > rules.max_retry_after:
            return Refused("crawl.blocked", f"the host asks for a pause of {self.hold_until - now:.0f} s")
        return None

    def acquire(self, now: float, rules: GateSettings, min_interval: float = 0.0) -> tuple[HostState, GateAnswer]:
        """The next state, and a turn, a wait or a refusal."""
        if refusal := self.refusal(now, rules):
            return self, refusal
        state = self
        if self.opened_at is not None:  # half-open: one request may try, one more refusal closes the door again
            state = replace(
                self,
                opened_at=None,
                refusals=rules.breaker_refusals - 1,
                bot_pages=rules.breaker_bot_pages - 1,
            )
        if state.hold_until > now:
            return state, Wait(state.hold_until - now, "retry_after")
        if state.next_at - now > rules.max_retry_after:
            return state, Refused("crawl.blocked", f"robots.txt asks for {min_interval:.0f} s between requests")
        if state.next_at > now:
            return state, Wait(state.next_at - now, "rate")
        leases = {lease: expiry for lease, expiry in state.leases.items() if expiry > now}
        interval = max(1.0 / rules.requests_per_second, min_interval)
        if len(leases) >= rules.max_in_flight:
            return replace(state, leases=leases), Wait(min(interval, min(leases.values()) - now), "in_flight")
        lease = str(state.num_requests)
        leases[lease] = now + rules.lease_seconds
        state = replace(state, leases=leases, next_at=now + interval, num_requests=state.num_requests + 1)
        return state, Go(lease)

    def report(
        self, now: float, rules: GateSettings, status: int, retry_after: float | None, bot_page: str | None
    ) -> HostState:
        """The next state after a response: counts refusals and bot pages, and opens the breaker."""
        refused = status in (403, 429)
        state = replace(
            self,
            refusals=self.refusals + 1 if refused else 0 if status < 400 and not bot_page else self.refusals,
            bot_pages=self.bot_pages + bool(bot_page),
        )
        pause = retry_after if retry_after is not None else rules.cooloff_seconds if status == 429 else 0.0
        if pause > 0 and status >= 400:
            state = replace(state, hold_until=max(state.hold_until, now + pause))
        if state.bot_pages >= rules.breaker_bot_pages:
            return replace(state, opened_at=now, opened_by=f"a page for humans only ({bot_page or 'seen before'})")
        if state.refusals >= rules.breaker_refusals:
            return replace(state, opened_at=now, opened_by=f"HTTP {status}, {state.refusals} refusals in a row")
        return state

    def restored(self, now: float, back: float, rules: GateSettings) -> HostState:
        """The state as loaded from disk, its times moved back by `back` seconds.

        Leases are dropped: their holders are gone. Waits are capped, whatever clock wrote them.
        """
        pause = max(1.0 / rules.requests_per_second, rules.max_retry_after)
        opened_at = None if self.opened_at is None else min(now, self.opened_at - back)
        return replace(
            self,
            next_at=min(self.next_at - back, now + pause),
            hold_until=self.hold_until - back,
            opened_at=opened_at,
            leases={},
        )

    def release(self, lease: str, num_bytes: int) -> HostState:
        """The next state without this lease."""
        leases = {name: expiry for name, expiry in self.leases.items() if name != lease}
        return replace(self, leases=leases, num_bytes=self.num_bytes + num_bytes)


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
        self._hosts = {host: HostState(**fields).restored(now, back, rules) for host, fields in saved.get("hosts", {}).items()}
        self._notes: dict[str, tuple[str, float]] = {key: (n[0], n[1] - back) for key, n in saved.get("notes", {}).items()}
        self._num_bytes = sum(host.num_bytes for host in self._hosts.values())
        self._changed_at = now

    def acquire(self, host: str, min_interval: float = 0.0) -> GateAnswer:
        """See `HostGate.acquire`."""
        with self._lock:
            if self.rules.byte_budget is not None and self._num_bytes >= self.rules.byte_budget:
                return Refused("crawl.budget", f"{self._num_bytes} of {self.rules.byte_budget} bytes")
            now = self._clock()
            state, answer = self._host(host).acquire(now, self.rules, min_interval)
            self._hosts[host], self._changed_at = state, now
            return answer

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        """See `HostGate.report`."""
        with self._lock:
            now = self._clock()
            state = self._host(host).report(now, self.rules, status, retry_after, bot_page)
            self._hosts[host], self._changed_at = state, now
            return state.refusal(now, self.rules)

    def release(self, host: str, lease: str, num_bytes: int) -> None:
        """See `HostGate.release`."""
        with self._lock:
            self._hosts[host] = self._host(host).release(lease, num_bytes)
            self._num_bytes += num_bytes

    def recall(self, origin: str, name: str) -> str | None:
        """See `HostGate.recall`."""
        with self._lock:
            value, expiry = self._notes.get(f"{name} {origin}", ("", 0.0))
            return value if expiry > self._clock() else None

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        """See `HostGate.remember`."""
        with self._lock:
            self._changed_at = self._clock()
            self._notes[f"{name} {origin}"] = (value, self._changed_at + seconds)

    def state(self) -> dict[str, Any]:
        """The whole state as JSON types. `LocalGate(rules, gate.state())` continues from it."""
        with self._lock:
            hosts = {host: asdict(state) for host, state in sorted(self._hosts.items())}
            now = self._clock()
            notes = {key: list(note) for key, note in sorted(self._notes.items()) if note[1] > now}
            # `saved_at` is the time of the last change, so that an unchanged gate saves the same text.
            return {"hosts": hosts, "notes": notes, "saved_at": self._changed_at}

    def _host(self, host: str) -> HostState:
        return self._hosts.get(host, HostState())

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a LocalGate stays in its process; hand a worker something that asks this one")
