"""From a config to stages, and what commands make of a run that another version wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voxmill.pipeline.build import as_written, build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import no_gate, open_gate
from voxmill.pipeline.load_config import ConfigError, parse_config
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.stage_builder import StageBuilder
from voxmill.pipeline.state.run import Run


def config(**changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "sources": [{"name": "a", "path": "/nowhere/a.wav"}],
        "crawl": {"contact": "tests@example.org"},
        "transcribe": [{"kind": "moonshine", "name": "m", "model": "moonshine-tiny-en"}],
    }
    return parse_config(settings | changes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": {"seconds": 0}},
        {"pack": {"buckets": 0}},
        {"pack": {"shard_mb": 0}},
        {"executor": {"resources": {"decode": {"workers": 0}}}},
    ],
)
def test_sizes_that_cannot_work_are_refused_before_any_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="greater than"):
        config(**wrong)


def test_stating_workers_does_not_take_an_engines_gpu_away(tmp_path: Path) -> None:
    settings = config(executor={"resources": {"transcribe:m": {"workers": 4}}})
    line = StageBuilder(settings, Run(str(tmp_path)), no_gate())
    assert line.cost("transcribe:m", Resources(cpus=0.4, gpus=0.5)) == Resources(workers=4, cpus=0.4, gpus=0.5)


def test_a_run_of_another_version_is_read_where_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxmill.pipeline.stage_builder.identity", lambda model: "")
    state = {"buckets": 1, "config": config().model_dump(mode="json"), "fingerprints": {"segment": "as-it-was"}}
    run = Run(str(tmp_path))
    run.save(state)
    _, stages = as_written(run)
    assert stages["segment"].fingerprint == "as-it-was"


def stages_of(tmp_path: Path, **changes: Any) -> dict[str, Stage]:
    settings = config(**changes)
    run = Run(str(tmp_path))
    with open_gate("machine", run, settings.crawl) as gate:
        return build(settings, run, gate)


def test_labellers_are_stages_and_off_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxmill.pipeline.stage_builder.identity", lambda model: "")
    text, ends = {"kind": "text_language"}, {"kind": "endpoints"}
    off, on = stages_of(tmp_path), stages_of(tmp_path, label=[text, ends])
    assert not [name for name in off if name.startswith("label")]
    assert [name for name in on if name.startswith("label")] == ["label:text", "label:vad_ends", "label"]
    assert on["select"].fingerprint == off["select"].fingerprint, "labels change no verdict"
    assert set(on["label:text"].reads) >= {"segment", "reconcile"}
    assert "reconcile" not in on["label:vad_ends"].reads
    changed = stages_of(tmp_path, label=[{**text, "min_chars": 3}, ends])
    assert {name for name in on if changed[name].fingerprint != on[name].fingerprint} == {"label:text", "label"}


def test_what_a_labeller_reads_must_be_there() -> None:
    with pytest.raises(ConfigError, match="label heard: no engine `whisperx`"):
        config(label=[{"kind": "heard_language"}])
    with pytest.raises(ConfigError, match=r"labels.prefer.language: no labeller `txt`; did you mean `text`"):
        config(label=[{"kind": "text_language"}], labels={"prefer": {"language": ["txt"]}})
    with pytest.raises(ConfigError, match="labeller names must differ"):
        config(label=[{"kind": "text_language"}, {"kind": "text_language"}])
