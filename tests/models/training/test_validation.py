"""Validation while training: judged on `dev`, the best kept, ended early, averaged; the same after a stop, a kill, and on several ranks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from samples import several
from voxmill.models.checkpoint.checkpoint import load, step_folder, steps_in
from voxmill.models.checkpoint.manifest import read_manifest
from voxmill.models.checkpoint.validation import BEST, DevResult, Validation, best_of, ranked, read_best, read_validations
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.inference.evaluate_split import EvaluationSamples, evaluate_model
from voxmill.models.inference.load import checkpoint_of
from voxmill.models.training.average import averaged
from voxmill.models.training.metrics_log import CURVE, read_log
from voxmill.models.training.recipe import Recipe, load_recipe
from voxmill.models.training.session import estimate, open_trainer, result_of, train, why_over
from voxmill.models.training.trainer import Step
from voxmill.pipeline.cli import app
from voxmill.sharding.sample import Sample

pytestmark = pytest.mark.xdist_group("training")

TINY = """
tokens: {num_subwords: 280}
model:
  fbank: {num_mels: 20}
  encoder: {layers: 1, dim: 16, heads: 2, hidden: 32, kernel: 5}
  decoder: {layers: 1, backward_layers: 0, heads: 2, hidden: 32}
  emoe: {experts: 4, top_k: 2, width: 8, schedule: {experts: [2, 4], top_k: [2], width: [8]}}
data: {plan: {batch_seconds: 8}}
train:
  steps: 6
  rate: {peak: 3.0e-3, warmup: 2}
  average: 0.5
  save_every: 3
  keep: 1
  validation: {every: 2, utterances: 8}
normaliser_batches: 2
"""
Pack = Callable[[Sequence[Sample], Path], Path]
STANDS_STILL = "train.rate.peak=1e-30"
"""A training that does not change its model: the first validation is the best."""


def tiny(folder: Path, *changes: str) -> Recipe:
    (folder / "tiny.yaml").write_text(TINY)
    return load_recipe(str(folder / "tiny.yaml"), changes)


def lines(out: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name not in ("seconds", "waiting")} for line in read_log(out)]


def left_behind(out: Path) -> dict[str, Any]:
    """All that is the same in every run."""
    names = sorted(path.name for path in out.iterdir() if path.is_dir() and path.name != "events")
    manifests = {name: json.loads((out / name / "checkpoint.json").read_text()) for name in names}
    return {"manifests": manifests, "lines": lines(out), "best": (out / BEST).read_text()}


@pytest.fixture(scope="module")
def undisturbed(dev_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole training, with an average of the two best checkpoints."""
    home = tmp_path_factory.mktemp("undisturbed")
    assert train(str(dev_shards), str(home / "out"), averaging(home), "cpu").finished
    return home / "out"


@pytest.fixture(scope="module")
def still(dev_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole training that does not change its model, judged on all that there is. Read only: `copied` goes on from it."""
    home = tmp_path_factory.mktemp("still")
    assert train(str(dev_shards), str(home / "out"), standing(home), "cpu").finished
    return home / "out"


@pytest.fixture
def copied(still: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(still, tmp_path / "out"))


def standing(folder: Path, *changes: str) -> Recipe:
    return tiny(folder, STANDS_STILL, "train.validation.utterances=99", *changes)


def stopped_after(step: int, shards: Path, out: str, recipe: Recipe) -> None:
    """Trains, or goes on, until someone stops it after a step."""
    trainer = open_trainer(str(shards), out, recipe, "cpu")
    trainer.run(out, stop=lambda: trainer.step >= step)


AVERAGING = ("train.average_checkpoints={count: 2, of: best}", "train.validation.measure=loss")


def averaging(folder: Path) -> Recipe:
    return tiny(folder, *AVERAGING)


def test_what_is_found_is_what_evaluate_finds(dev_shards: Path, undisturbed: Path, tmp_path: Path) -> None:
    found = read_validations("", (read_manifest(f"{undisturbed}/step-00000006").training or {})["validations"])
    assert [one.step for one in found] == [2, 4, 6]
    assert [list(one.budgets) for one in found] == [["2:2:8", "4:2:8"]] * 3
    assert found[-1].utterances == 8
    for result in found[-1].budgets.values():
        assert result.loss == pytest.approx(0.3 * (result.parts["ctc"] or 0) + 0.7 * (result.parts["attention"] or 0))
        assert list(result.by_language) == ["zh"]
    assert [line["step"] for line in lines(undisturbed) if line["validation"]] == [2, 4, 6]
    assert (undisturbed / CURVE).exists()
    trainer = open_trainer(str(dev_shards), str(tmp_path), tiny(tmp_path, "train.validation.utterances=99"))
    trainer.advance()
    assert trainer.judge is not None
    judged, samples = trainer.judge(trainer.bundle()), EvaluationSamples(str(dev_shards), SamplerConfig(split="dev"))
    told = evaluate_model(trainer.bundle(), "whole", samples, {"method": "greedy", "tasks": ("asr",)}, lambda _: None)
    assert judged.budgets["4:2:8"].wer == told.figures["text"]["wer"]
    assert judged.utterances == told.utterances == 12


def test_validation_changes_no_step(dev_shards: Path, undisturbed: Path, tmp_path: Path) -> None:
    assert train(str(dev_shards), str(tmp_path / "out"), tiny(tmp_path, "train.validation=null"), "cpu").finished
    unjudged = [{**line, "validation": None, "best": None} for line in lines(undisturbed)]
    assert lines(tmp_path / "out") == unjudged
    ends = [load(f"{out}/step-00000006").model.state_dict() for out in (undisturbed, tmp_path / "out")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_stopped_training_validates_the_same_to_the_bit(dev_shards: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for stop_after in (1, 4, 99):
        stopped_after(stop_after, dev_shards, str(out), averaging(tmp_path))
    assert {**left_behind(out), "lines": []} == {**left_behind(undisturbed), "lines": []}


KILLED_AT = ("committed */step-00000004/model.safetensors", "committed */step-00000004/checkpoint.json")
FORKS = """
import json, os, signal, sys
import matplotlib.figure, torch, torch._dynamo, torch.utils.tensorboard  # which a training would import
from torch import distributed
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.recipe import load_recipe
from voxmill.models.training.session import open_trainer, train
torch.set_num_threads(1)
def killed(shards, home, changes, events):
    os.environ["VOXMILL_EVENTS"] = events
    train(shards, f"{home}/out", load_recipe(f"{home}/tiny.yaml", changes), "cpu")
def rank(shards, home, changes, meeting, rank, dies):
    distributed.init_process_group("gloo", init_method=f"file://{home}/{meeting}", rank=rank, world_size=2)
    trainer = open_trainer(shards, f"{home}/out", load_recipe(f"{home}/tiny.yaml", changes), "cpu", RankGroup.joined())
    trainer.ranks.wait()
    def tell(step):
        if step.step == 4 and rank == 1 and dies:
            os._exit(7)  # while the first rank validates
    with open(f"{home}/{meeting}-{rank}", "w") as file:
        print(trainer.run(f"{home}/out", tell), trainer.step, file=file)
for line in sys.stdin:
    children = []
    for function, *values in json.loads(line):
        children.append(os.fork())
        if not children[-1]:
            os.dup2(2, 1)  # Gloo writes what it does
            signal.alarm(300)
            try:
                globals()[function](*values)
                os._exit(0)
            finally:
                os._exit(1)
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children], flush=True)
"""
"""Runs each line of calls at once, in processes of their own, which need not import torch: that costs more than most trainings here."""
Run = Callable[..., list[int]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs functions of `FORKS` at the same time, and returns their exit codes."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"VOXMILL_ON_COMMIT": "killer:on_event", "PYTHONPATH": path}
    forks = subprocess.Popen([sys.executable, "-c", FORKS], env=environment, stdin=-1, stdout=-1, text=True)

    def tell(*calls: tuple[Any, ...]) -> list[int]:
        assert forks.stdin
        assert forks.stdout
        print(json.dumps(calls), file=forks.stdin, flush=True)
        return list(json.loads(forks.stdout.readline()))

    yield tell
    forks.communicate()


@pytest.mark.parametrize("event", KILLED_AT)
def test_a_kill_loses_no_best_and_doubles_none(
    run: Run, dev_shards: Path, undisturbed: Path, tmp_path: Path, event: str
) -> None:
    (tmp_path / "events.kill-000001").write_text(f"self {event}")
    averaging(tmp_path)
    assert run(("killed", str(dev_shards), str(tmp_path), AVERAGING, str(tmp_path / "events"))) == [-9]
    assert read_best(str(tmp_path / "out")) is not None
    assert train(str(dev_shards), str(tmp_path / "out"), averaging(tmp_path), "cpu").finished
    assert left_behind(tmp_path / "out") == left_behind(undisturbed)


def test_the_best_checkpoint_survives_and_is_what_commands_take(dev_shards: Path, copied: str, tmp_path: Path) -> None:
    done = result_of(copied, standing(tmp_path), True, {})
    assert done.best is not None
    assert (done.best.step, done.best.measure, done.folder) == (2, "wer", step_folder(copied, 6))
    assert steps_in(copied) == [2, 6]
    assert checkpoint_of(copied) == step_folder(copied, 2)
    assert checkpoint_of(step_folder(copied, 6)) == step_folder(copied, 6)
    other = tiny(tmp_path, STANDS_STILL, "train.validation=null", "train.steps=7")  # which judges no more, and so has no best
    assert train(str(dev_shards), copied, other, "cpu").best is None
    assert (steps_in(copied), checkpoint_of(copied)) == ([7], step_folder(copied, 7))


def test_the_average_is_of_parameters_and_is_taken_first(undisturbed: Path) -> None:
    best = [one.step for one in ranked(validations(undisturbed), "loss")][:2]
    assert steps_in(str(undisturbed)) == sorted({*best, 6})
    assert checkpoint_of(str(undisturbed)) == f"{undisturbed}/average-00000006"
    made = load(f"{undisturbed}/average-00000006").model.state_dict()
    parts = [load(step_folder(str(undisturbed), step)).model.state_dict() for step in best]
    for name, tensor in made.items():
        if tensor.is_floating_point() and ".balancer." not in name:
            torch.testing.assert_close(tensor, (parts[0][name] + parts[1][name]) / 2)


def validations(out: Path) -> tuple[Validation, ...]:
    return read_validations("", (read_manifest(f"{out}/step-00000006").training or {})["validations"])


def test_the_average_of_equal_checkpoints_is_each_of_them(undisturbed: Path) -> None:
    one = step_folder(str(undisturbed), 6)
    made, own = averaged([one, one], None).model.state_dict(), load(one).model.state_dict()
    assert all(torch.equal(made[name], own[name]) for name in own)


def test_the_last_ones_are_averaged_wherever_someone_stopped(dev_shards: Path, tmp_path: Path) -> None:
    out, last = str(tmp_path / "out"), tiny(tmp_path, "train.validation=null", "train.average_checkpoints={count: 2}")
    for stop_after in (4, 5, 99):
        stopped_after(stop_after, dev_shards, out, last)
    assert steps_in(out) == [3, 6], "the checkpoints to average are kept, and those of the stops do not count"
    assert load(checkpoint_of(out)).step == 6


def test_patience_ends_a_training_for_good(dev_shards: Path, tmp_path: Path) -> None:
    changes = ("--set", STANDS_STILL, "--set", "train.validation.patience=1", "--device", "cpu")
    tiny(tmp_path)
    command = ["train", "--shards", str(dev_shards), "--out", str(tmp_path / "out"), "-c", str(tmp_path / "tiny.yaml")]
    first = CliRunner().invoke(app, [*command, *changes])
    assert (first.exit_code, steps_in(str(tmp_path / "out"))) == (0, [2, 4])
    assert "validation every 2 steps on 8 of 12 utterances of dev" in first.output
    assert "ended early at step 4: no better dev WER in 1 validation since step 2" in first.output
    assert "best on dev: WER" in first.output
    assert "dev loss" in first.output
    again = CliRunner().invoke(app, [*command, *changes])
    assert again.exit_code == 0
    assert "nothing is left to do: no better dev WER" in again.output
    assert CliRunner().invoke(app, [*command, *changes, "--quiet"]).exit_code == 0
    patient = tiny(tmp_path, STANDS_STILL, "train.validation.patience=9")
    assert why_over(str(tmp_path / "out"), patient) == ""
    assert train(str(dev_shards), str(tmp_path / "out"), patient, "cpu").step == 6


def test_shards_without_dev_are_trained_on_and_it_is_said(shards: Path, tmp_path: Path) -> None:
    found = estimate(str(shards), str(tmp_path / "out"), tiny(tmp_path))
    assert not found.validates
    command = ["train", "--shards", str(shards), "--out", str(tmp_path / "out"), "-c", str(tmp_path / "tiny.yaml")]
    said = CliRunner().invoke(app, [*command, "--dry-run"])
    assert said.exit_code == 0
    assert "nothing is validated" in said.output
    done = train(str(shards), str(tmp_path / "out"), tiny(tmp_path, "train.steps=2"), "cpu")
    assert (done.finished, done.best, (tmp_path / "out" / BEST).exists()) == (True, None, False)


def test_one_rank_judges_all_end_together_and_nobody_waits_for_a_dead_one(run: Run, dev_shards: Path, tmp_path: Path) -> None:
    changes = ("train.accumulate=2", "train.validation.patience=1", STANDS_STILL)
    alone, place = tiny(tmp_path, *changes), [str(dev_shards), str(tmp_path), changes]
    trainer = open_trainer(str(dev_shards), str(tmp_path / "out"), alone, "cpu")
    trainer.save(step_folder(str(tmp_path / "out"), 0))
    first, other = run(*(("rank", *place, "first", rank, True) for rank in (0, 1)))
    assert (first != 0, other) == (True, 7)
    assert steps_in(str(tmp_path / "out")) == [2, 3]
    assert run(*(("rank", *place, "second", rank, False) for rank in (0, 1))) == [0, 0]
    assert [(tmp_path / f"second-{rank}").read_text() for rank in (0, 1)] == ["True 4\n"] * 2
    steps: list[Step] = []
    trainer.run(str(tmp_path / "one"), steps.append)
    mine = [one.validation for one in steps if one.validation]
    state = read_manifest(step_folder(str(tmp_path / "out"), 4)).training or {}
    theirs = read_validations("", state["validations"])
    assert [one.step for one in mine] == [one.step for one in theirs] == [2, 4]
    for one, both in zip(mine, theirs, strict=True):
        assert [result.wer for result in one.budgets.values()] == [result.wer for result in both.budgets.values()]
        assert [r.loss for r in one.budgets.values()] == pytest.approx([r.loss for r in both.budgets.values()], rel=1e-4)


def result(loss: float | None, wer: float | None) -> DevResult:
    return DevResult(loss, {}, wer, {})


def test_the_best_is_the_least_and_what_is_no_number_is_never_it() -> None:
    found = [
        Validation(step, 1, {"2:2:8": result(*small), "4:2:8": result(*large)})
        for step, small, large in (
            (1, (None, 50.0), (1.0, 50.0)), (2, (3.0, 40.0), (3.0, 60.0)), (3, (3.0, None), (3.0, 10.0)), (4, (9.0, 99.0), (1.0, 80.0)),
        )
    ]  # fmt: skip
    assert [one.step for one in ranked(found, "loss")] == [2, 3, 4]
    assert [one.step for one in ranked(found, "wer")] == [2, 1, 4], "of equal errors the one of less loss"
    assert best_of([], "wer") is None
    assert best_of([Validation(1, 0, {"whole": result(None, None)})], "wer") is None


def test_what_is_not_there_is_not_averaged(dev_shards: Path, copied: str, tmp_path: Path) -> None:
    more = standing(tmp_path, "train.steps=8", "train.average_checkpoints={count: 5, of: best}", "train.keep=9")
    assert steps_in(copied) == [2, 6], "of the earlier validations one checkpoint is gone"
    done = train(str(dev_shards), copied, more, "cpu")
    assert (done.finished, done.average) == (True, f"{copied}/average-00000008")


def test_the_best_of_before_stays_until_there_is_one_of_now(dev_shards: Path, copied: str, tmp_path: Path) -> None:
    best = read_best(copied)
    assert best is not None
    assert best.step == 2
    other = tiny(tmp_path, STANDS_STILL, "train.steps=8", "train.validation.utterances=4")
    stopped_after(7, dev_shards, copied, other)  # before the first validation on other samples
    assert (read_best(copied), 2 in steps_in(copied)) == (best, True)
    stopped_after(99, dev_shards, copied, other)
    assert read_best(copied) != best


def test_results_on_other_samples_are_not_compared(dev_shards: Path, pack: Pack, copied: str, tmp_path: Path) -> None:
    recipe = standing(tmp_path)
    assert [one.step for one in open_trainer(str(dev_shards), copied, recipe).validations] == [2, 4, 6]
    held_out = [replace(one, selection=replace(one.selection, split="dev")) for one in several(recordings=2, first=20)]
    more = pack([*several(recordings=1, first=30), *held_out], tmp_path / "more")
    assert open_trainer([str(dev_shards), str(more)], copied, recipe).validations == ()
