"""The whole line on a real recording with real engines, and what `voxmill verify` says when something is taken away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
import soundfile
from nbclient import NotebookClient
from rich.console import Console
from typer.testing import CliRunner

from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.errors import UserError
from voxmill.manifests.records import Segment
from voxmill.pipeline.build import build
from voxmill.pipeline.cli import app
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.executor import NO_BOOKS, Books, Job, Report
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import dump_config, parse_config
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.runner import Until, run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("line")]


def config(**changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "sources": [{"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": "cc0-1.0"}],
        "crawl": {"contact": "tests@example.org"},
        "units": {"seconds": 25},
        "transcribe": [{"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}],
        "select": {"single_high": 0.6, "single_weak": 0.4, "single_unlabelled": 0.2},
        "pack": {"buckets": 1, "shard_mb": 1},
    }
    return parse_config(settings | changes)


def go(root: Path, settings: RunConfig, until: Until = "pack", screen: StringIO | None = None) -> Run:
    run = Run(str(root))
    progress = Progress(Console(file=screen)) if screen else Progress(quiet=True)
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, progress, until=until)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("line") / "run"
    go(root, config())
    return root


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Run:
    shutil.copytree(finished, tmp_path / "run")
    return Run(str(tmp_path / "run"))


def problems(run: Run) -> list[str]:
    settings = parse_config(run.load()["config"])
    return verify(run, build(settings, run)).problems


def everything(root: Path) -> dict[str, bytes]:
    """All files but what is measured, and the journal, which tells when things were done."""
    differ = (".costs.", "hosts", "journal")
    files = [p for p in root.rglob("*") if p.is_file() and not any(part in str(p.relative_to(root)) for part in differ)]
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


def heard(run: Run) -> dict[str, int]:
    """The tables of hypotheses, and when they were written."""
    return {p.name: p.stat().st_mtime_ns for p in Path(run.root, "manifests", "transcribe-moonshine").rglob("*.parquet")}


def test_a_finished_run_holds(finished: Path) -> None:
    assert problems(Run(str(finished))) == []
    rows = json.loads(
        CliRunner().invoke(app, ["stats", str(finished), "--json", "--sql", "SELECT count(*) AS n FROM samples"]).output
    )
    assert rows[0]["n"] > 0


def test_the_same_command_again_changes_nothing(copied: Run) -> None:
    before = everything(Path(copied.root))
    go(Path(copied.root), config())
    assert everything(Path(copied.root)) == before


def test_of_a_run_that_goes_on_it_is_not_said_that_nothing_is_listed(copied: Run, tmp_path: Path) -> None:
    stopped, finished = StringIO(), StringIO()
    for _ in range(2):
        go(tmp_path / "stopped", config(), "crawl", stopped)
    go(Path(copied.root), config(), screen=finished)
    assert "were listed before" not in stopped.getvalue()
    assert "all sources were listed before" in finished.getvalue()


def test_two_runs_of_one_config_are_equal(finished: Path, tmp_path: Path) -> None:
    go(tmp_path / "other", config())
    first, second = everything(finished), everything(tmp_path / "other")
    assert {k: v for k, v in first.items() if k != "run.json"} == {k: v for k, v in second.items() if k != "run.json"}


def test_a_lost_shard_is_named_and_made_again(copied: Run) -> None:
    (tar,) = Path(copied.root, "shards").glob("*.tar")
    body = tar.read_bytes()
    tar.unlink()
    assert any("missing" in p and tar.name in p for p in problems(copied))
    go(Path(copied.root), config())
    assert tar.read_bytes() == body
    assert problems(copied) == []


def test_a_lost_table_is_named_and_made_again(copied: Run) -> None:
    (chunk,) = copied.ledger.chunk_files(build(config(), copied)["transcribe:moonshine"])
    file = Path(copied.uri(chunk.rows))
    body = file.read_bytes()
    file.unlink()
    assert any("transcribe:moonshine" in p for p in problems(copied))
    go(Path(copied.root), config())
    assert file.read_bytes() == body


def test_what_a_listing_made_is_made_by_nobody_else(copied: Run) -> None:
    (table,) = Path(copied.root, "manifests", "units").rglob("*.parquet")
    kept = table.read_bytes()
    table.unlink()
    assert any("nothing makes them again" in one for one in problems(copied))
    with pytest.raises(UserError, match="nothing makes it again: restore it"):
        go(Path(copied.root), config())
    table.write_bytes(kept)
    go(Path(copied.root), config())
    assert problems(Run(copied.root)) == []


def test_costs_that_are_gone_are_no_reason_to_hear_anything_again(copied: Run) -> None:
    for costs in Path(copied.root, "manifests").rglob("*.costs.parquet"):
        costs.unlink()
    run = go(Path(copied.root), config())
    assert problems(run) == []
    assert open_catalog(run.root, "costs").execute("SELECT count(*) FROM costs WHERE stage <> 'pack'").fetchone() == (0,)


class Stopping:
    """An executor that has workers at work, and is stopped in good order."""

    def run(self, jobs: Sequence[Job], report: Report, books: Books = NO_BOOKS) -> None:
        books.in_flight([f"{jobs[0].name} {key}" for key in jobs[0].keys])
        raise StageError("the GPU is taken")


def test_a_driver_that_ends_its_workers_suspects_nobody(copied: Run) -> None:
    settings = config(select={"single_high": 0.7, "single_weak": 0.4, "single_unlabelled": 0.2})
    for _ in range(2):
        with open_gate("machine", copied, settings.crawl) as gate, pytest.raises(StageError, match="taken"):
            run_line(settings, copied, Stopping(), gate, Progress(quiet=True))
    state = Run(copied.root).ledger.state
    assert (state.in_flight, state.suspected) == ([], {})


def test_a_licence_stated_later_needs_no_recogniser(copied: Run) -> None:
    before = heard(copied)
    source = {"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": "cc-by-4.0"}
    go(Path(copied.root), config(sources=[source]))
    assert {p.name.split("-")[1] for p in Path(copied.root, "shards").glob("*.tar")} == {"cc"}
    assert all("cc-by-4_0" in p.name for p in Path(copied.root, "shards").glob("*.tar"))
    assert heard(copied) == before
    assert problems(copied) == []


def test_a_failed_fetch_can_be_retried(tmp_path: Path) -> None:
    missing = tmp_path / "later.wav"
    settings = config(sources=[{"name": "later", "path": str(missing), "language": "en", "licence": "cc0-1.0"}])
    run = go(tmp_path / "run", settings)
    assert [r.rejection and r.rejection.reason for r in run.listing.each_recording()] == ["list.unreadable"]
    soundfile.write(missing, TWO_CITIES.samples()[: 10 * 16000], 16000)
    go(tmp_path / "run", settings)
    assert len([*run.listing.each_recording()]) == 1
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, Progress(quiet=True), retry=["list.unreadable"])
    assert [r.rejection is None for r in run.listing.each_recording()] == [False, True]
    assert problems(run) == []


def test_an_engine_gets_a_fingerprint_of_its_own(finished: Path) -> None:
    run = Run(str(finished))
    other = config(transcribe=[{"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en", "languages": ["en"]}])
    old, new = build(config(), run), build(other, run)
    changed = {name for name in old if old[name].fingerprint != new[name].fingerprint}
    assert changed == {"transcribe:moonshine", "reconcile", "select"}


def test_segments_tile_every_unit(finished: Path) -> None:
    run = Run(str(finished))
    stages = build(config(), run)
    for unit in run.listing.each_unit():
        segments: list[Segment] = run.ledger.read(stages["segment"], unit.id)
        assert sum(s.num_samples for s in segments) == unit.num_samples


def test_user_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run at"):
        Run(str(tmp_path)).load()


def test_the_notebook_runs_on_any_run(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMILL_RUN", str(finished))
    notebook = nbformat.read(  # type: ignore[no-untyped-call]
        Path(__file__).parents[2] / "notebooks" / "explore.ipynb", as_version=4
    )
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert {"image/svg+xml", "text/markdown", "text/html"} <= {kind for one in shown for kind in one.get("data", ())}
    assert any("<audio" in one.get("data", {}).get("text/html", "") for one in shown)


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_ctrl_c_stops_cleanly_and_the_same_command_continues(executor: str, finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config()))
    command = [
        str(Path(sys.executable).with_name("voxmill")),
        "run",
        "-c",
        str(path),
        "-o",
        str(tmp_path / "run"),
        "--executor",
        executor,
    ]
    heeding = ["env", "--default-signal=INT"]  # a shell's background jobs ignore it, and so would ours
    process = subprocess.Popen(
        [*heeding, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("run/manifests/units/*/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # it is about to hear
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "the same command continues" in output
    assert "Traceback" not in output
    assert not (tmp_path / "run" / "lease.json").exists()
    assert subprocess.run([*command, "--quiet"], check=False, capture_output=True).returncode == 0
    for shard in (finished / "shards").glob("*.tar"):
        assert (tmp_path / "run" / "shards" / shard.name).read_bytes() == shard.read_bytes()
