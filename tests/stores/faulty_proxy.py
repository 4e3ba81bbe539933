"""A proxy before an object store that misbehaves on request, and counts what it is asked.

In a test or benchmark::

    with seaweedfs(folder) as url, FaultyProxy(url) as proxy, reaching(s3_environment(proxy.url)):
        proxy.faults = Faults(refused=0.05, lost_answers=0.05)
        …
        print(proxy.counts("method"), proxy.counts("client"))

As a program, for a machine of its own (`python -m stores.faulty_proxy --store http://127.0.0.1:8333 --listen 10.77.0.10:9000`) it is steered
over HTTP by `RemoteProxy`, which has the same `faults` and `counts`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Literal, TypeAlias

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from typing_extensions import Self
from yarl import URL

CONTROL = "/faulty-proxy/"
"""Below this path the proxy answers itself: `faults` (GET, PUT), `counts` (GET) and `forget` (POST)."""

By: TypeAlias = Literal["method", "client", "status"]
_HOP = frozenset({"transfer-encoding", "connection", "content-length", "keep-alive"})
_REFUSALS = ((500, "InternalError"), (503, "SlowDown"))


@dataclass(frozen=True)
class Faults:
    """What goes wrong; by default nothing. Shares are of 1, times in seconds."""

    refused: float = 0.0
    """Share of requests that are not carried out and are answered 500 or 503."""
    lost_answers: float = 0.0
    """Share of writes (PUT, POST, DELETE) that are carried out and then answered 500."""
    cut: float = 0.0
    """Share of answers with a body that break off in the middle of it."""
    delay: float = 0.0
    """Before each request is carried out."""
    late_copies: float = 0.0
    """Share of PUTs of which the store gets a second copy, `late` after the first."""
    late: float = 2.0
    gone_until: float = 0.0
    """Until this `time.time()` every connection is closed without an answer."""


@dataclass(frozen=True)
class Seen:
    """One request. A listing has the method LIST, a deletion of many names DELETE."""

    method: str
    client: str
    """Address of the client, and the process that voxmill states in its User-Agent: `127.0.0.1 process 123`."""
    status: int
    """As answered here; 0 where the connection was closed."""


class FaultyProxy:
    """A context manager: the proxy runs in a thread of its own, on a free port unless one is given."""

    def __init__(self, store: str, host: str = "127.0.0.1", port: int = 0, seed: int = 7) -> None:
        self.faults = Faults()
        """Takes effect with the next request."""
        self._store, self._host, self._port = store.rstrip("/"), host, port
        self._random = random.Random(seed)
        self._counted: Counter[Seen] = Counter()
        self._loop = asyncio.new_event_loop()
        self._late: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{self._host}:{self._port}"

    def gone_for(self, seconds: float) -> None:
        """The store is away from now on, for so long."""
        self.faults = Faults(**{**asdict(self.faults), "gone_until": time.time() + seconds})

    def counts(self, by: By) -> dict[str, int]:
        """Requests since the start or `forget`, by method, client or answered status."""
        return _sums(self._counted, by)

    def forget(self) -> None:
        """Begins to count anew."""
        self._counted.clear()

    def __enter__(self) -> Self:
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        if not started.wait(30):
            raise RuntimeError(f"the proxy does not listen on {self._host}:{self._port}: is the port taken?")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.serve())
        started.set()
        self._loop.run_forever()

    async def serve(self) -> None:
        """Listens from now on, in the running loop."""
        self._session = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False, timeout=ClientTimeout(total=None))
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        for task in self._late:
            task.cancel()
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await self._control(request)
        body, faults = await request.read(), self.faults
        if time.time() < faults.gone_until:
            return self._hang_up(request)
        await asyncio.sleep(faults.delay)
        if self._random.random() < faults.refused:
            return self._refuse(request, *self._random.choice(_REFUSALS))
        try:
            status, headers, data = await self._ask_store(request, body)
        except (ClientError, ConnectionError):
            return self._hang_up(request)
        if request.method == "PUT" and self._random.random() < faults.late_copies:
            self._late.add(task := asyncio.create_task(self._again(request, body, faults.late)))
            task.add_done_callback(self._late.discard)
        if request.method in ("PUT", "POST", "DELETE") and status < 300 and self._random.random() < faults.lost_answers:
            return self._refuse(request, 500, "InternalError")
        self._note(request, status)
        if data and self._random.random() < faults.cut:
            return await self._cut(request, status, headers, data)
        return web.Response(status=status, headers=headers, body=None if request.method == "HEAD" else data)

    async def _ask_store(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """With the client's own headers, Host among them: that is what it signed."""
        url = URL(self._store + request.raw_path, encoded=True)
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP | {"expect"}]
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
            if request.method == "HEAD" and (length := answer.headers.get("Content-Length")):
                kept["Content-Length"] = length
            return answer.status, kept, await answer.read()

    async def _again(self, request: web.Request, body: bytes, after: float) -> None:
        await asyncio.sleep(after)
        await self._ask_store(request, body)

    def _refuse(self, request: web.Request, status: int, code: str) -> web.Response:
        self._note(request, status)
        text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>Please try again.</Message></Error>'
        return web.Response(status=status, text=None if request.method == "HEAD" else text, content_type="application/xml")

    def _hang_up(self, request: web.Request) -> web.Response:
        self._note(request, 0)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _cut(self, request: web.Request, status: int, headers: dict[str, str], data: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(data))})
        await answer.prepare(request)
        await answer.write(data[: len(data) // 2])
        if request.transport is not None:
            request.transport.abort()
        return answer

    async def _control(self, request: web.Request) -> web.Response:
        what = request.path.removeprefix(CONTROL)
        if what == "faults" and request.method == "PUT":
            self.faults = Faults(**await request.json())
        elif what == "forget":
            self.forget()
        elif what == "counts":
            return web.json_response([[one.method, one.client, one.status, number] for one, number in self._counted.items()])
        return web.json_response(asdict(self.faults))

    def _note(self, request: web.Request, status: int) -> None:
        _, mark, process = request.headers.get("User-Agent", "").partition("md/voxmill#")
        client = f"{request.remote} process {process.split()[0]}" if mark else f"{request.remote}"
        self._counted[Seen(_method(request), client, status)] += 1


class RemoteProxy:
    """Steers a proxy that runs as a program elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @property
    def faults(self) -> Faults:
        """Those in force."""
        return Faults(**self._ask("GET", "faults"))

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._ask("PUT", "faults", json.dumps(asdict(faults)).encode())

    def gone_for(self, seconds: float) -> None:
        """The store is away from now on, for so long."""
        self.faults = Faults(**{**asdict(self.faults), "gone_until": time.time() + seconds})

    def counts(self, by: By) -> dict[str, int]:
        """Like those of `FaultyProxy`."""
        return _sums(Counter({Seen(*fields): number for *fields, number in self._ask("GET", "counts")}), by)

    def forget(self) -> None:
        """Begins to count anew."""
        self._ask("POST", "forget", b"")

    def _ask(self, method: str, what: str, body: bytes | None = None) -> Any:
        asked = urllib.request.Request(f"{self.url}{CONTROL}{what}", body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())


def _sums(counted: Counter[Seen], by: By) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for seen, number in list(counted.items()):
        sums[str(getattr(seen, by))] += number
    return dict(sorted(sums.items()))


def _method(request: web.Request) -> str:
    query = request.query
    if request.method == "GET" and ("list-type" in query or "prefix" in query or request.path.endswith("/o")):
        return "LIST"
    return "DELETE" if request.method == "POST" and "delete" in query else request.method


async def _main(given: argparse.Namespace) -> None:
    host, _, port = given.listen.rpartition(":")
    proxy = FaultyProxy(given.store, host, int(port), given.seed)
    await proxy.serve()
    print(f"{proxy.url} stands before {given.store}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="URL of the store")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT")
    parser.add_argument("--seed", type=int, default=7)
    asyncio.run(_main(parser.parse_args()))
