"""What a run reads beside its sources is looked at before anything is written."""

from __future__ import annotations

from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from voxmill.manifests.errors import UserError
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"crawl": {"contact": "a@example.org", "deny_files": ["nosuch.txt"]}}, "no deny-list at nosuch.txt"),
        ({"select": {"calibration": "nosuch.json"}}, "no calibration at nosuch.json"),
        ({"duplicates": {"by": ["text"], "evaluation": ["nosuch.jsonl"]}}, "no evaluation set at nosuch.jsonl"),
        ({"duplicates": {"by": ["text"], "evaluation": ["cut.jsonl"]}}, "cut.jsonl, line 2 is not valid JSON"),
        pytest.param(
            {"duplicates": {"by": ["acoustic"], "evaluation": ["sounds"]}},
            "sounds/a.wav cannot be decoded",
            marks=pytest.mark.skipif(not find_library("chromaprint"), reason="the C library Chromaprint is not installed"),
        ),
        ({"duplicates": {"by": ["text"], "against": ["nosuch"]}}, "no run at nosuch"),
        ({"duplicates": {"by": ["text"], "against": ["run"]}}, "run is the run itself"),
        ({"transcribe": [{"kind": "moonshine", "name": "m", "model": "nosuch"}]}, "weights 'nosuch'"),
    ],
)
def test_nothing_is_written_where_an_input_cannot_be_read(
    parts: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cut.jsonl").write_text('{"text": "a"}\n{"text')
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.wav").write_text("no sound")
    settings = {
        "sources": [{"name": "source", "path": "/nowhere/a.wav"}],
        "crawl": {"contact": "tests@example.org"},
        "transcribe": [{"kind": "moonshine", "name": "m", "model": "moonshine-tiny-en"}],
    }
    with pytest.raises((UserError, RuntimeError), match=said):
        run_line(parse_config(settings | parts), Run("run"), LocalExecutor(in_process=True), no_gate(), Progress(quiet=True))
    assert not (tmp_path / "run").exists()
