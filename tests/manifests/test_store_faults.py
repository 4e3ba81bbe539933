"""What a commit means, whatever the store and whatever happens to its requests.

On a disk, in memory, in moto and (marked `slow`) in SeaweedFS and fake-gcs-server, which are started as programs of their own, behind a
proxy that refuses, loses answers and goes away.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import botocore.auth
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stores.faulty_proxy import Faults, FaultyProxy, RemoteProxy
from stores.store_environment import gcs_environment, reaching, s3_environment
from stores.store_server import fake_gcs, seaweedfs
from voxmill.manifests import attended
from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import (
    NondeterministicError,
    StoreError,
    commit_bytes,
    commit_file,
    exists,
    is_folder,
    locate,
    names_in,
    open_file,
    outage_listeners,
    read_bytes,
    remove,
    remove_all,
    requests,
    staged,
    store_retry,
    wait_at_most,
)
from voxmill.manifests.storage.s3_store import S3Store
from voxmill.manifests.storage.store_retry import StoreHealth
from voxmill.pipeline.execution.infra_errors import machine_fault

pytestmark = pytest.mark.xdist_group("stores")

SOME = Faults(refused=0.1, lost_answers=0.15, cut=0.1)


class Place:
    """A folder or bucket, and the proxy before it where there is one."""

    def __init__(self, root: str, proxy: FaultyProxy | None = None) -> None:
        self.root, self.proxy = root, proxy
        self._made = 0

    def fresh(self) -> str:
        """A URI that nothing was written to."""
        self._made += 1
        return f"{self.root}/{self._made:05d}/file"

    def set(self, faults: Faults) -> None:
        if self.proxy:
            self.proxy.faults = faults


def moto_place(folder: Path) -> Iterator[Place]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with FaultyProxy(f"http://{host}:{port}") as proxy, reaching(s3_environment(proxy.url)):
        with suppress(FileExistsError):  # every moto of a process has the same buckets, with what they hold
            locate("s3://bucket")[0].mkdir("bucket")
        yield Place(f"s3://bucket/{folder.name}", proxy)
    server.stop()


def seaweedfs_place(folder: Path) -> Iterator[Place]:
    with seaweedfs(folder) as url, FaultyProxy(url) as proxy, reaching(s3_environment(proxy.url)):
        locate("s3://bucket")[0].mkdir("bucket")
        yield Place("s3://bucket/run", proxy)


def gcs_place(folder: Path) -> Iterator[Place]:
    pytest.importorskip("gcsfs")
    with fake_gcs(folder) as url, FaultyProxy(url) as proxy, reaching(gcs_environment(proxy.url)):
        locate("gs://bucket")[0].mkdir("bucket")
        yield Place("gs://bucket/run", proxy)


PLACES: dict[str, Callable[[Path], Iterator[Place]]] = {
    "disk": lambda folder: iter([Place(str(folder))]),
    "memory": lambda folder: iter([Place(f"memory://{folder.name}")]),
    "moto": moto_place,
    "seaweedfs": seaweedfs_place,
    "gcs": gcs_place,
}
SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("seaweedfs", "gcs")]


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from PLACES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(autouse=True)
def healthy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins with a store that answers, and with pauses that suit a test."""
    monkeypatch.setattr(store_retry, "LONGEST_S", 0.05)
    yield
    if "place" in request.fixturenames:
        request.getfixturevalue("place").set(Faults())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the screen would show of stores."""
    lines: list[str] = []
    monkeypatch.setattr(store_retry, "outage_listeners", [lines.append])
    return lines


everywhere = pytest.mark.parametrize("place", ["disk", "memory", "moto", *SERVERS], indirect=True)
in_stores = pytest.mark.parametrize("place", ["moto", *SERVERS], indirect=True)
in_s3 = pytest.mark.parametrize("place", ["moto", SERVERS[0]], indirect=True)

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
steps = st.lists(
    st.tuples(st.sampled_from(["create", "replace", "remove"]), st.sampled_from([b"", b"a", b"b" * 70_000])), max_size=8
)


@everywhere
@given(steps)
@few
def test_first_write_wins_under_any_faults(place: Place, steps: list[tuple[str, bytes]]) -> None:
    """Against a dictionary: a create gives its bytes, finds the same, or is refused; whatever requests fail or lose their answers."""
    place.set(SOME)
    uri, there = place.fresh(), None
    for what, data in steps:
        if what == "remove":
            lost = place.proxy is not None  # a deletion whose answer was lost may find nothing the second time
            assert remove(uri) is (there is not None) or lost
            there = None
        elif what == "replace" or there in (None, data):
            assert commit_bytes(uri, data, replace=what == "replace") in (True, False)
            there = data
        else:
            with pytest.raises(NondeterministicError):
                commit_bytes(uri, data)
        assert exists(uri) is (there is not None)
        assert there is None or read_bytes(uri) == there
        assert names_in(uri.rpartition("/")[0]) == (set() if there is None else {"file"})


@everywhere
def test_of_many_writers_one_wins_and_the_others_are_told(place: Place) -> None:
    place.set(Faults(refused=0.1, lost_answers=0.2))
    uri, outcomes = place.fresh(), dict[bytes, object]()

    def write(data: bytes) -> None:
        try:
            outcomes[data] = commit_bytes(uri, data)
        except NondeterministicError as error:
            outcomes[data] = error

    writers = [threading.Thread(target=write, args=(b"%d" % n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    refused = {data for data, outcome in outcomes.items() if isinstance(outcome, NondeterministicError)}
    assert len(outcomes) == 8
    assert set(outcomes) - refused == {read_bytes(uri)}


@in_stores
def test_a_create_whose_answer_is_lost_is_a_success(place: Place) -> None:
    assert place.proxy
    place.set(Faults(lost_answers=1.0))
    threading.Timer(0.3, place.set, [Faults()]).start()
    uri = place.fresh()
    commit_bytes(uri, b"once")
    assert read_bytes(uri) == b"once"


@in_stores
def test_a_late_copy_of_a_create_changes_nothing(place: Place) -> None:
    place.set(Faults(late_copies=1.0, late=0.2))
    uri = place.fresh()
    commit_bytes(uri, b"first")
    remaining = commit_bytes(uri, b"second", replace=True)  # and its late copy is the same
    place.set(Faults())
    time.sleep(0.5)
    assert remaining
    assert read_bytes(uri) == b"second"


@in_stores
def test_each_question_is_one_request(place: Place) -> None:
    assert place.proxy
    uri = place.fresh()
    folder = uri.rpartition("/")[0]
    commit_bytes(uri, b"1")  # the client is made

    def asked(what: Callable[[], object]) -> dict[str, int]:
        assert place.proxy
        place.proxy.forget()
        what()
        return place.proxy.counts("method")

    put, head = ("POST", "GET") if uri.startswith("gs:") else ("PUT", "HEAD")
    assert asked(lambda: commit_bytes(f"{folder}/new", b"1")) == {put: 1}
    assert asked(lambda: commit_bytes(f"{folder}/new", b"2", replace=True)) == {put: 1}
    assert asked(lambda: read_bytes(uri)) == {"GET": 1}
    assert asked(lambda: exists(uri)) == {head: 1}
    assert asked(lambda: exists(f"{uri}-not")) == {head: 1}
    assert asked(lambda: is_folder(folder)) == {"LIST": 1}
    assert asked(lambda: is_folder(f"{folder}-not")) == {"LIST": 1}
    assert asked(lambda: names_in(folder)) == {"LIST": 1}
    assert asked(lambda: names_in(f"{folder}-not")) == (
        {"GET": 1, "LIST": 1} if put == "POST" else {"LIST": 1}
    )  # gcsfs looks twice
    with pytest.raises(FileNotFoundError):
        read_bytes(f"{uri}-not")


@in_s3
def test_many_are_removed_in_one_request(place: Place) -> None:
    assert place.proxy
    uris = [place.fresh() for _ in range(30)]
    for uri in uris[:20]:
        commit_bytes(uri, b"1")
    place.proxy.forget()
    remove_all(uris)
    assert place.proxy.counts("method") == {"DELETE": 1}
    assert not any(map(exists, uris))


@in_stores
def test_a_store_that_is_away_is_waited_for_with_one_line(
    place: Place, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = place.proxy
    assert proxy
    monkeypatch.setattr(store_retry, "SILENT_S", 0.2)

    def back(line: str) -> None:
        """Pauses are drawn at random, so no fixed time is surely long enough for a line."""
        told.append(line)
        proxy.gone_for(0)

    monkeypatch.setattr(store_retry, "outage_listeners", [back])
    uri = place.fresh()
    commit_bytes(uri, b"1")
    proxy.gone_for(600)
    assert {read_bytes(uri), *(b"1" for _ in names_in(uri.rpartition("/")[0]))} == {b"1"}
    commit_bytes(f"{uri}-2", b"2")
    assert len(told) == 1
    assert "does not answer" in told[0]
    assert sum(count.again for count in requests().values()) > 0


def test_a_server_that_is_down_or_silent_is_waited_for(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, or nobody takes the connection: other errors of botocore's than those of a connection that breaks."""
    monkeypatch.setattr(store_retry, "SILENT_S", 0.0)
    monkeypatch.setenv("VOXMILL_STORE_WAIT", "0.3")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with ExitStack() as taken, reaching(s3_environment(address)):
            for _ in range(3):  # the queue of connections is full
                one = taken.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(silent.getsockname())
            store = S3Store(config_kwargs={"connect_timeout": 0.1}, skip_instance_cache=True)
            with pytest.raises(StoreError, match="did not answer"):
                store.cat_file("bucket/name")
    with reaching(s3_environment(address)), pytest.raises(StoreError, match="did not answer"):
        read_bytes("s3://bucket/name")
    assert ["ConnectTimeoutError" in line or "EndpointConnectionError" in line for line in told] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("days", [1, -1])
@pytest.mark.parametrize("place", ["seaweedfs"], indirect=True)
def test_a_machine_whose_date_is_wrong_works_by_the_stores(
    place: Place, days: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS refuses dates that are some minutes off, as AWS does; HEAD is refused without a word."""
    real = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: real() + timedelta(days=days))
    uri = place.fresh()
    assert not exists(uri)
    commit_bytes(uri, b"1")
    assert (exists(uri), read_bytes(uri), told) == (True, b"1", [])
    monkeypatch.undo()  # somebody has set the clock
    assert read_bytes(uri) == b"1"


@in_stores
def test_a_passing_fault_is_no_news(place: Place, told: list[str]) -> None:
    place.set(Faults(refused=0.3))
    for _ in range(10):
        commit_bytes(place.fresh(), b"1")
    assert told == []


@in_stores
def test_the_wait_has_an_end_that_says_what_to_do(place: Place, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.proxy
    uri = place.fresh()
    commit_bytes(uri, b"1")
    place.proxy.gone_for(60)
    monkeypatch.setenv("VOXMILL_STORE_WAIT", "0.3")
    began = time.monotonic()
    for ask in (lambda: read_bytes(uri), lambda: exists(uri), lambda: names_in(uri), lambda: commit_bytes(uri, b"1")):
        with pytest.raises(StoreError, match=r"did not answer for .* VOXMILL_STORE_WAIT=SECONDS waits longer") as stopped:
            ask()
        assert "did not answer" in str(machine_fault(stopped.value))
    assert time.monotonic() - began < 4 * 2
    with wait_at_most(0), pytest.raises(StoreError):
        read_bytes(uri)


def test_a_store_that_never_answered_is_given_up_soon_by_who_a_person_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXMILL_STORE_WAIT", raising=False)
    monkeypatch.setattr(attended, "_attended", False)
    health, since = StoreHealth("the store"), time.monotonic() - 20
    assert health.pause("refused", 1, since) >= 0  # a worker waits
    attended.attend()
    with pytest.raises(StoreError, match="check that it runs and can be reached"):
        health.pause("refused", 2, since)
    health.answered()
    assert health.pause("refused", 1, since) >= 0
    monkeypatch.setenv("VOXMILL_STORE_WAIT", "30")
    assert StoreHealth("another").pause("refused", 1, since) >= 0


@in_s3
def test_a_large_file_goes_in_parts_and_survives_lost_answers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Store, "part_size", 5 << 20)
    place.set(Faults(refused=0.1, lost_answers=0.3, cut=0.1))
    blob = random.Random(3).randbytes(11 << 20)
    for replace in (False, False, True):
        with staged(uri := f"{place.root}/large-{replace}") as temp:
            temp.write(blob)
            commit_file(temp, uri, replace=replace)
        assert read_bytes(uri) == blob
    with open_file(uri) as file:
        file.seek(6 << 20)
        assert file.read(1000) == blob[6 << 20 :][:1000]
    with staged(f"{place.root}/large-False") as temp:
        temp.write(blob[1:])
        with pytest.raises(NondeterministicError):
            commit_file(temp, f"{place.root}/large-False")


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_what_waiting_would_not_help_stops_at_once(place: Place, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match="no such bucket") as stopped:
        commit_bytes("s3://another-bucket/file", b"1")
    assert "no such bucket" in str(machine_fault(stopped.value))
    assert time.monotonic() - began < 2
    assert told == []


@pytest.mark.parametrize("wrong", ["soon", "-1", "inf", "nan"])
def test_a_wrong_wait_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("VOXMILL_STORE_WAIT", wrong)
    with pytest.raises(UserError, match=f"VOXMILL_STORE_WAIT={wrong}: not a number of seconds"):
        StoreHealth("a store").pause("HTTP 503", 1, time.monotonic())


def test_without_a_screen_it_is_a_warning_in_the_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_retry, "SILENT_S", 0.0)
    caplog.set_level("INFO", "voxmill.store")
    assert not outage_listeners
    health = StoreHealth("the store at http://here")
    for attempt in range(1, 5):
        health.pause("HTTP 503 SlowDown", attempt, time.monotonic())
    health.answered()
    assert [record.message for record in caplog.records] == [
        "the store at http://here does not answer (HTTP 503 SlowDown): waiting up to 10 min for it; nothing is lost",
        "the store at http://here answers again after 0 s",
    ]


def test_pauses_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_retry, "LONGEST_S", 15.0)
    health, since = StoreHealth("a store"), time.monotonic()
    pauses = [[health.pause("HTTP 503", attempt, since) for _ in range(200)] for attempt in (1, 4, 12)]
    assert [max(some) <= bound for some, bound in zip(pauses, (0.2, 1.6, 15.0), strict=True)] == [True] * 3
    assert max(pauses[0]) > 0.15
    assert max(pauses[2]) > 12
    assert min(pauses[2]) < 3


@in_s3
def test_the_proxy_tells_clients_apart_and_is_steered_from_afar(place: Place) -> None:
    assert place.proxy
    remote = RemoteProxy(place.proxy.url)
    remote.forget()
    remote.faults = Faults(delay=0.01)
    commit_bytes(place.fresh(), b"1")

    assert remote.faults == Faults(delay=0.01)
    assert remote.counts("client") == {f"127.0.0.1 process {os.getpid()}": 1}
    assert remote.counts("status") == {"200": 1}
