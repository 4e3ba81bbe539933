"""What `voxmill run` hands on, and what it says."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from voxmill.pipeline import line
from voxmill.pipeline.commands import running
from voxmill.pipeline.config import ConfigError
from voxmill.pipeline.execution import executor, gates


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
        running.run("demo", str(tmp_path / "one"), **asked)
    assert not (tmp_path / "one").exists()
