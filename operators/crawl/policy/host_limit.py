"""What is said between workers and the gate of a run: the settings, the messages, and `HostGate`, what both sides agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pydantic import Field

from voxmill.manifests.config_base import Settings


class GateSettings(Settings):
    """Rate limits and circuit breaker of a host. All durations in seconds."""

    requests_per_second: float = Field(default=1.0, gt=0)
    """Requests a second to one host, over all workers together. robots.txt's Crawl-delay can only lower it."""
    max_in_flight: int = Field(default=2, ge=1)
    """Requests of one host that may run at once, over all workers together."""
    lease_seconds: float = Field(default=20.0, gt=0)
    """A worker that is not heard of for so many seconds loses its places at hosts; it renews them four times as often, in one call."""
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

    @property
    def start_seconds(self) -> float:
        """How long after a worker asked its request may begin (s); later it has to ask again."""
        return min(2.0, self.lease_seconds)

    def interval(self, min_interval: float = 0.0) -> float:
        """Seconds between the starts of two requests to one host; `min_interval` is what robots.txt asks for."""
        return max(1.0 / self.requests_per_second, min_interval)


@dataclass(frozen=True, slots=True)
class Go:
    """A turn: one request may begin within `start_seconds`. The lease is a place at the host, held until it is given back."""

    lease: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after `seconds`, with the same ticket."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No turn will come. `reason` is `crawl.blocked` or `crawl.budget`."""

    reason: str
    detail: str


GateAnswer: TypeAlias = Go | Wait | Refused
"""The answer to an `Ask`."""

Place: TypeAlias = tuple[str, str]
"""Host and lease."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A worker wants to begin a request to `host`: a host name, with its port where that is not the default of the scheme."""

    host: str
    min_interval: float = 0.0
    """Seconds between requests that robots.txt asks for."""
    ticket: str = ""
    """Keeps the asker's place in the host's queue from one `Wait` to the next; without one it is served when nobody queues."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The request of a lease began `ago` seconds before this was sent."""

    host: str
    lease: str
    ago: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A lease is given back; `num_bytes` came of its request."""

    host: str
    lease: str
    num_bytes: int
    begun_ago: float | None = None
    """When the request began, as in `Begun`, which may have got lost; None: it did not begin."""


@dataclass(frozen=True, slots=True)
class GateMessage:
    """All that a worker process has to tell the gate at one time, and what it asks; handled in the order of the fields."""

    begun: tuple[Begun, ...] = ()
    ended: tuple[Ended, ...] = ()
    fine: tuple[str, ...] = ()
    """Hosts that answered without complaint."""
    held: tuple[Place, ...] = ()
    """Every place that the process still uses: this renews them."""
    asks: tuple[Ask, ...] = ()


@dataclass(frozen=True, slots=True)
class GateReply:
    """`answers` to the asks in their order, and which of the places held are lost."""

    answers: tuple[GateAnswer, ...] = ()
    lost: tuple[Place, ...] = ()


class HostGate(Protocol):
    """The gate of a run, as workers reach it: in this process, on this machine, or in the cluster.

    >>> from voxmill.operators.crawl.policy.local_gate import LocalGate
    >>> gate: HostGate = LocalGate(GateSettings(requests_per_second=1), clock=lambda: 0.0)
    >>> gate.exchange(GateMessage(asks=(Ask("a.org"), Ask("a.org")))).answers
    (Go(lease='0'), Wait(seconds=1.0, why='rate'))
    >>> gate.exchange(GateMessage(ended=(Ended("a.org", "0", num_bytes=1000),)))
    GateReply(answers=(), lost=())
    """

    def exchange(self, message: GateMessage) -> GateReply:
        """Takes note of what a worker tells, and answers what it asks."""
        ...

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        """Reports a host's answer that is not `fine`. Returns the refusal if its breaker is open now."""
        ...

    def recall(self, origin: str, name: str) -> str | None:
        """A fact about an origin that a worker learned (its robots.txt), or None if unknown or expired."""
        ...

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        """Keeps a fact about an origin for so many seconds, for all workers."""
