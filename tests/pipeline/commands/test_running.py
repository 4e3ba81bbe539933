"""What `voxmill run` hands on, and what it says."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from speech.packaged import TWO_CITIES
from voxmill.pipeline import preflight
from voxmill.pipeline import runner as line
from voxmill.pipeline.commands import running
from voxmill.pipeline.execution import host_limit_server as gates
from voxmill.pipeline.execution import open_executor
from voxmill.pipeline.load_config import ConfigError
from voxmill.pipeline.state.run import Run


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
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: [])
    monkeypatch.setattr(open_executor, "open_executor", lambda *_, **__: None)
    monkeypatch.setattr(gates, "open_gate", lambda kind, run, rules: nullcontext())
    monkeypatch.setattr(line, "run_line", lambda config, run, *_, **__: roots.append(run.root))
    running.run(out, config="demo", executor="ray", address=address, until="list", quiet=True)
    assert roots == [opened.replace("HERE", str(tmp_path))]
    assert ("shared storage" in capsys.readouterr().err) == told


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"until": "train"}, "not `train`"),
        ({"executor": "spark"}, "not `spark`"),
        ({"retry": ["crawl.netwrk"]}, "did you mean `crawl.network`"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        running.run(str(tmp_path / "one"), config="demo", **asked)
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(("address", "reach"), [("10.0.0.1:6379", "cluster"), (None, "machine")])
def test_inside_a_job_of_a_cluster_the_cluster_is_joined(
    address: str | None, reach: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would connect to `RAY_ADDRESS`, and workers on other machines could not reach a gate of this one."""
    asked: list[Any] = []

    def gate(where: str, *_: object) -> nullcontext[None]:
        asked.append(where)
        return nullcontext()

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: [])
    monkeypatch.setattr(open_executor, "open_executor", lambda kind, address, workers, **_: asked.append(address))
    monkeypatch.setattr(gates, "open_gate", gate)
    monkeypatch.setattr(line, "run_line", lambda *_, **__: None)
    running.run(str(tmp_path / "one"), config="demo", executor="ray", until="list", quiet=True)
    assert asked == [address, reach]


def test_at_its_end_a_run_says_where_its_shards_are(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    assert "no shards, because nothing was kept" in running._what_next(run, running._num_shards(run))
    metadata = tmp_path / "shards" / "__metadata__"
    metadata.mkdir(parents=True)
    (metadata / "train-cc0-1_0-00000-000.json").write_text("{}")
    assert running._what_next(run, running._num_shards(run)) == f"1 shard in {tmp_path}/shards; next: voxmill verify {tmp_path}"


def test_a_run_that_kept_nothing_says_what_helps(tmp_path: Path) -> None:
    root = str(tmp_path / "run")
    running.run(root, ["http://10.1.2.3/feed.xml"], contact="tests@example.org", language="en", executor="local")
    assert running._what_helps(root) == ["crawl.private_address: list the host in `crawl.allow_private` if it is yours"]


def test_before_anything_is_listed_a_dry_run_does_not_say_that_nothing_is_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: [])
    (tmp_path / "talk.wav").write_bytes(TWO_CITIES.path.read_bytes())
    running.run(str(tmp_path / "run"), [str(tmp_path / "talk.wav")], language="en", licence="cc0-1.0", dry_run=True)
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("segment")]
    assert line.split()[-2:] == ["0", "?"]
    assert "is known when the sources have been listed" in said
