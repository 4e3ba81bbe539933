"""`GateClient`: a worker process's side of the gate. Threads ask it for turns; it talks to the gate for all of them, in few calls.

A worker that is slow must not begin a request that the gate has given up on. The client measures by its own monotonic clock, from before
it asked, so its deadlines are never later than the gate's: a turn that is `start_seconds` old does not begin, and a place that could not be
renewed for `lease_seconds` is lost, at which its transfer breaks off. What remains is a process that stops between that check and its first
byte, or in the middle of a transfer: its connection stays open until it goes on.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from voxmill.operators.crawl.policy.host_limit import (
    Ask,
    Begun,
    Ended,
    GateAnswer,
    GateMessage,
    GateSettings,
    Go,
    HostGate,
    Place,
    Refused,
    Wait,
)

GATHER_S = 0.005
"""What is told the gate waits so long for more of it (s)."""


class HostTurn:
    """One request's turn, and its place at the host. `begin` it once, and `end` it."""

    def __init__(self, client: GateClient, place: Place, asked_at: float) -> None:
        self.place = place
        self.asked_at = self.renewed_at = asked_at
        self.begun_at: float | None = None
        self.lost = False
        """Whether the gate has given the place away."""
        self._client = client
        self._on_end: Callable[[], None] | None = None

    def begin(self, on_end: Callable[[], None] | None = None) -> bool:
        """Whether the request may begin now; `on_end` is called when it has ended. False: the turn came too late; end it and ask again."""
        begun = self._client.begun(self)
        if begun:
            self._on_end = on_end
        return begun

    @property
    def held(self) -> bool:
        """Whether the place is still ours."""
        return self._client.holds(self)

    def end(self, num_bytes: int) -> None:
        """Gives the place back, where that has not happened; `num_bytes` came of the request."""
        if self._client.ended(self, num_bytes) and self._on_end:
            self._on_end()


class _Waiter:
    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.answer: HostTurn | Wait | Refused | None = None


class GateClient:
    """Asks `gate` for the threads of this process, and renews their places from a thread of its own while there are any.

    With `own_thread` off there is no such thread, and the caller calls `beat` instead.
    """

    def __init__(
        self, gate: HostGate, rules: GateSettings, clock: Callable[[], float] = time.monotonic, *, own_thread: bool = True
    ) -> None:
        self._gate, self._rules, self._clock, self._own_thread = gate, rules, clock, own_thread
        self._lock = threading.Lock()
        self._wire = threading.Lock()
        """Held during an exchange: who waits for it is answered by the exchange before, or has the next."""
        self._asks: list[_Waiter] = []
        self._begun: list[HostTurn] = []
        self._ended: list[tuple[HostTurn, int]] = []
        self._fine: list[str] = []
        self._held: dict[Place, HostTurn] = {}
        self._name, self._tickets = f"{os.getpid()}-{secrets.token_hex(4)}", count()
        self._news = threading.Event()
        self._talked_at = float("-inf")
        self._thread: threading.Thread | None = None

    def ticket(self) -> str:
        """A fresh ticket: a place in the queue of one host."""
        return f"{self._name}-{next(self._tickets)}"

    def ask(self, host: str, min_interval: float = 0.0, ticket: str = "") -> HostTurn | Wait | Refused:
        """Asks the gate once. Raises what the way to the gate raises."""
        waiter = _Waiter(Ask(host, min_interval, ticket))
        with self._lock:
            self._asks.append(waiter)
        try:
            with self._wire:
                if waiter.answer is None:
                    self._exchange()
        finally:
            with self._lock:
                if waiter in self._asks:
                    self._asks.remove(waiter)
        assert waiter.answer is not None
        return waiter.answer

    def fine(self, host: str) -> None:
        """Tells the gate, before long, that a host answered without complaint."""
        with self._lock:
            self._fine.append(host)
            self._tell()

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        """See `HostGate.report`; what was told before reaches the gate before."""
        self.flush()
        return self._gate.report(host, status, retry_after=retry_after, bot_page=bot_page)

    def flush(self) -> None:
        """Tells the gate at once what it has not been told yet."""
        with self._wire:
            if self._untold():
                self._exchange()

    def beat(self) -> None:
        """One exchange: tells what there is to tell, and renews the places."""
        with self._wire:
            self._exchange()

    def begun(self, turn: HostTurn) -> bool:
        """See `HostTurn.begin`."""
        with self._lock:
            now = self._clock()
            if now - turn.asked_at >= self._rules.start_seconds or not self._holds(turn, now):
                return False
            turn.begun_at = now
            self._begun.append(turn)
            self._tell()
            return True

    def holds(self, turn: HostTurn) -> bool:
        """See `HostTurn.held`."""
        with self._lock:
            return self._holds(turn, self._clock())

    def ended(self, turn: HostTurn, num_bytes: int) -> bool:
        """See `HostTurn.end`. Returns False where it had ended before."""
        with self._lock:
            if self._held.pop(turn.place, None) is None:
                return False
            self._ended.append((turn, num_bytes))
            self._tell()
            return True

    def _holds(self, turn: HostTurn, now: float) -> bool:
        return not turn.lost and now < turn.renewed_at + self._rules.lease_seconds

    def _untold(self) -> bool:
        with self._lock:
            return bool(self._begun or self._ended or self._fine)

    def _exchange(self) -> None:
        """One call for all threads; `_wire` is held."""
        with self._lock:
            asks, self._asks = self._asks, []
            begun, self._begun = self._begun, []
            ended, self._ended = self._ended, []
            fine, self._fine = self._fine, []
            held = list(self._held.values())
            now = self._clock()
        message = GateMessage(
            tuple(Begun(*turn.place, now - turn.begun_at) for turn in begun if turn.begun_at is not None),
            tuple(Ended(*turn.place, size, _ago(turn.begun_at, now)) for turn, size in ended),
            tuple(dict.fromkeys(fine)),
            tuple(turn.place for turn in held),
            tuple(waiter.ask for waiter in asks),
        )
        try:
            reply = self._gate.exchange(message)
        except BaseException:
            with self._lock:  # the others ask again; what was told and got lost expires at the gate
                self._asks = [*asks, *self._asks]
            raise
        with self._lock:
            self._talked_at = now
            lost = set(reply.lost)
            for turn in held:
                turn.lost = turn.place in lost
                turn.renewed_at = now
            for waiter, answer in zip(asks, reply.answers, strict=True):
                waiter.answer = self._answered(waiter.ask.host, answer, now)

    def _answered(self, host: str, answer: GateAnswer, asked_at: float) -> HostTurn | Wait | Refused:
        if not isinstance(answer, Go):
            return answer
        turn = HostTurn(self, (host, answer.lease), asked_at)
        self._held[turn.place] = turn
        self._tell()
        return turn

    def _tell(self) -> None:
        """Wakes the thread that talks to the gate when nobody asks; `_lock` is held."""
        self._news.set()
        if self._thread is None and self._own_thread:
            self._thread = threading.Thread(target=self._keep, name="host gate", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        every = self._rules.lease_seconds / 4
        while True:
            news = self._news.wait(every)
            with self._lock:
                if not news and not self._held:
                    self._thread = None
                    return
                self._news.clear()
            time.sleep(min(GATHER_S, every))
            if self._untold() or self._clock() >= self._talked_at + every:
                with suppress(Exception):  # the gate is away: places are lost in time, and whoever asks sees the error
                    self.beat()


def _ago(at: float | None, now: float) -> float | None:
    return None if at is None else now - at
