"""A world on virtual time: workers that fetch from hosts through one gate, and are slow, cut off or killed. Everything follows from a seed.

What runs is the gate and the client of the product; the threads, the network and the clock are the simulation's.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TypeVar

from voxmill.operators.crawl.policy.gate_client import GateClient, HostTurn
from voxmill.operators.crawl.policy.host_limit import GateMessage, GateReply, GateSettings, HostGate, Refused, Wait
from voxmill.operators.crawl.policy.local_gate import LocalGate

T = TypeVar("T")

BLOCK_S = 0.5
"""How often a transfer looks whether its place is still its own."""


@dataclass
class Request:
    """A request as the web server's log has it."""

    worker: int
    begun: float
    ended: float | None = None


@dataclass
class Fetch:
    """One item to fetch."""

    host: str
    seconds: float
    asked: float | None = None
    done: float | None = None


class FarGate:
    """The way to the gate, on which a question or its answer is sometimes lost."""

    def __init__(self, world: World, losses: float) -> None:
        self._world, self._losses = world, losses
        self.cut_off_until = 0.0

    def exchange(self, message: GateMessage) -> GateReply:
        world = self._world
        lost = world.now < self.cut_off_until or world.random.random() < self._losses
        if lost and world.random.random() < 0.5:
            raise ConnectionError("the question is lost")
        world.num_calls += 1
        reply = world.gate.exchange(message)
        if lost:
            raise ConnectionError("the answer is lost")
        return reply

    def report(self, *args: object, **kwargs: object) -> None: ...

    def recall(self, *args: object) -> None: ...

    def remember(self, *args: object) -> None: ...


MakeClient = Callable[[HostGate, GateSettings, Callable[[], float]], GateClient]


def plain_client(gate: HostGate, rules: GateSettings, clock: Callable[[], float]) -> GateClient:
    return GateClient(gate, rules, clock, own_thread=False)


class World:
    """`run()` until every fetch of a living worker is done, or `horizon` seconds have passed."""

    def __init__(
        self, seed: int, rules: GateSettings, client: MakeClient = plain_client, gate: type[LocalGate] = LocalGate
    ) -> None:
        self.random = random.Random(seed)
        self.rules = rules
        self.now = 1000.0
        self.gate = gate(rules, clock=lambda: self.now)
        self.log: dict[str, list[Request]] = defaultdict(list)
        self.workers: list[Worker] = []
        self.num_calls = 0
        self._make_client = client
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def add(self, latency: float = 0.0, stall: float = 0.0, losses: float = 0.0) -> Worker:
        """A worker; `stall` is how long it may stop between any two steps (s), now and then."""
        worker = Worker(self, len(self.workers), FarGate(self, losses), latency, stall)
        self.workers.append(worker)
        return worker

    def client(self, worker: Worker) -> GateClient:
        return self._make_client(worker.far, self.rules, worker.clock)

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Calls `do` later, if only by a microsecond: time always passes."""
        heapq.heappush(self._events, (self.now + max(seconds, 1e-6), next(self._order), do))

    def run(self, horizon: float = 100_000.0) -> None:
        end = self.now + horizon
        left = self._unfinished()
        waiting = next(left, None)
        while self._events and self.now < end and waiting is not None:
            at, _, do = heapq.heappop(self._events)
            self.now = max(self.now, at)
            do()
            while waiting is not None and (waiting[1].done or not waiting[0].alive):  # neither ever changes back
                waiting = next(left, None)

    def _unfinished(self) -> Iterator[tuple[Worker, Fetch]]:
        """Every fetch that was not done, of a living worker, when it was come to."""
        yield from ((worker, one) for worker in self.workers for one in worker.fetches if worker.alive and not one.done)

    def too_close(self) -> list[str]:
        """Requests to one host that began sooner after another than its rate allows."""
        interval = self.rules.interval()
        found = []
        for host, requests in self.log.items():
            begun = sorted(r.begun for r in requests)
            found += [f"{host}: {b - a:.3f} s" for a, b in pairwise(begun) if b - a < interval - 1e-9]
        return found

    def too_many(self) -> list[str]:
        """Moments at which more requests of one host ran than may."""
        found = []
        for host, requests in self.log.items():
            edges = sorted([(r.begun, 1) for r in requests] + [(r.ended, -1) for r in requests if r.ended is not None])
            running = 0
            for at, change in edges:
                running += change
                if running > self.rules.max_in_flight:
                    found.append(f"{host}: {running} at {at:.3f}")
        return found


@dataclass
class Worker:
    """A process with many fetches at once."""

    world: World
    number: int
    far: FarGate
    latency: float
    stall: float
    alive: bool = True
    sent_at: float | None = None
    """When the message was sent that the gate is answering now: what the client's clock said then."""
    fetches: list[Fetch] = field(default_factory=list)
    open: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = self.world.client(self)
        self._beat()

    def clock(self) -> float:
        return self.world.now if self.sent_at is None else self.sent_at

    def fetch(self, host: str, seconds: float, *, after: float = 0.0) -> Fetch:
        """One more item, from `after` seconds on."""
        one = Fetch(host, seconds)
        self.fetches.append(one)
        ticket = self.client.ticket()
        self._later(after, lambda: self._ask(one, ticket))
        return one

    def die(self) -> None:
        """SIGKILL: the kernel closes its connections, and the gate hears nothing."""
        self.alive = False
        for request in self.open:
            request.ended = self.world.now

    def cut_off(self, seconds: float) -> None:
        """Nothing reaches the gate for a while; the web is still there."""
        self.far.cut_off_until = self.world.now + seconds

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        def step() -> None:
            if self.alive:
                do()

        slow = self.world.random.uniform(0, self.stall) if self.stall and self.world.random.random() < 0.2 else 0.0
        self.world.after(seconds + slow, step)

    def _call(self, call: Callable[[], T], then: Callable[[T | None], None]) -> None:
        """A call to the gate that takes its time each way; `then(None)` where it is lost."""
        sent = self.world.now

        def arrive() -> None:
            if not self.alive:
                return
            self.sent_at = sent
            try:
                got: T | None = call()
            except ConnectionError:
                got = None
            self.sent_at = None
            self._later(self._delay(), lambda: then(got))

        self.world.after(self._delay(), arrive)

    def _delay(self) -> float:
        return self.world.random.uniform(0, self.latency)

    def _beat(self) -> None:
        self._call(self.client.beat, lambda _: None)
        self._later(self.world.rules.lease_seconds / 4, self._beat)

    def _tell(self) -> None:
        self._call(self.client.flush, lambda _: None)

    def _ask(self, one: Fetch, ticket: str) -> None:
        def answered(answer: HostTurn | Wait | Refused | None) -> None:
            if isinstance(answer, HostTurn):
                self._begin(one, answer)
            else:
                assert not isinstance(answer, Refused)
                self._later(1.0 if answer is None else answer.seconds, lambda: self._ask(one, ticket))

        one.asked = one.asked or self.world.now
        self._call(lambda: self.client.ask(one.host, 0.0, ticket), answered)

    def _begin(self, one: Fetch, turn: HostTurn) -> None:
        if not turn.begin():
            turn.end(0)
            self._ask(one, self.client.ticket())
            return
        request = Request(self.number, self.world.now)
        self.world.log[one.host].append(request)
        self.open.append(request)
        self._later(0.005, self._tell)
        self._transfer(one, turn, request, one.seconds)

    def _transfer(self, one: Fetch, turn: HostTurn, request: Request, left: float) -> None:
        """A transfer is no step that stalls: its time-outs are the operating system's."""

        def step() -> None:
            if not self.alive:
                return
            if left > 0 and turn.held:
                self._transfer(one, turn, request, left - BLOCK_S)
                return
            self.open.remove(request)
            request.ended = self.world.now
            turn.end(100)
            self._later(0.005, self._tell)
            if left > 0:
                self._ask(one, self.client.ticket())
            else:
                one.done = self.world.now

        lease_ends = turn.renewed_at + self.world.rules.lease_seconds  # a block is waited for no longer than the lease
        self.world.after(max(0.0, min(BLOCK_S, left, lease_ends - self.world.now)), step)
