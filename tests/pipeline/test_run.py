"""A run in a bucket, and what a driver that is turned away leaves of one."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import fsspec
import pytest

from voxmill.manifests.commit import commit_bytes
from voxmill.operators.crawl.gate import GateSettings
from voxmill.pipeline import cli, line
from voxmill.pipeline.commands import running
from voxmill.pipeline.execution import executor, gates
from voxmill.pipeline.execution.gates import open_gate
from voxmill.pipeline.reports.verify import _check_index
from voxmill.pipeline.state.run import Run, exists, names_in, read_bytes
from voxmill.sharding.index import INDEX, write_index
from voxmill.sharding.sidecar import ShardSummary, commit_document


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ENDPOINT_URL", f"http://{host}:{port}"), ("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    fsspec.filesystem("s3").mkdir("somebucket")
    yield "s3://somebucket"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_what_is_committed_after_a_folder_was_listed_is_there(bucket: str) -> None:
    commit_bytes(f"{bucket}/run/first", b"1")
    assert names_in(f"{bucket}/run") == {"first"}
    commit_bytes(f"{bucket}/run/second", b"2")
    assert exists(f"{bucket}/run/second")
    assert read_bytes(f"{bucket}/run/second") == b"2"
    assert names_in(f"{bucket}/run") == {"first", "second"}


def test_a_gate_that_learned_nothing_writes_nothing(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    with open_gate("local", run, GateSettings()) as gate, open_gate("local", run, GateSettings()):
        gate.report("host.example", 429, retry_after=1000.0)
    saved = (tmp_path / "hosts.json").read_text()
    assert "host.example" in saved
    with open_gate("local", run, GateSettings()):  # as a second driver does before the lease turns it away
        (tmp_path / "hosts.json").write_text("what the first one saved meanwhile")
    assert (tmp_path / "hosts.json").read_text() == "what the first one saved meanwhile"


def test_the_index_is_part_of_the_proof(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    shard = ShardSummary(
        "train-cc0-00000-000", "train", "cc0", 0, 1, 0, 0, 1, 1, 16000, 1.0, "a.tar", 1, "x", "a.parquet", 1, "y", "z"
    )
    commit_bytes(f"{run.shards_dir}/{shard.name}.json", commit_document(shard))
    assert [p.split(":")[0] for p in _check_index(run)] == ["missing"]
    write_index(run.shards_dir)
    assert list(_check_index(run)) == []
    Path(run.shards_dir, f"{shard.name}.json").unlink()
    assert [p.split(":")[0] for p in _check_index(run)] == ["extra"]
    Path(run.shards_dir, INDEX).write_bytes(b"no Parquet")
    assert [p.split(":")[0] for p in _check_index(run)] == ["damaged"]


@pytest.mark.parametrize(
    ("out", "address", "opened", "told"),
    [
        ("runs/one", "auto", "HERE/runs/one", True),
        ("runs/one", None, "runs/one", False),
        ("s3://bucket/one", "auto", "s3://bucket/one", False),
    ],
)
def test_a_cluster_is_told_where_a_run_lies_whatever_its_working_directory(
    out: str,
    address: str | None,
    opened: str,
    told: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    roots = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(executor, "open_executor", lambda *_: None)
    monkeypatch.setattr(gates, "open_gate", lambda kind, run, rules: nullcontext())
    monkeypatch.setattr(line, "run_line", lambda config, run, *_, **__: roots.append(run.root))
    running.run("demo", out, "ray", address, until="list", quiet=True)
    assert roots == [opened.replace("HERE", str(tmp_path))]
    assert ("shared storage" in capsys.readouterr().err) == told


def test_a_full_disk_is_one_line_and_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(error: Exception) -> Callable[[], None]:
        def run() -> None:
            raise error

        return run

    monkeypatch.setattr(cli, "app", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(SystemExit):
        cli.main()
    assert "the disk is full: make room" in capsys.readouterr().err
    monkeypatch.setattr(cli, "app", failing(OSError(errno.ENOTDIR, "Not a directory")))
    with pytest.raises(NotADirectoryError):
        cli.main()
