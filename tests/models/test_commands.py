"""The commands of a model from end to end, on shards of noise: train, transcribe, evaluate, export, and what they refuse."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner, Result

from networks import SWITCHES, model
from sidecar_shards import member, write_sidecars
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle, load
from voxmill.models.checkpoint.manifest import CheckpointError
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.sampler import NothingToLearn
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.inference import export as delivery
from voxmill.models.inference.evaluate_split import EvaluationSamples, evaluate_model, first_split
from voxmill.models.inference.export import export_model
from voxmill.models.inference.load import budgets_of, checkpoint_of, open_bundle, open_recognizer, parse_budget
from voxmill.models.network.budget import Budget, BudgetError
from voxmill.models.network.size import model_size
from voxmill.pipeline.cli import app
from voxmill.sharding.index import NoShards

pytestmark = pytest.mark.xdist_group("training")

RECIPE = """
tokens: {num_subwords: 280}
model:
  fbank: {num_mels: 20}
  encoder: {layers: 1, dim: 16, heads: 2, hidden: 32, kernel: 5}
  decoder: {layers: 1, backward_layers: 0, heads: 2, hidden: 32}
  emoe: {experts: 4, top_k: 2, width: 8, schedule: {experts: [2, 4], top_k: [2], width: [8]}}
data: {plan: {batch_seconds: 8}}
train: {steps: 3, rate: {peak: 3.0e-3, warmup: 2}}
normaliser_batches: 2
"""


def run(*arguments: str) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("trained")
    (home / "tiny.yaml").write_text(RECIPE)
    done = run("train", "--shards", str(shards), "--out", str(home / "out"), "-c", str(home / "tiny.yaml"), "--device", "cpu")
    assert (done.exit_code, done.exception) == (0, None)
    assert "40 samples" in done.output
    assert "step 3/3" in done.output
    assert "waiting for data" in done.output
    return str(home / "out")


def test_a_dry_run_leaves_nothing(shards: Path, tmp_path: Path) -> None:
    done = run("train", "--shards", str(shards), "--out", str(tmp_path / "out"), "-c", "taste", "--dry-run")
    assert (done.exit_code, (tmp_path / "out").exists()) == (0, False)
    assert "batches an epoch" in done.output


def test_a_dry_run_says_shares_memory_and_too_many_epochs(shards: Path, tmp_path: Path) -> None:
    root = write_sidecars(tmp_path / "more", [member(str(i), 2, "zh") for i in range(9)] + [member("cy", 2, "cy")])
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    change = (
        "--set",
        "data.plan.sample={by: [language], temperature: 0.5}",
        "--set",
        "tokens.language=[zh, cy]",
        "--steps",
        "9000",
    )
    done = run(
        "train", "--shards", str(shards), "--shards", root, "--out", str(tmp_path / "out"), "-c", str(tmp_path / "tiny.yaml"), *change,
        "--dry-run",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = {words[0]: words[1:] for line in done.output.splitlines() if (words := line.split())}
    assert (lines["zh"][0], lines["cy"][0]) == ("49", "1")
    assert float(lines["cy"][2].rstrip("%")) > 10
    assert lines[str(shards)][0] == "40"
    assert "memory: at least" in done.output
    assert "and a model learns them by heart: take --steps" in done.output


def test_what_was_trained_transcribes(trained: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 24_000), 16_000)
    soundfile.write(tmp_path / "short.wav", np.zeros(800), 16_000)
    files = [str(tmp_path / "a.wav"), str(tmp_path / "short.wav"), "nowhere.mp3"]
    done = run("transcribe", *files, "--model", trained, "--budget", "2", "--tasks", "lid", "--json")
    good, short, bad = map(json.loads, done.stdout.splitlines())
    assert (done.exit_code, bad["error"], good["error"]) == (1, "No such file or directory", None)
    assert list(good["segments"][0]["labels"]) == ["language"]
    assert good["segments"][0]["words"] == []  # no words were asked for
    done = run("transcribe", files[0], "--model", trained, "--decode", "beam", "--beam", "2", "--json")
    (segment,) = json.loads(done.stdout)["segments"]
    for word in segment["words"]:
        assert 0 <= word["start"] < word["end"] <= 1.5
        assert 0 < word["confidence"] <= 1
    assert (short["seconds"], short["text"], short["error"]) == (0.05, "", None)


def test_what_was_trained_is_evaluated_for_each_budget(trained: str, shards: Path) -> None:
    where = ("--where", "seconds < 1.2", "--budgets", "2,4", "--decode", "greedy")
    done = run("evaluate", "--model", trained, "--shards", str(shards), *where, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["split"] == "train"  # there is no other
    small, whole = report["budgets"]
    assert (small["budget"], whole["budget"]) == ("2:2:8", "4:2:8")
    assert small["stored"] < whole["stored"]
    assert (small["utterances"], small["audio_seconds"]) == (10, 10.0)
    assert small["figures"]["text"]["words"] == 10 * 4
    assert set(small["figures"]["choices"]) == {"language", "gender"}
    for_people = run("evaluate", "--model", trained, "--shards", str(shards), *where, "--limit", "2", "--beam", "3")
    assert "language macro F1 %" in for_people.output
    assert "what a model has seen" in for_people.output


def test_what_was_trained_is_exported_in_every_format(trained: str, tmp_path: Path) -> None:
    done = run("export", "--model", trained, "--budget", "2", "--out", str(tmp_path / "small"), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["difference"] == 0.0
    emoe = load(str(tmp_path / "small")).model.config.emoe
    assert emoe is not None
    assert emoe.experts == 2
    done = run("export", "--model", trained, "--format", "onnx", "--out", str(tmp_path / "onnx"))
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {
        "encoder.onnx",
        "decoder.onnx",
        "tokens.model",
        "model.json",
    }
    assert "largest difference" in done.output
    done = run("export", "--model", trained, "--format", "sherpa-onnx", "--out", str(tmp_path / "live"))
    assert "it has no transducer (model.transducer)" in str(done.exception)
    done = run("export", "--model", trained, "--format", "onnx", "--chunk", "8", "--out", str(tmp_path / "live"))
    assert "--format sherpa-onnx" in str(done.exception)
    assert not (tmp_path / "live").exists()


def test_an_export_that_is_another_model_is_refused_and_leaves_nothing(
    trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = open_bundle(trained)
    for difference in (2e-3, float("nan")):
        monkeypatch.setattr(delivery, "largest_difference", lambda *_, value=difference: value)
        with pytest.raises(UserError, match="not exported: the largest difference"):
            export_model(bundle, None, "onnx", str(tmp_path / "bad"))
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(UserError, match="not empty"):
        export_model(bundle, None, "safetensors", str(tmp_path / "full"))


def test_damaged_shards_are_counted_and_the_rest_is_judged(trained: str, shards: Path, tmp_path: Path) -> None:
    shutil.copytree(shards, tmp_path / "shards")
    tar = min((tmp_path / "shards").glob("*.tar"))
    tar.write_bytes(bytes(len(tar.read_bytes())))
    samples = EvaluationSamples(str(tmp_path / "shards"), SamplerConfig(where="seconds < 1.2", batch_seconds=10.0))
    asked: dict[str, Any] = {"method": "greedy"}
    trial = evaluate_model(open_bundle(trained), "whole", samples, asked, lambda _: None)
    assert trial.skipped["damaged"] >= 1
    assert trial.utterances + trial.skipped["damaged"] == len(samples) == 10


def test_evaluation_without_samples_is_an_error(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToLearn, match="where tier = 'weak'"):
        EvaluationSamples(str(shards), SamplerConfig(where="tier = 'weak'"))
    with pytest.raises(NoShards, match="holds no"):
        first_split(str(tmp_path))


def test_a_folder_is_a_checkpoint_or_a_training(trained: str, tmp_path: Path) -> None:
    assert checkpoint_of(trained) == f"{trained}/step-00000003" == checkpoint_of(f"{trained}/step-00000003")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint_of(str(tmp_path))


def test_what_is_asked_of_a_model_has_to_be_there(trained: str, tokens: Tokenizer) -> None:
    bundle = open_bundle(trained)
    with pytest.raises(UserError, match="has not learnt age; its tasks: asr, language, gender, sound_events"):
        open_recognizer(bundle, tasks=("lid", "age"))
    with pytest.raises(UserError, match="`decode`: Input should be"):
        open_recognizer(bundle, method="guess")
    with pytest.raises(UserError, match="no transducer"):
        open_recognizer(bundle, method="transducer")
    with pytest.raises(UserError, match="no translation token"):
        open_recognizer(bundle, translate_to="tlh")
    with pytest.raises(BudgetError, match="larger than the model"):
        parse_budget(bundle, "9")
    dense = Bundle(model(vocabulary=len(tokens)), tokens, TargetsConfig())
    with pytest.raises(BudgetError, match="one size"):
        parse_budget(dense, "2")
    with pytest.warns(UserWarning, match="here it only listens"):
        open_recognizer(Bundle(model("vision", vocabulary=len(tokens)), tokens, TargetsConfig()))
    assert budgets_of(dense, "all") == budgets_of(dense, None) == [None]
    assert budgets_of(bundle, "2, 4:1") == [Budget(2, 2, 8), Budget(4, 1, 8)]
    assert budgets_of(bundle, "all") == list(bundle.trained)


def test_active_parameters_are_those_that_one_frame_meets() -> None:
    expert = (16 * 8 + 8) + (8 * 16 + 16)
    dense, elastic = model(), model("emoe")
    # two feed-forward layers in each of 2 encoder layers, one in each of 2 + 1 decoder layers; 5 experts of which 2 are asked
    assert model_size(elastic).stored - model_size(elastic).active == (2 * 2 + 2 + 1) * 3 * expert
    assert model_size(dense).stored == model_size(dense).active == sum(p.numel() for p in dense.parameters())
    guided = model("smoe")
    assert model_size(guided).active == model_size(dense).active  # one of two experts, each as large as the dense layer
    seeing = model("vision")
    vision = sum(p.numel() for name, p in seeing.named_parameters() if ".moe." in name)
    assert model_size(seeing).stored - model_size(seeing).active == vision
    assert model_size(model(*SWITCHES)).active < model_size(model(*SWITCHES)).stored
    with torch.device("meta"):
        assert model_size(type(elastic)(elastic.config)) == model_size(elastic)
