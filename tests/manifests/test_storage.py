from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from voxmill.manifests.storage import (
    NondeterministicError,
    commit_bytes,
    commit_events,
    commit_file,
    locate,
    remove,
    staged,
    sweep,
)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(commit_events, "events", [lambda event, uri: told.append((event, uri))])
    return told


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket on a server of this machine, reached through the environment as a real one is."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with contextlib.suppress(FileExistsError):  # every moto of a process has the same buckets
            locate("s3://bucket/x")[0].mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["local", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "new" / "folder")
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def read(uri: str) -> bytes:
    fs, path = locate(uri)
    blob: bytes = fs.cat_file(path)
    return blob


def names(folder: str) -> list[str]:
    fs, path = locate(folder)
    return sorted(name.rsplit("/", 1)[-1] for name in fs.ls(path, detail=False))


def test_a_name_is_committed_once_and_for_all(folder: str, heard: list[tuple[str, str]]) -> None:
    uri = f"{folder}/part.parquet"
    assert commit_bytes(uri, b"one") is True
    assert commit_bytes(uri, b"one") is False
    with pytest.raises(NondeterministicError, match=r"part\.parquet is committed"):
        commit_bytes(uri, b"two")
    assert read(uri) == b"one"
    assert names(folder) == ["part.parquet"]
    assert heard[:2] == [("staged", uri), ("committed", uri)]
    assert heard[-1] == ("staged", uri)


def test_replace_overwrites(folder: str) -> None:
    uri = f"{folder}/list.json"
    assert commit_bytes(uri, b"one", replace=True) is True
    assert commit_bytes(uri, b"two", replace=True) is True
    assert read(uri) == b"two"


def test_files_are_committed_like_bytes(folder: str) -> None:
    uri = f"{folder}/big.tar"
    for blob in (b"x" * 3_000_000, b"x" * 3_000_000):
        with staged(uri) as temp:
            temp.write(blob)
            commit_file(temp, uri)
    with staged(uri) as temp:
        temp.write(b"other")
        with pytest.raises(NondeterministicError):
            commit_file(temp, uri)
    assert read(uri) == b"x" * 3_000_000
    assert names(folder) == ["big.tar"]


def test_remove_says_whether_it_was_there(folder: str, heard: list[tuple[str, str]]) -> None:
    uri = f"{folder}/a"
    commit_bytes(uri, b"1")
    commit_bytes(f"{folder}/b", b"1")
    assert remove(uri) is True
    assert remove(uri) is False
    assert names(folder) == ["b"]
    assert [event for event, _ in heard].count("removed") == 1


def test_a_second_writer_at_the_same_moment_is_refused(folder: str) -> None:
    """The store itself decides, when it creates the name; a look before that would be too early."""
    uri = f"{folder}/raced"

    def intrude(event: str, _: str) -> None:
        if event == "staged":
            commit_bytes(uri, b"theirs", on_event=lambda *_: None)

    with pytest.raises(NondeterministicError):
        commit_bytes(uri, b"ours", on_event=intrude)
    assert read(uri) == b"theirs"


def test_a_failed_write_leaves_nothing(folder: str) -> None:
    commit_bytes(f"{folder}/other", b"1")

    def crash(event: str, uri: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commit_bytes(f"{folder}/part", b"1", on_event=crash)
    assert names(folder) == ["other"]


def test_the_error_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(NondeterministicError("uri", "a" * 64, "b" * 64)))
    assert isinstance(error, NondeterministicError)
    assert (error.uri, error.old) == ("uri", "a" * 64)


KILLER = """
import os, signal
def strike(event, uri):
    if event == "staged":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_sigkill_between_write_and_rename_leaves_a_temp_that_sweep_finds(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "data").mkdir()
    code = f"from voxmill.manifests.storage import commit_bytes; commit_bytes({str(tmp_path / 'data' / 'part')!r}, b'1')"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "VOXMILL_ON_COMMIT": "killer:strike"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -signal.SIGKILL
    left = names(str(tmp_path / "data"))
    assert len(left) == 1
    assert left[0].startswith(".part.")
    assert sweep(tmp_path / "data", "another") == 0
    assert sweep(tmp_path / "data") == 1
    assert names(str(tmp_path / "data")) == []


def test_sweep_spares_a_file_in_work(tmp_path: Path) -> None:
    with staged(tmp_path / "part") as temp:
        assert sweep(tmp_path) == 0
        temp.write(b"1")
        assert commit_file(temp, tmp_path / "part") is True
    assert names(str(tmp_path)) == ["part"]


def test_filesystems_without_hard_links_get_a_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    assert commit_bytes(tmp_path / "a", b"1") is True
    assert commit_bytes(tmp_path / "a", b"1") is False
    with pytest.raises(NondeterministicError):
        commit_bytes(tmp_path / "a", b"2")
    assert names(str(tmp_path)) == ["a"]


def test_file_urls_are_local(tmp_path: Path) -> None:
    commit_bytes(f"file://{tmp_path}/a", b"1")
    assert fsspec.filesystem("file").cat_file(f"{tmp_path}/a") == b"1"
