"""An object store in memory that is late: requests travel, are answered late or not at all, and arrive twice, long after.

Each request is atomic when it arrives, as with S3. What is true of S3 and nowhere else promised is not used: nothing is known of the order in
which two requests arrive that are both on their way.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import fsspec

from crash.virtual_time import World

ROOT = "late://run"


class Watcher(Protocol):
    """Is told of everything that arrives, when it arrives."""

    def put(self, path: str, blob: bytes, old: bytes | None) -> None: ...

    def deleted(self, path: str) -> None: ...


@dataclass(slots=True)
class Weather:
    """How bad it is, as probabilities for one request."""

    slow: float = 0.0
    """It travels for up to a minute."""
    lost: float = 0.0
    """Its answer is lost (or the request itself), and it is sent again; the first one may arrive after that, by up to two minutes."""
    twice: float = 0.0
    """It is carried out once more, up to two minutes later."""
    frozen: float = 0.0
    """Whoever sends it is frozen before or after, for up to five minutes."""
    killed: float = 0.0
    """Whoever sends it is killed before or after."""


@dataclass
class Store:
    """What there is, and who may look."""

    world: World | None = None
    """None: everything happens at once."""
    weather: Weather = field(default_factory=Weather)
    watcher: Watcher | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0

    def put(self, path: str, blob: bytes, *, create: bool) -> None:
        """Raises FileExistsError."""
        old = self.blobs.get(path)
        if create and old is not None:
            raise FileExistsError(path)
        self.blobs[path] = blob
        if self.watcher:
            self.watcher.put(path, blob, old)

    def get(self, path: str) -> bytes:
        """Raises FileNotFoundError."""
        try:
            return self.blobs[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def delete(self, path: str) -> None:
        """What is not there is no error."""
        if self.blobs.pop(path, None) is not None and self.watcher:
            self.watcher.deleted(path)

    def under(self, folder: str) -> list[str]:
        """All names that begin with a folder."""
        return sorted(path for path in self.blobs if path.startswith(f"{folder}/"))

    def send(self, request: Callable[[], Any], *, changes: bool = False) -> Any:
        """The answer to a request, which arrives some time later."""
        self.requests += 1
        world = self.world
        if world is None or world.current is None:
            return request()
        process, weather, luck = world.process, self.weather, world.random.random
        world.check(world.current)
        if luck() < weather.killed:
            if luck() < 0.5:
                world.at(world.now + self._travel(), lambda: _quietly(request))
            process.kill()
        if luck() < weather.frozen:
            process.freeze(luck() * 300)
            world.sleep(0.001)
        if changes and luck() < weather.lost:
            world.at(world.now + luck() * (10 if luck() < 0.5 else 130), lambda: _quietly(request))
            process.disturbed = True
            world.sleep(10)
        answer: list[Any] = []

        def arrive() -> None:
            try:
                answer[:] = [request(), None]
            except OSError as error:
                answer[:] = [None, error]
            if changes and luck() < weather.twice:
                world.at(world.now + luck() * 120, lambda: _quietly(request))

        travel = self._travel()
        process.disturbed |= travel > 1
        world.at(world.now + travel, arrive)
        world.sleep(travel + 0.005 + luck() * 0.02)
        if luck() < weather.frozen:
            process.freeze(luck() * 300)
            world.sleep(0.001)
        while not answer:  # woken early
            world.sleep(travel)
        value, error = answer
        if error is not None:
            raise error
        return value

    def _travel(self) -> float:
        assert self.world
        luck = self.world.random.random
        return luck() * (60 if luck() < self.weather.slow else 0.03)


STORE = Store()
"""The one store of this process: of what `late://` addresses mean."""


def fresh_store(world: World | None = None) -> Store:
    """Empties the store."""
    STORE.__init__(world)  # type: ignore[misc]
    return STORE


def _quietly(request: Callable[[], Any]) -> None:
    try:
        request()
    except OSError:  # nobody waits for the answer
        return


class LateFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """`late://…`, as far as `voxmill.manifests.storage` and Parquet readers ask."""

    protocol = "late"
    refuses_to_overwrite = True

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        path = self._strip_protocol(path)
        STORE.send(lambda: STORE.put(path, value, create=mode == "create"), changes=True)

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **_: Any) -> None:
        with open(lpath, "rb") as file:
            self.pipe_file(rpath, file.read(), mode)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        path = self._strip_protocol(path)
        blob: bytes = STORE.send(lambda: STORE.get(path))
        return blob[start:end]

    def exists(self, path: str, **_: Any) -> bool:
        path = self._strip_protocol(path)
        return bool(STORE.send(lambda: path in STORE.blobs))

    def isdir(self, path: str) -> bool:
        path = self._strip_protocol(path)
        return bool(STORE.send(lambda: STORE.under(path)))

    def ls(self, path: str, detail: bool = False, **_: Any) -> list[str]:
        """Raises FileNotFoundError."""
        path = self._strip_protocol(path).rstrip("/")
        found = STORE.send(lambda: STORE.under(path))
        if not found:
            raise FileNotFoundError(path)
        return sorted({f"{path}/{name[len(path) + 1 :].partition('/')[0]}" for name in found})

    def find(self, path: str, **_: Any) -> list[str]:
        path = self._strip_protocol(path).rstrip("/")
        return list(STORE.send(lambda: STORE.under(path)))

    def rm_file(self, path: str) -> None:
        path = self._strip_protocol(path)
        STORE.send(lambda: STORE.delete(path), changes=True)

    def remove_all(self, paths: list[str]) -> None:
        names = [self._strip_protocol(path) for path in paths]

        def request() -> None:
            for name in names:
                STORE.delete(name)

        STORE.send(request, changes=True)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        return io.BytesIO(self.cat_file(path))

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        return self._open(path, mode)


fsspec.register_implementation("late", LateFileSystem, clobber=True)
