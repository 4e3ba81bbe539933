"""`HostState`: the state machine of one host, pure but for the `now` it is given.

Two requests to a host begin at least an interval apart, and at most so many run at once, whatever workers do:

- A turn that was given blocks the host's next one until its worker says when the request began: the interval counts from there. A turn
  that nobody used in time counts as begun at the last moment at which it might have been.
- A place is held by a lease. Its worker renews it; not renewed, it is free after `lease_seconds`, by which time a worker that lives has
  noticed (`gate_client.py`).
- Who has to wait is in a queue, first come, first served. Who does not come back when told to loses its place in the queue, not the host's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from voxmill.operators.crawl.policy.host_limit import Ask, GateAnswer, GateSettings, Go, Refused, Wait


class PendingTurn(NamedTuple):
    """A turn that was given and has not begun, as far as the gate knows."""

    lease: str
    given_at: float
    interval: float


@dataclass(frozen=True, slots=True)
class HostState:
    """One host. Times are seconds since the epoch; every method returns the next state and changes nothing."""

    next_at: float = 0.0
    """When the rate allows the next request to begin."""
    hold_until: float = 0.0
    """End of the pause that Retry-After asked for."""
    refusals: int = 0
    """403 and 429 in a row."""
    bot_pages: int = 0
    opened_at: float | None = None
    opened_by: str = ""
    reported_at: float = 0.0
    """When the host was last reported to refuse us."""
    pending: PendingTurn | None = None
    leases: Mapping[str, float] = field(default_factory=dict)
    """Leases, with their expiry times."""
    waiting: Mapping[str, float] = field(default_factory=dict)
    """The queue: tickets in the order in which they came, with the time at which each was told to ask again."""

    def refusal(self, now: float, rules: GateSettings) -> Refused | None:
        """The refusal that holds now: the breaker is open, or the host asked for too long a pause; else None."""
        if self.opened_at is not None and now < self.opened_at + rules.breaker_seconds:
            return Refused("crawl.blocked", self.opened_by)
        if self.hold_until - now > rules.max_retry_after:
            return Refused("crawl.blocked", f"the host asks for a pause of {self.hold_until - now:.0f} s")
        return None

    def acquire(self, now: float, rules: GateSettings, ask: Ask, lease: str) -> tuple[HostState, GateAnswer]:
        """The next state, and a turn with this lease, a wait or a refusal."""
        interval = rules.interval(ask.min_interval)
        state = self.at(now, rules)
        queue = {t: due for t, due in state.waiting.items() if due + patience(interval) > now or t == ask.ticket}
        ahead = list(queue).index(ask.ticket) if ask.ticket in queue else len(queue)
        answer = self.refusal(now, rules) or state._wait(now, rules, interval, ahead)
        if answer is None:
            queue.pop(ask.ticket, None)
            leases = {**state.leases, lease: now + rules.lease_seconds}
            state = replace(state, leases=leases, waiting=queue, pending=PendingTurn(lease, now, interval))
            return (state if state.opened_at is None else state._half_open(rules)), Go(lease)
        if isinstance(answer, Refused):
            queue.pop(ask.ticket, None)
        elif ask.ticket:
            queue[ask.ticket] = now + answer.seconds
        return replace(state, waiting=queue), answer

    def begin(self, now: float, rules: GateSettings, lease: str, ago: float) -> HostState:
        """The next state after a request began, `ago` seconds before now."""
        state = self.renew(now, rules, lease)
        if state.pending is None or state.pending.lease != lease:
            return state  # it came late, and was counted already
        return replace(state, pending=None, next_at=max(state.next_at, now - ago + state.pending.interval))

    def renew(self, now: float, rules: GateSettings, lease: str) -> HostState:
        """The next state after a worker said that it still holds a lease; one that is gone stays gone."""
        return replace(self, leases={**self.leases, lease: now + rules.lease_seconds}) if lease in self.leases else self

    def release(self, now: float, rules: GateSettings, lease: str, begun_ago: float | None) -> HostState:
        """The next state without this lease. A turn whose request did not begin leaves no trace."""
        state = self if begun_ago is None else self.begin(now, rules, lease, begun_ago)
        pending = None if state.pending and state.pending.lease == lease else state.pending
        return replace(state, pending=pending, leases={name: until for name, until in state.leases.items() if name != lease})

    def report(
        self, now: float, rules: GateSettings, status: int, retry_after: float | None, bot_page: str | None
    ) -> HostState:
        """The next state after a response: counts refusals and bot pages, and opens the breaker."""
        refused = status in (403, 429)
        state = replace(
            self,
            refusals=self.refusals + 1 if refused else 0 if status < 400 and not bot_page else self.refusals,
            bot_pages=self.bot_pages + bool(bot_page),
            reported_at=now if refused or bot_page else self.reported_at,
        )
        pause = retry_after if retry_after is not None else rules.cooloff_seconds if status == 429 else 0.0
        if pause > 0 and status >= 400:
            state = replace(state, hold_until=max(state.hold_until, now + pause))
        if state.bot_pages >= rules.breaker_bot_pages:
            return replace(state, opened_at=now, opened_by=f"a page for humans only ({bot_page or 'seen before'})")
        if state.refusals >= rules.breaker_refusals:
            return replace(state, opened_at=now, opened_by=f"HTTP {status}, {state.refusals} refusals in a row")
        return state

    def at(self, now: float, rules: GateSettings) -> HostState:
        """The state as time has made it: leases that expired are gone, and a turn that was not used in time may have been."""
        state, pending = self, self.pending
        if pending and now >= pending.given_at + rules.start_seconds:
            begun = pending.given_at + rules.start_seconds
            state = replace(state, pending=None, next_at=max(state.next_at, begun + pending.interval))
        if any(expiry <= now for expiry in state.leases.values()):
            state = replace(state, leases={name: expiry for name, expiry in state.leases.items() if expiry > now})
        return state

    def forgettable(self, now: float, rules: GateSettings) -> bool:
        """Whether a host of which nothing is known would be treated the same from now on."""
        state = self.at(now, rules)
        if state.pending or state.leases or any(due + patience(rules.interval()) > now for due in state.waiting.values()):
            return False
        if state.opened_at is not None:  # half-open for as long as it was open
            return max(state.next_at, state.hold_until, state.opened_at + 2 * rules.breaker_seconds) <= now
        since = state.reported_at + rules.breaker_seconds if state.refusals or state.bot_pages else 0.0
        return max(state.next_at, state.hold_until, since) <= now

    def saved(self) -> dict[str, Any]:
        """What outlives the gate, as JSON types: neither leases nor the queue, since their holders will be gone."""
        next_at = self.next_at if self.pending is None else max(self.next_at, self.pending.given_at + self.pending.interval)
        kept = replace(self, next_at=next_at)
        return {f.name: getattr(kept, f.name) for f in fields(self) if f.name in _SAVED and getattr(kept, f.name) != f.default}

    @classmethod
    def restored(cls, saved: Mapping[str, Any], now: float, back: float, rules: GateSettings) -> HostState:
        """The inverse of `saved`, its times moved back by `back` seconds. Waits are capped, whatever clock wrote them."""
        state = cls(**{name: value for name, value in saved.items() if name in _SAVED})
        longest = max(rules.interval(), rules.max_retry_after)
        return replace(
            state,
            next_at=min(state.next_at - back, now + longest),
            hold_until=state.hold_until - back,
            reported_at=state.reported_at - back,
            opened_at=None if state.opened_at is None else min(now, state.opened_at - back),
        )

    def _half_open(self, rules: GateSettings) -> HostState:
        """One request may try; one more refusal closes the door again."""
        refusals, bot_pages = rules.breaker_refusals - 1, rules.breaker_bot_pages - 1
        return replace(self, opened_at=None, refusals=refusals, bot_pages=bot_pages)

    def _wait(self, now: float, rules: GateSettings, interval: float, ahead: int) -> Wait | Refused | None:
        """Why no request may begin now, with so many ahead in the queue; None where one may."""
        behind = min(ahead * interval, 2.0)  # not longer: those ahead may be gone by then
        if self.hold_until > now:
            return Wait(self.hold_until - now, "retry_after")
        next_at = max(self.next_at, self.pending.given_at + self.pending.interval if self.pending else 0.0)
        if next_at - now > rules.max_retry_after:
            return Refused("crawl.blocked", f"robots.txt asks for {interval:.0f} s between requests")
        if next_at > now:
            return Wait(next_at - now + behind, "rate")
        if self.pending:
            return Wait(_between(0.01, interval / 4, 0.25), "rate")  # its worker is about to say when it began
        if len(self.leases) >= rules.max_in_flight:
            return Wait(_between(0.02, interval, 1.0) + behind, "in_flight")
        return Wait(_between(0.02, interval, 1.0), "queue") if ahead else None


_SAVED = frozenset({"next_at", "hold_until", "refusals", "bot_pages", "opened_at", "opened_by", "reported_at"})


def patience(interval: float) -> float:
    """How long after the time at which it was told to ask again a ticket keeps its place in the queue (s)."""
    return _between(1.0, interval, 5.0)


def _between(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))
