"""One gate for a whole run, however many workers: held in one place, reached through a handle that travels to workers.

Its state (breakers, Retry-After, robots verdicts) is persisted in `RUN/hosts.json`, so that a host that said stop is not
asked again by the next command.
"""

from __future__ import annotations

import json
import secrets
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.managers import BaseManager
from threading import Event, Thread
from typing import Any, Literal

from voxmill.manifests.storage import StoreError, commit_bytes
from voxmill.manifests.user_input import json_object
from voxmill.operators.crawl.policy.host_limit import GateMessage, GateReply, GateSettings, HostGate, Refused
from voxmill.operators.crawl.policy.local_gate import LocalGate
from voxmill.pipeline.execution.gate_handles import METHODS, ActorGate, ProcessGate
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists, read_bytes

SAVE_EVERY_S = 5.0

Reach = Literal["machine", "cluster"]


@contextmanager
def open_gate(reach: Reach, run: Run, rules: GateSettings) -> Iterator[HostGate]:
    """The run's gate, for workers on this machine, Ray's or ours, or anywhere on the cluster that Ray is connected to."""
    uri = run.uri("hosts.json")
    fix = "delete it: hosts that said stop are then asked once more"
    saved = json_object(read_bytes(uri), uri, fix) if exists(uri) else None
    opened = _cluster_gate if reach == "cluster" else _machine_gate
    with opened(rules, saved) as (gate, state):
        stop = Event()
        saver = Thread(target=_save_now_and_then, args=(uri, state, stop), daemon=True)
        saver.start()
        try:
            yield gate
        finally:
            stop.set()
            saver.join()


def no_gate() -> HostGate:
    """For commands that fetch nothing: refuses every request."""
    return _Closed()


class _Closed:
    def exchange(self, message: GateMessage) -> GateReply:
        refused = Refused("crawl.blocked", "this command fetches nothing")
        return GateReply(answers=tuple(refused for _ in message.asks))

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        return None

    def recall(self, origin: str, name: str) -> str | None:
        return None

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None: ...


Opened = tuple[HostGate, Callable[[], dict[str, Any]]]


@contextmanager
def _machine_gate(rules: GateSettings, saved: dict[str, Any] | None) -> Iterator[Opened]:
    gate = LocalGate(rules, saved)

    class Served(BaseManager):
        pass

    Served.register("gate", callable=lambda: gate, exposed=METHODS)
    key = secrets.token_bytes(16)
    # a name without a file: the path of one below a long TMPDIR would be too long for a socket
    address = f"\0voxmill-gate-{uuid.uuid4().hex}" if sys.platform == "linux" else None
    server = Served(address, authkey=key).get_server()
    thread = Thread(target=_serve, args=(server,), daemon=True)
    thread.start()
    try:
        yield ProcessGate(server.address, key), gate.state
    finally:
        server.stop_event.set()  # type: ignore[attr-defined]
        thread.join(5)


def _serve(server: Any) -> None:
    try:
        server.serve_forever()
    except SystemExit:
        return  # how a manager's server ends


@contextmanager
def _cluster_gate(rules: GateSettings, saved: dict[str, Any] | None) -> Iterator[Opened]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # On the driver's node, and on no CPU: that node may have none to give, and no autoscaler takes it away while the driver runs there.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # max_concurrency 1: the actor is the lock. Without restarts a lost gate means no fetch, never an unguarded one.
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": 1, "scheduling_strategy": here}
    actor = ray.remote(**options)(_Held).remote(rules, saved)
    try:
        yield ActorGate(actor), lambda: dict(ray.get(actor.state.remote()))
    finally:
        ray.kill(actor)


class _Held:
    """What the actor holds: Ray needs a class that it can build itself."""

    def __init__(self, rules: GateSettings, saved: dict[str, Any] | None) -> None:
        self._gate = LocalGate(rules, saved)

    def exchange(self, message: GateMessage) -> GateReply:
        return self._gate.exchange(message)

    def report(self, host: str, status: int, **details: Any) -> Refused | None:
        return self._gate.report(host, status, **details)

    def recall(self, origin: str, name: str) -> str | None:
        return self._gate.recall(origin, name)

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None:
        self._gate.remember(origin, name, value, seconds)

    def state(self) -> dict[str, Any]:
        return self._gate.state()


def _save_now_and_then(uri: str, state: Callable[[], dict[str, Any]], stop: Event) -> None:
    """What has not changed is not written: a driver that the lease turns away must not undo what the living one has saved."""
    last = json.dumps(state(), sort_keys=True).encode()
    while True:
        ended = stop.wait(SAVE_EVERY_S)
        now = json.dumps(state(), sort_keys=True).encode()
        if now != last:
            with suppress(OSError, StoreError):  # a full disk, or a store that is away: the next time will do
                commit_bytes(uri, now, replace=True)
                last = now
        if ended:
            return
