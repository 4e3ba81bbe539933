"""A training as the command runs it: surveyed, logged, stopped, gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from samples import several
from sidecar_shards import member, write_sidecars
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import latest, load
from voxmill.models.common.device import choose_device
from voxmill.models.data.sampler import NothingToLearn
from voxmill.models.training.metrics_log import CURVE, EVENTS, LOG, MetricsLog, draw_curve, read_log
from voxmill.models.training.recipe import Recipe, learnt_tokens, load_recipe, recipe_names
from voxmill.models.training.session import check_folder, estimate, open_trainer, train, with_overrides
from voxmill.models.training.trainer import Step
from voxmill.sharding.index import read_index
from voxmill.sharding.sample import Sample
from voxmill.sharding.sidecar import read_members

Pack = Callable[[Sequence[Sample], Path], Path]
TINY = """
tokens: {num_subwords: 280}
model:
  fbank: {num_mels: 20}
  encoder: {layers: 1, dim: 16, heads: 2, hidden: 32, kernel: 5}
  decoder: {layers: 1, backward_layers: 0, heads: 2, hidden: 32}
  emoe: {experts: 4, top_k: 2, width: 8, schedule: {experts: [2, 4], top_k: [2], width: [8]}}
data: {plan: {batch_seconds: 8}}
train: {steps: 4, rate: {peak: 3.0e-3, warmup: 2}, save_every: 2}
normaliser_batches: 2
"""
TRANSLATED: tuple[str, ...] = ()
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    file = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    file.write_text(TINY)
    return load_recipe(str(file))


@pytest.fixture(scope="module")
def undisturbed(shards: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A whole training. Read only."""
    out = str(tmp_path_factory.mktemp("undisturbed"))
    assert train(str(shards), out, recipe).finished
    return out


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in ("seconds", "waiting")}


def step(number: int, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "step": number, "loss": 10.0 / number, "parts": {"ctc": 1.0}, "rate": 1e-3, "gradient_norm": 1.0, "updated": True,
        "budget": "3:2:8", "utterances": 4, "audio_seconds": 8.0, "expert_peak": 0.1, "seconds": 0.5, "waiting": 0.1,
        "skipped": {"audio": 1},
    }  # fmt: skip
    return Step(**values | changes)


def test_a_survey_says_what_would_be_learnt_without_learning(shards: Path, tmp_path: Path, recipe: Recipe) -> None:
    found = estimate(str(shards), str(tmp_path / "out"), recipe)
    assert (found.samples, found.done, found.skipped) == (40, 0, {})
    assert found.seconds == pytest.approx(10 * (1 + 1.5 + 2 + 2.5))
    assert found.epochs == 4 / found.batches
    assert 0 < found.size.active < found.size.stored
    assert not (tmp_path / "out").exists()


def test_a_condition_that_nothing_meets_is_an_error_that_says_so(shards: Path, tmp_path: Path, recipe: Recipe) -> None:
    changed = with_overrides(recipe, where="language = 'en'")
    with pytest.raises(NothingToLearn, match=r"no sample of split 'train' in .* where language = 'en'"):
        estimate(str(shards), str(tmp_path), changed)
    with pytest.raises(UserError, match="no column 'colour'"):
        estimate(str(shards), str(tmp_path), with_overrides(recipe, where="colour = 'red'"))


def test_a_stopped_training_goes_on_to_the_same_end(shards: Path, undisturbed: str, tmp_path: Path, recipe: Recipe) -> None:
    stopped = str(tmp_path / "b")

    def interrupt(done: Step) -> None:
        if done.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    first = train(str(shards), stopped, recipe, listeners=[interrupt])
    assert (first.finished, first.step, first.folder) == (False, 3, f"{stopped}/step-00000003")
    second = train(str(shards), stopped, recipe)
    assert (second.finished, second.step) == (True, 4)
    logs = [[without_times(line) for line in read_log(Path(folder))] for folder in (undisturbed, stopped)]
    assert logs[0] == logs[1]
    ends = [load(str(latest(folder))).model.state_dict() for folder in (undisturbed, stopped)]
    assert all(bool((ends[0][name] == ends[1][name]).all()) for name in ends[0])
    assert (tmp_path / "b" / CURVE).read_bytes().startswith(PNG)
    assert list((tmp_path / "b" / EVENTS).iterdir())


def test_another_recipe_does_not_go_on_in_the_same_folder(shards: Path, tmp_path: Path, recipe: Recipe) -> None:
    out = str(tmp_path / "out")
    open_trainer(str(shards), out, recipe)
    with pytest.raises(UserError, match=r"another recipe: data\.plan\.where \(None before, tier = 'high' now\)"):
        open_trainer(str(shards), out, with_overrides(recipe, where="tier = 'high'"))
    assert open_trainer(str(shards), out, with_overrides(recipe, steps=9)).config.steps == 9


def test_a_training_does_not_go_among_the_shards_and_says_where_it_read_before(
    shards: Path, tmp_path: Path, recipe: Recipe
) -> None:
    for inside in (shards, shards / "model"):
        with pytest.raises(UserError, match="which is handed on as it is: take another --out"):
            check_folder(str(shards), str(inside), recipe)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        check_folder(str(shards), str(tmp_path / "loop"), recipe)
    out = str(tmp_path / "out")
    assert check_folder(str(shards), out, recipe) is None
    open_trainer(str(shards), out, recipe)
    assert check_folder(str(shards), out, recipe) is None
    assert check_folder(str(tmp_path / "others"), out, recipe) == str(shards.resolve())


def test_several_folders_of_shards_are_one_training(shards: Path, tmp_path: Path, recipe: Recipe, pack: Pack) -> None:
    more, out = pack(several(recordings=2, first=20), tmp_path / "more"), str(tmp_path / "out")
    both = [str(shards), str(more)]
    plan = recipe.data.plan.model_copy(update={"root_weights": (1.0, 1.0)})
    rules = {"case": "lower", "punctuation": "remove"}
    example = recipe.data.example.model_validate({"targets": {"text": rules}})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"plan": plan, "example": example})})
    found = estimate(both, out, recipe)
    assert [(one.name, one.samples, round(one.share, 6)) for one in found.roots] == [(both[0], 40, 0.5), (both[1], 8, 0.5)]
    assert found.roots[1].rate == pytest.approx(5 * found.roots[0].rate, rel=1e-6)
    assert train(both, out, with_overrides(recipe, steps=2)).finished
    assert check_folder(both, out, recipe) is None
    assert check_folder(both[0], out, recipe) == ", ".join(os.path.realpath(root) for root in both)
    with pytest.raises(UserError, match="lies in"):
        check_folder(both, str(more / "model"), recipe)
    assert load(train(both, out, recipe).folder).targets.text.model_dump() == rules
    undisturbed = train(both, str(tmp_path / "other"), recipe)
    logs = [[without_times(line) for line in read_log(Path(folder))] for folder in (out, tmp_path / "other")]
    assert (undisturbed.finished, logs[0]) == (True, logs[1])


def test_the_tokeniser_learns_the_text_under_the_rules(tmp_path: Path, recipe: Recipe) -> None:
    root = write_sidecars(tmp_path / "shards", [member(name, 2) for name in ("HELLO", "THERE,", "Hello.")])
    for rules, capital in (({}, True), ({"case": "lower", "punctuation": "remove"}, False)):
        example = recipe.data.example.model_validate({"targets": {"text": rules}})
        changed = recipe.model_copy(update={"data": recipe.data.model_copy(update={"example": example})})
        pieces = learnt_tokens(root, changed, None, None)
        names = "".join(pieces.name(i) for i in range(258, pieces.num_subwords))
        assert any(letter.isupper() for letter in names) is capital


def test_memory_is_said_where_it_is_asked_for(shards: Path, tmp_path: Path, recipe: Recipe) -> None:
    assert estimate(str(shards), str(tmp_path / "out"), recipe).memory is None
    memory = estimate(str(shards), str(tmp_path / "out"), recipe, memory=True).memory
    assert memory is not None
    assert 0 < memory.parameters < memory.optimizer < memory.activations


def test_languages_that_cannot_be_learnt_are_said_before(shards: Path, tmp_path: Path, recipe: Recipe) -> None:
    def knowing(*languages: str) -> Recipe:
        return recipe.model_copy(update={"tokens": recipe.tokens.model_copy(update={"language": languages})})

    assert estimate(str(shards), str(tmp_path), recipe).unlearnt == ""
    counts = Counter(
        row.language for shard in read_index(str(shards)) if shard.split == "train" for row in read_members(str(shards), shard)
    )
    first, *others = sorted(language for language in counts if language)
    if others:
        said = ", ".join(f"{one} ({counts[one]})" for one in others)
        assert estimate(str(shards), str(tmp_path), knowing(first)).unlearnt.startswith(
            f"{said}; add them to `tokens.language`"
        )
    for attempt in (estimate, open_trainer):
        with pytest.raises(NothingToLearn, match=r"add them to `tokens.language`|unknown_token"):
            attempt(str(shards), str(tmp_path / "out"), knowing("pl"))


def test_only_what_was_labelled_is_taught(shards: Path, undisturbed: str, tmp_path: Path, recipe: Recipe) -> None:
    done = load(str(latest(undisturbed)))
    assert done.taught == ("asr", "language", "gender", "sound_events")
    assert done.translated == TRANSLATED
    copy = shutil.copytree(undisturbed, tmp_path / "out")
    assert open_trainer(str(shards), str(copy), with_overrides(recipe, steps=5)).bundle().translated == TRANSLATED


def test_the_log_forgets_steps_that_are_done_again(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as journal:
        for number in (1, 2, 3):
            journal(step(number))
    (tmp_path / LOG).open("a").write('{"step": 4, "parts": {}')  # a crash in the middle of a line
    with MetricsLog(tmp_path, 2) as journal:
        journal(step(3, loss=float("nan"), gradient_norm=float("inf"), updated=False, expert_peak=None, budget=None))
    found = read_log(tmp_path)
    assert [line["step"] for line in found] == [1, 2, 3]
    assert (found[2]["loss"], found[2]["gradient_norm"]) == (None, None)  # as JSON has no other word for it
    assert (tmp_path / CURVE).read_bytes().startswith(PNG)


def test_without_a_step_there_is_no_curve(tmp_path: Path) -> None:
    assert not draw_curve([], tmp_path / CURVE)
    assert not (tmp_path / CURVE).exists()


def test_the_shipped_recipes_are_recipes() -> None:
    assert recipe_names() == ["compact", "dense", "taste", "whisper"]
    for name in recipe_names():
        emoe, experts = load_recipe(name).model.emoe, 6 if name == "whisper" else 15
        assert emoe is None if name == "dense" else emoe and (emoe.experts, emoe.shared, emoe.top_k) == (experts, 1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {encoder: {layer: 3}}", "unknown key `model.encoder.layer`; did you mean `layers`?"),
        ("model: {emoe: {expert: 3}}", "unknown key `model.emoe.expert`; did you mean `experts`?"),
        ("train: {steps: 0}", "`train.steps`: Input should be greater than or equal to 1"),
        ("data: {example: {targets: {style: activated}}}", "switch model.tasks on"),
        ("- a", "holds a list, no mapping"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_wrong_recipe_is_an_error_that_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_recipe(str(tmp_path / "mine.yaml"))
    assert message in str(error.value)


def test_a_recipe_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UserError, match="compact, dense, taste"):
        load_recipe("nowhere")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="device tpu9 cannot be used"):
        choose_device("tpu9")
    assert choose_device("cpu").type == "cpu"


def test_a_log_is_json_to_any_reader(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as journal:
        journal(step(1, loss=float("inf")))

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    assert json.loads((tmp_path / LOG).read_text(), parse_constant=refuse)["loss"] is None
