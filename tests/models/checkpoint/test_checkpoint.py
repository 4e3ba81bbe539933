from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from networks import SWITCHES, conditions, features, model
from networks import tokens as some_tokens
from voxmill.models.checkpoint.checkpoint import Bundle, TrainingState, latest, load, load_training, prune, save, step_folder
from voxmill.models.checkpoint.manifest import COMMIT, MODEL, TOKENS, CheckpointError, seal
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.network.budget import Budget

BUDGETS = (Budget(1, 1, 4), Budget(3, 2, 8), Budget(5, 2, 8))


@pytest.fixture
def bundle(tokens: Tokenizer) -> Bundle:
    return Bundle(model(*SWITCHES, vocabulary=len(tokens)), tokens, TargetsConfig(style="activated"), 7, BUDGETS)


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    save(str(tmp_path / "model"), bundle)
    return tmp_path / "model"


def forge(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Changes the JSON, and makes the digests right again: a tamperer who knows the format."""
    document = json.loads((folder / COMMIT).read_text())
    document["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in document["sha256"]}
    change(document)
    document["seal"] = seal(document)
    (folder / COMMIT).write_text(json.dumps(document))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load(str(folder))


def test_what_is_saved_is_loaded(bundle: Bundle, folder: Path) -> None:
    again = load(str(folder))
    assert (again.step, again.trained, again.targets, again.tokens.digest) == (7, BUDGETS, bundle.targets, bundle.tokens.digest)
    assert again.model.config == bundle.model.config
    assert not again.model.training
    feature_BTM, length_B = features(50, 30)
    given = conditions(2, *SWITCHES)
    assert torch.equal(
        again.model(feature_BTM, length_B, some_tokens(2), given).forward_BUV,
        bundle.model(feature_BTM, length_B, some_tokens(2), given).forward_BUV,
    )


def test_saving_twice_gives_the_same_bytes(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    save(str(tmp_path / "again"), load(str(folder)))
    for name in (MODEL, TOKENS, COMMIT):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_budget_outside_training_warns(bundle: Bundle) -> None:
    small = bundle.extract(BUDGETS[1])
    assert small.trained == BUDGETS[:2]
    with pytest.warns(UserWarning, match="budget 2:2:8 was never trained.*1:1:4, 3:2:8, 5:2:8"):
        bundle.extract(Budget(2, 2, 8))


def test_an_extracted_model_makes_the_round_trip(bundle: Bundle, tmp_path: Path) -> None:
    save(str(tmp_path / "small"), bundle.extract(BUDGETS[1]))
    assert load(str(tmp_path / "small")).model.config == bundle.model.config.cut(BUDGETS[1])


@pytest.mark.parametrize("name", [MODEL, TOKENS])
def test_a_changed_or_missing_file_is_refused(folder: Path, name: str) -> None:
    blob = bytearray((folder / name).read_bytes())
    blob[-1] ^= 1
    (folder / name).write_bytes(blob)
    refused(folder, f"{name}: differs from its digest")
    (folder / name).unlink()
    refused(folder, f"{name}: is missing")


def test_without_its_json_it_is_no_checkpoint(folder: Path) -> None:
    (folder / COMMIT).unlink()
    refused(folder, "is no checkpoint")


def tamper(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / MODEL)
    change(tensors)
    save_file(tensors, folder / MODEL)
    forge(folder)


def test_tensors_that_do_not_fit_are_refused_by_name(folder: Path) -> None:
    tamper(folder, lambda tensors: tensors.update({"ctc.bias": torch.zeros(3)}))
    refused(folder, "ctc.bias is torch.float32 (3,), the config says")


def test_missing_and_unknown_tensors_are_refused_by_name(folder: Path) -> None:
    tamper(folder, lambda tensors: tensors.update({"ctc.colour": tensors.pop("ctc.bias")}))
    refused(folder, "misses ctc.bias")
    tamper(folder, lambda tensors: tensors.update({"ctc.bias": tensors["ctc.colour"].clone()}))
    refused(folder, "holds ctc.colour, which the model does not have")


def test_numbers_that_are_none_are_refused(folder: Path) -> None:
    tamper(folder, lambda tensors: tensors["ctc.weight"][0, 0].fill_(float("nan")))
    refused(folder, "ctc.weight holds NaN or infinite numbers")


def test_another_tokeniser_is_refused(folder: Path, tokens: Tokenizer) -> None:
    (folder / TOKENS).write_bytes(Tokenizer.train(["other words"], TokenizerConfig(num_subwords=280)).subwords)
    forge(folder)
    refused(folder, "is another tokeniser than the model was trained with")
    (folder / TOKENS).write_bytes(b"no model at all")
    forge(folder)
    refused(folder, f"{folder}/{TOKENS}")


def test_another_vocabulary_is_refused(folder: Path) -> None:
    forge(folder, lambda document: document["model"].update(vocabulary=5))
    refused(folder, "tokens, the model was trained with 5")


def test_a_config_that_is_none_is_refused_by_its_field(folder: Path) -> None:
    forge(folder, lambda document: document["model"]["encoder"].update(layers="many"))
    refused(folder, "encoder.layers: Input should be a valid integer")


def test_a_newer_format_is_refused(folder: Path) -> None:
    forge(folder, lambda document: document.update(format=99))
    refused(folder, "upgrade voxmill")


def test_a_pickle_is_never_opened(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    (folder / MODEL).write_bytes(pickle.dumps(Trap()))
    forge(folder)
    refused(folder, f"{folder}/{MODEL}")
    assert not (tmp_path / "sprung").exists()


def test_training_state_comes_back_and_its_absence_is_said(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    moment = torch.arange(float(len(bundle.tokens)))
    state = TrainingState({"optimizer.exp_avg.ctc.bias": moment}, {"loader": {"epoch": 1, "index": 2}})
    save(step_folder(str(tmp_path), 12), bundle, state)
    again = load_training(step_folder(str(tmp_path), 12))
    assert again.values == state.values
    assert torch.equal(again.tensors["optimizer.exp_avg.ctc.bias"], moment)
    with pytest.raises(CheckpointError, match="no training state"):
        load_training(str(folder))


def test_the_latest_is_the_last_that_is_whole(bundle: Bundle, tmp_path: Path) -> None:
    root = str(tmp_path / "run")
    assert latest(root) is None
    for step in (5, 40, 300):
        save(step_folder(root, step), bundle)
    (Path(step_folder(root, 300)) / COMMIT).unlink()
    assert latest(root) == step_folder(root, 40)


def test_old_checkpoints_are_removed_and_what_is_left_of_them(bundle: Bundle, tmp_path: Path) -> None:
    root = tmp_path / "run"
    for step in (5, 40, 300):
        save(step_folder(str(root), step), bundle)
    (root / "step-00000005" / COMMIT).unlink()  # not whole: what a kill left of it
    (root / "step-00000400").mkdir()  # one that is being written
    prune(str(root), 1)
    assert sorted(path.name for path in root.iterdir()) == ["step-00000300", "step-00000400"]
    prune(str(root), 1)
    assert latest(str(root)) == f"{root}/step-00000300"


def of_format_2(folder: Path, bias: float) -> None:
    """As it was written before routers had balancers."""
    tensors = load_file(folder / MODEL)
    gates = [name for name in tensors if name.endswith(".router.gate.weight")]
    old = {name: tensor for name, tensor in tensors.items() if ".balancer." not in name}
    old |= {name.replace("gate.weight", "bias_E"): torch.full((len(tensors[name]),), bias) for name in gates}
    save_file(old, folder / MODEL)
    forge(folder, lambda document: document.update(format=2))


def test_a_checkpoint_from_before_routers_had_balancers_is_read(tokens: Tokenizer, tmp_path: Path) -> None:
    by_loss = SWITCHES["emoe"].model_copy(update={"balance": "loss"})
    net = model("smoe", "vision", "tasks", vocabulary=len(tokens), emoe=by_loss)
    folder = tmp_path / "model"
    save(str(folder), Bundle(net, tokens, TargetsConfig(style="activated"), 7, BUDGETS))
    of_format_2(folder, 0.0)
    again = load(str(folder)).model
    feature_BTM, length_B = features(50, 30)
    given = conditions(2, *SWITCHES)
    ours, theirs = (one(feature_BTM, length_B, some_tokens(2), given).forward_BUV for one in (net, again))
    assert torch.equal(ours, theirs)


def test_a_bias_of_before_is_refused(folder: Path) -> None:
    of_format_2(folder, 0.1)
    refused(folder, "balanced by the bias of an earlier voxmill: train it again")
