"""Other rules on what the engines have heard: texts, tiers and shards follow, and no engine runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from speech.packaged import TWO_CITIES
from voxmill.manifests.errors import UserError
from voxmill.pipeline.build import build
from voxmill.pipeline.cli import app
from voxmill.pipeline.execution.host_limit_server import no_gate, open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.reruns.reselect import Revoted, changed_config, revote
from voxmill.pipeline.resolve import CONFIG, resolve_config
from voxmill.pipeline.resolve.saved_config import keep
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.terminal.progress import Progress

SETTINGS: dict[str, Any] = {
    "sources": [{"name": "two-cities", "path": "two-cities.wav", "language": "en", "licence": "cc0-1.0"}],
    "crawl": {"contact": "tests@example.org"},
    "transcribe": [
        {"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"},
        {"kind": "pocketsphinx", "name": "sphinx"},
    ],
    "reconcile": {"prefer": {"*": ["moonshine"]}},
    "select": {"high": 0.1, "weak": 0.1, "unlabelled": 0.0},
    "pack": {"buckets": 1, "shard_mb": 1},
    "executor": {"kind": "local", "workers": 1},
}
SECONDS = 15
"""Of the recording: pocketsphinx takes long."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("source") / "two-cities.wav"
    soundfile.write(path, TWO_CITIES.samples()[: SECONDS * 16000], 16000)
    return SETTINGS | {"sources": [SETTINGS["sources"][0] | {"path": str(path)}]}


@pytest.fixture(scope="module")
def finished(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run, config = Run(str(tmp_path_factory.mktemp("revote") / "run")), parse_config(settings)
    with open_gate("machine", run, config.crawl) as gate:
        run_line(config, run, LocalExecutor(in_process=True), gate, Progress(quiet=True))
    return Path(run.root)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    shutil.copytree(finished, tmp_path / "run")
    return Run(str(tmp_path / "run"))


def again(run: Run, *changes: str) -> Revoted:
    config = changed_config(run.written(), changes, run.uri("run.json"))
    return revote(run, config, LocalExecutor(in_process=True), Progress(quiet=True))


def heard(run: Run) -> dict[str, float]:
    """Every table of hypotheses and when it was written."""
    return {str(path): path.stat().st_mtime for path in Path(run.root, "manifests").glob("transcribe-*/**/*")}


def shards(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(run.root, "shards").iterdir() if path.is_file()}


@pytest.mark.slow
@pytest.mark.xdist_group("line")
def test_another_preference_changes_texts_and_shards_without_an_engine(run: Run) -> None:
    before, packed = heard(run), shards(run)
    found = again(run, "reconcile.prefer={'*': [sphinx]}")
    assert heard(run) == before
    assert 0 < found.texts <= found.segments == sum(found.before.values()) == sum(found.after.values())
    assert shards(run) != packed
    config = parse_config(run.load()["config"])
    assert config.reconcile.prefer == {"*": ("sphinx",)}
    assert not verify(run, build(config, run, no_gate())).problems
    assert again(run, "reconcile.prefer={'*': [moonshine]}").texts == found.texts
    assert shards(run) == packed


@pytest.mark.slow
@pytest.mark.xdist_group("line")
def test_another_threshold_changes_tiers_only(run: Run) -> None:
    found = again(run, "select.high=1.0", "select.weak=1.0")
    assert found.texts == 0
    assert found.tiers == found.before["high"] - found.after["high"] > 0


@pytest.mark.slow
@pytest.mark.xdist_group("line")
def test_the_command_says_it_for_machines(run: Run) -> None:
    said = CliRunner().invoke(app, ["revote", run.root, "--set", "select.high=1.0", "--quiet", "--json"])
    found = json.loads(said.stdout.splitlines()[-1])
    assert (said.exit_code, found["texts"]) == (0, 0)
    assert sum(found["before"].values()) == sum(found["after"].values()) == found["segments"]


@pytest.mark.slow
@pytest.mark.xdist_group("line")
def test_what_an_engine_has_not_heard_cannot_be_voted_on(run: Run) -> None:
    config = parse_config(run.load()["config"])
    stage = build(config, run, no_gate())["transcribe:sphinx"]
    ledger = run.ledger
    ledger.forget({stage.key: ledger.chunk_files(stage)})
    with pytest.raises(RunError, match="transcribe:sphinx lacks 1 of 1 units: finish the run"):
        again(run, "select.high=0.5")


@pytest.mark.slow
@pytest.mark.xdist_group("line")
def test_a_revote_is_written_into_the_config_of_the_run_so_that_the_next_run_keeps_it(
    run: Run, settings: dict[str, Any]
) -> None:
    ask = ["revote", run.root, "--set", "select.high=1.0", "--quiet"]
    assert "put this into the config: select.high=1.0" in CliRunner().invoke(app, ask).stdout  # it has none of its own
    keep(run, yaml.safe_dump(settings))
    said = CliRunner().invoke(app, [*ask, "--set", "select.weak=0.9"])
    assert (said.exit_code, "config:" in said.stdout) == (0, False)
    chosen = {"high": 1.0, "weak": 0.9, "unlabelled": 0.0}
    assert yaml.safe_load(Path(run.root, CONFIG).read_text())["select"] == chosen
    assert resolve_config(None, None, run.root).config.select.weak == 0.9


@pytest.mark.slow
@pytest.mark.xdist_group("line")
def test_a_run_that_is_not_packed_to_its_end_is_not_exported_as_a_whole(run: Run, tmp_path: Path) -> None:
    ask = ["export-data", run.root, "--to", "jsonl", "--quiet", "--out", str(tmp_path / "export")]
    assert CliRunner().invoke(app, ask).exit_code == 0
    run.ledger.append({"packed": ""})
    with pytest.raises(UserError, match="is not packed to its end"):
        CliRunner().invoke(app, ask, catch_exceptions=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("transcribe.0.model=x", "with a KEY under reconcile or select"),
        ("select.high", "write KEY=VALUE"),
        ("select.hihg=0.5", "did you mean `high`"),
        ("select.high.low=1", "`high` holds a value"),
        ("select.high=0.2", "thresholds must fall|thresholds"),
    ],
)
def test_a_wrong_change_is_refused_with_the_fix(change: str, said: str) -> None:
    state = {"config": parse_config(SETTINGS | {"select": {}}).model_dump(mode="json")}
    with pytest.raises(UserError, match=said):
        changed_config(state, [change], "run.json")
