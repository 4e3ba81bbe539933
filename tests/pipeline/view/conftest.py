"""A small run of real speech, heard by two engines that disagree here and there; another of the same with a lower threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from disagreeing import ENGINES
from speech.packaged import TWO_CITIES
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress
from voxmill.pipeline.view.answers import Viewer


def make_run(root: Path, **select: float) -> Path:
    """Runs it to its shards. A second source cannot be read, so that something is lost before there are segments."""
    bad = root.parent / "no-audio.wav"
    bad.write_bytes(b"RIFF, but no sound")
    source: dict[str, Any] = {"path": str(TWO_CITIES.path), "language": "en", "licence": "cc0-1.0", "domain": "audiobook"}
    config = parse_config(
        {
            "sources": [{"name": "two-cities", **source}, {**source, "name": "bad", "path": str(bad)}],
            "crawl": {"contact": "tests@example.org"},
            "transcribe": ENGINES,
            "segment": {"max_seconds": 4},
            "select": {"rate_fence": None, "high": 0.9, "weak": 0.7, "unlabelled": 0.5, **select},
            "pack": {"buckets": 1, "shard_mb": 1},
        }
    )
    run = Run(str(root))
    with open_gate("machine", run, config.crawl) as gate:
        run_line(config, run, LocalExecutor(in_process=True), gate, Progress(quiet=True), until="pack")
    return root


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("view") / "talks")


@pytest.fixture(scope="session")
def laxer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("view") / "laxer", weak=0.55)


@pytest.fixture(scope="session")
def viewer(seen: Path, laxer: Path, tmp_path_factory: pytest.TempPathFactory) -> Viewer:
    """For tests that only ask: opening two runs takes longer than most answers."""
    return Viewer(str(seen), str(laxer), str(tmp_path_factory.mktemp("marks")))


@pytest.fixture
def own_viewer(seen: Path, laxer: Path, tmp_path: Path) -> Viewer:
    """For tests that mark, or change what the connection holds."""
    return Viewer(str(seen), str(laxer), str(tmp_path))
