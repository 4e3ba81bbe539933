"""Models that start from tiny networks of transformers: equal to them, tuned, saved and used."""

# mypy: allow-untyped-decorators
from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import networks
import tiny_pretrained
from tiny_owsm import GOLDEN
from tiny_pretrained import KINDS, heard, relative, started, vendor_frames
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle, latest, load
from voxmill.models.common.tokenizer import TokenizerConfig
from voxmill.models.data.sampler_config import sampler_config
from voxmill.models.inference.evaluate_split import EvaluationSamples, evaluate_model
from voxmill.models.inference.export import export_model
from voxmill.models.inference.recognizer import Recognizer
from voxmill.models.network.budget import Budget
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.layers import ElasticConfig
from voxmill.models.network.model import Conditions, SpeechModel
from voxmill.models.network.pretrained.ctranslate2_file import MODEL_FILE, read_whisper
from voxmill.models.network.pretrained.lora import is_lora
from voxmill.models.network.pretrained.open_start import open_start
from voxmill.models.network.pretrained.start_config import StartConfig
from voxmill.models.training.pretrained_start import is_frozen, pretrained_tokens, rate_share
from voxmill.models.training.recipe import Recipe, load_recipe, prepare
from voxmill.models.training.session import estimate, open_trainer

WINDOWED = ("whisper", "owsm")
WAVES = [np.random.default_rng(seed).normal(0, 0.1, size).astype(np.float32) for seed, size in enumerate((20_000, 13_777))]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pretrained")
    shutil.copytree(GOLDEN, root / "owsm")
    return {"owsm": root / "owsm", **{kind: tiny_pretrained.write(kind, root / kind) for kind in KINDS}}


def recipe(folder: Path, parts: str = "encoder", start: dict[str, Any] | None = None, **model: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "tokens": {"num_subwords": 280},
            "model": {
                "start": {"model": str(folder), "parts": parts, **(start or {})},
                "decoder": {"layers": 1, "backward_layers": 0, "heads": 2, "hidden": 32},
                "ctc": parts == "encoder",
                **model,
            },
            "data": {"plan": {"batch_seconds": 8}, "example": {"targets": {"tasks": ["asr", "language"]}}},
            "train": {"steps": 2, "rate": {"peak": 1e-2, "warmup": 1}, "save_every": 1, "dynamic_chunk": False},
        }
    )


SMALL = {"decoder": {"layers": 1, "backward_layers": 0, "heads": 2, "hidden": 32}}


def begun(folder: Path, parts: str = "encoder", **model: Any) -> SpeechModel:
    return started(folder, parts, **({} if parts == "all" else SMALL), **model)[0]


def tuned(shards: Path, out: Path, given: Recipe) -> tuple[dict[str, torch.Tensor], Bundle]:
    """(The parameters that a training began with, the model that it left.)"""
    trainer = open_trainer(str(shards), str(out), given, "cpu")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    assert trainer.run(str(out))
    return before, load(latest(str(out)) or "")


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_an_adapter_hears_what_its_vendor_does_in_any_batch(kind: str, folders: dict[str, Path]) -> None:
    model = begun(folders[kind])
    feature_BTM, length_B = heard(model, WAVES)
    encoded = model.encode(feature_BTM, length_B)
    for row, wave in enumerate(WAVES):
        theirs, frames = vendor_frames(folders[kind], wave), int(encoded.length_B[row])
        assert frames == model.config.features.num_encoded(int(length_B[row]))
        assert frames == pytest.approx(len(wave) / 16 / model._sound.frame_ms, abs=3)
        assert kind == "whisper" or 0 <= len(theirs) - frames <= (kind == "w2v-bert")  # whose half stack is masked
        assert relative(encoded.frame_BTD[row, :frames], theirs[:frames]) <= 1e-3
    assert model._sound.depth == 2
    assert encoded.frame_BTD.shape[-1] == tiny_pretrained.DIM


@torch.no_grad()
def test_a_pretrained_decoder_says_what_its_vendor_does(folders: dict[str, Path]) -> None:
    import transformers

    model = begun(folders["whisper"], "all")
    net = transformers.WhisperForConditionalGeneration.from_pretrained(folders["whisper"]).eval()
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folders["whisper"])
    token_BU = torch.tensor([[5, 270, 9, 281, 7], [1, 2, 3, 4, 8]])
    theirs = net(
        extractor(WAVES, sampling_rate=16_000, return_tensors="pt")["input_features"], decoder_input_ids=token_BU
    ).logits
    ours = model.decode(token_BU + 1, model.encode(*heard(model, WAVES)))
    assert relative(ours[..., 1 : 1 + theirs.shape[-1]], theirs) <= 1e-3


@pytest.mark.parametrize("quantization", [None, "float16", "int8"])
def test_whisper_is_read_as_ctranslate2_writes_it(quantization: str | None, folders: dict[str, Path], tmp_path: Path) -> None:
    import transformers
    from ctranslate2.converters.transformers import WhisperLoader

    net = transformers.WhisperForConditionalGeneration.from_pretrained(folders["whisper"])
    if quantization == "float16":
        net = net.half().float()  # what 16 bits hold
    spec = WhisperLoader().get_model_spec(net)
    spec.register_vocabulary([str(number) for number in range(net.config.vocab_size)])
    spec.validate()
    spec.optimize(quantization)
    spec.save(str(tmp_path))
    if quantization == "int8":
        with pytest.raises(ValueError, match=r"is quantised \(int8\): take a file of 16 or 32 bit floats"):
            read_whisper(tmp_path / MODEL_FILE)
        return
    found = read_whisper(tmp_path / MODEL_FILE)
    theirs = net.model.state_dict()
    assert found.tensors.keys() == theirs.keys()
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, theirs[name]), name
    assert found.network == {key: getattr(net.config, key) for key in found.network}
    (tmp_path / MODEL_FILE).write_bytes((tmp_path / MODEL_FILE).read_bytes()[:-900])
    with pytest.raises(UserError, match=r"model\.bin ends too early: get it again"):
        prepare("", recipe(tmp_path))


@torch.no_grad()
def test_a_sequence_said_token_by_token_is_the_whole_one(folders: dict[str, Path]) -> None:
    model = begun(folders["whisper"], "all")
    encoded, cache = model.encode(*heard(model, WAVES)), DecoderCache()
    token_BU = torch.tensor([[5, 270, 9, 281, 7], [1, 2, 3, 4, 8]])
    whole = model.decode(token_BU, encoded)
    parts = [model.decode(part, encoded, cache=cache) for part in token_BU.split([2, 1, 2], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="41 tokens, this decoder has places for 40"):
        model.decode(torch.ones(2, 36, dtype=torch.long), encoded, cache=cache)


@pytest.mark.parametrize("shared", [0, 1])
@torch.no_grad()
def test_experts_begin_as_the_pretrained_layers(shared: int, folders: dict[str, Path]) -> None:
    top_k = 4 - shared
    emoe = ElasticConfig(experts=2 * top_k, shared=shared, top_k=top_k, width=16, scale=top_k, dropout=0)
    dense, elastic = begun(folders["whisper"], "all"), begun(folders["whisper"], "all", emoe=emoe)
    token_BU = torch.tensor([[5, 270, 9], [1, 2, 3]])
    said = []
    for model, budget in ((dense, None), (elastic, None), (elastic, Budget(top_k, top_k, 16))):
        encoded = model.encode(*heard(model, WAVES), Conditions(budget=budget))
        said.append((encoded.frame_BTD, model.decode(token_BU, encoded, Conditions(budget=budget))))
    for other in said[1:]:
        for ours, theirs in zip(other, said[0], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["whisper", "owsm", "wav2vec2-xlsr"])
@torch.no_grad()
def test_switches_begin_as_the_pretrained_encoder(kind: str, folders: dict[str, Path]) -> None:
    inside = kind in WINDOWED
    switches: dict[str, Any] = {
        "tasks": {"tasks": ["asr", "language"], "where": "both"}, "transducer": {"dim": 8, "joiner": 8},
        "smoe": {"guide_token": False, "encoder": inside},
        "vision": {"dim": 6, "frames": 3, "where": "all" if inside else "post_encoder"},
    }  # fmt: skip
    net = begun(folders[kind], **switches)
    given: dict[str, Any] = {"bandwidth_B": torch.tensor([0, 1]), "translates_B": torch.tensor([0, 1])}
    off_BK = torch.zeros(2, 2, dtype=torch.bool)
    feature_BTM, length_B = heard(net, WAVES)
    wanted = begun(folders[kind]).encode(feature_BTM, length_B)
    idle = net.encode(feature_BTM, length_B, Conditions(**given, active_BK=off_BK))
    torch.testing.assert_close(idle.frame_BTD, wanted.frame_BTD, atol=1e-5, rtol=1e-5)
    seen = net.encode(feature_BTM, length_B, Conditions(**given, active_BK=~off_BK, frames=networks.frames(3, 0)))
    assert not torch.allclose(seen.frame_BTD, wanted.frame_BTD)
    assert seen.memory_BSD.shape[1] == wanted.frame_BTD.shape[1] + 3
    assert net.transducer is not None
    assert net.transducer(seen.frame_BTD, torch.ones(2, 3, dtype=torch.long)).shape[:3] == (*seen.frame_BTD.shape[:2], 4)


def test_experts_that_do_not_come_out_even_are_refused(folders: dict[str, Path], shards: Path) -> None:
    with pytest.raises(UserError, match="set `width` to that"):
        begun(folders["whisper"], "all", emoe=ElasticConfig(experts=6, width=9))
    with pytest.raises(UserError, match=r"model\.emoe\.encoder: this pretrained encoder takes no experts"):
        prepare(str(shards), recipe(folders["moonshine"], emoe={}))


def test_tokens_that_mean_the_same_are_those_of_the_pretrained_model(folders: dict[str, Path]) -> None:
    start = open_start(recipe(folders["whisper"], "all").model.start)  # type: ignore[arg-type]
    tokens = pretrained_tokens(start, TokenizerConfig())
    first = tokens.num_subwords
    assert [tokens[name] - first for name in ("<|eot|>", "<|sot|>", "<|transcribe|>", "<|st_en|>")] == [0, 1, 6, 5]
    assert [tokens.of_class("language", name) - first for name in ("en", "zh", "haw", "nospeech")] == [2, 3, 4, 8]
    assert tokens["[SCD]"] >= tokens.num_given == first + len(tiny_pretrained.SPECIAL)
    assert tokens.name(tokens["<|sot|>"]) == "<|sot|>"
    assert tokens.decode(tokens.encode("thank <|en|> 谢谢 ü")) == "thank <|en|> 谢谢 ü"
    assert all(map(tokens.is_subword, tokens.encode("<|en|>")))
    assert (tokens.after_task, tokens.prompted({"language"})) == ((tokens["<|notimestamps|>"],), ("language",))
    assert tokens.knew("language")
    assert not tokens.knew("gender")


@pytest.mark.parametrize(
    ("kind", "parts"), [(kind, "encoder") for kind in (*KINDS, "owsm")] + [("whisper", "all"), ("owsm", "all")]
)
def test_a_started_model_is_trained_saved_and_used(
    kind: str, parts: str, folders: dict[str, Path], shards: Path, tmp_path: Path
) -> None:
    given = recipe(folders[kind], parts, {"freeze": ["frontend", "encoder.layers" if kind in WINDOWED else "encoder"]})
    assert estimate(str(shards), str(tmp_path / "out"), given).size.stored > 8_000
    before, bundle = tuned(shards, tmp_path / "out", given)
    after = bundle.model.state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    frozen = {name for name in after if is_frozen(name, given.model.start, 1)}
    assert frozen
    assert not moved & frozen
    assert {name.partition(".")[0] for name in moved} >= {"decoder"} | ({"ctc"} if parts == "encoder" else {"encoder"})
    assert bundle.model.config.start is not None
    assert bundle.model.config.start.model.startswith(f"{kind}@")
    said = Recognizer(bundle)(WAVES)
    assert len(said) == 2
    assert (said[0].labels.keys() & {"language"}) == {"language"}
    assert Recognizer(bundle)([WAVES[0]])[0].text == said[0].text
    samples = EvaluationSamples(str(shards), sampler_config(split="train", batch_seconds=8.0), 3)
    result = evaluate_model(bundle, "whole", samples, {"method": None, "chunk": None}, lambda _: None)
    assert (result.utterances, result.skipped) == (3, {})
    report = export_model(bundle, None, "safetensors", str(tmp_path / "small"))
    assert report.difference == 0
    with pytest.raises(UserError, match="ONNX of a model with a pretrained start"):
        export_model(bundle, None, "onnx", str(tmp_path / "graph"))


def test_frozen_parts_are_trained_from_their_step_on(folders: dict[str, Path], shards: Path, tmp_path: Path) -> None:
    given = recipe(folders["whisper"], "all", {"freeze": ["encoder"], "until": 1, "rate_share": 0.5, "layer_share": 0.1})
    trainer = open_trainer(str(shards), str(tmp_path / "out"), given, "cpu")
    weight = trainer.model.encoder.layers[0].feed_forward.up.weight
    before = weight.clone()
    trainer.advance()
    assert torch.equal(weight, before)
    trainer.save(str(tmp_path / "out" / "step-00000001"))
    trainer.advance()
    assert not torch.equal(weight, before)
    again = open_trainer(str(shards), str(tmp_path / "out"), given, "cpu")
    again.advance()
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    shares = {name: rate_share(name, trainer.model.config) for name, _ in trainer.model.named_parameters()}
    layers = [shares[f"encoder.layers.{index}.norm_attention.weight"] for index in (0, 1)]
    assert layers == pytest.approx([0.05, 0.5])
    assert shares["frontend.conv1.weight"] == pytest.approx(0.005)
    rates = {round(group["lr"] / group["share"], 12) for group in trainer.optimizer.param_groups}
    assert len(rates) == 1


def test_a_ctc_head_comes_along_with_all_of_owsm(folders: dict[str, Path]) -> None:
    for parts, share in (("all", 0.5), ("encoder", 1.0)):
        model = started(folders["owsm"], parts, ctc=True)[0]
        start = model.config.start.model_copy(update={"rate_share": 0.5})  # type: ignore[union-attr]
        assert rate_share("ctc.weight", model.config.model_copy(update={"start": start})) == share
    assert started(folders["owsm"], "all", ctc=False)[0].ctc is None


def test_what_cannot_be_started_from_says_so(folders: dict[str, Path], shards: Path, tmp_path: Path) -> None:
    for given, message in (
        (recipe(tmp_path / "nothing"), "needs its commit, 40 hex digits"),
        (recipe(folders["wav2vec2"], "all"), "has no decoder that can be used; set it to `encoder`"),
        (recipe(folders["whisper"], start={"freeze": ["encoder", "eyes"]}), "no parameter begins with 'eyes'"),
    ):
        with pytest.raises((UserError, ValueError), match=message):
            prepare(str(shards), given)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="pickled weights are not loaded"):
        prepare(str(shards), recipe(tmp_path / "pickled"))
    odd = tmp_path / "odd"
    tiny_pretrained.write("whisper", odd)
    (odd / "config.json").write_text(
        (odd / "config.json").read_text().replace('"model_type": "whisper"', '"model_type": "bert"')
    )
    with pytest.raises(UserError, match="a network of kind 'bert' cannot be started from; there are adapters for whisper"):
        prepare(str(shards), recipe(odd))


LORA = {"freeze": ["frontend", "encoder"], "lora": {"below": ["encoder.layers"], "rank": 2}}


@pytest.mark.parametrize("kind", ["whisper", "owsm"])
def test_lora_learns_beside_what_is_frozen_and_is_merged(
    kind: str, folders: dict[str, Path], shards: Path, tmp_path: Path
) -> None:
    width = 32 if kind == "whisper" else 6
    emoe = {
        "encoder": False, "experts": 6, "top_k": 2, "shared": 0, "width": width, "scale": 2.0,
        "schedule": {"experts": [2, 6], "top_k": [2], "width": [width]},
    }  # fmt: skip
    given = recipe(folders[kind], "all", LORA, emoe=emoe)
    trainer = prepare(str(shards), given)
    feature_BTM, length_B = heard(trainer.model, WAVES)
    dense = begun(folders[kind], "all").eval()
    with torch.no_grad():
        begins = trainer.model.eval().encode(feature_BTM, length_B)
        torch.testing.assert_close(begins.frame_BTD, dense.encode(feature_BTM, length_B).frame_BTD, atol=1e-6, rtol=1e-6)
    assert estimate(str(shards), str(tmp_path / "out"), given).size.stored == sum(p.numel() for p in trainer.model.parameters())
    before, bundle = tuned(shards, tmp_path / "out", given)
    after = bundle.model.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    added = {name for name in after if is_lora(name)}
    assert {name for name in added if "lora_B" in name} <= moved
    assert all("encoder.layers" in name for name in added)
    assert not {name for name in moved if name.startswith(("frontend", "encoder")) and not is_lora(name)}
    assert any(name.startswith("decoder") for name in moved)
    assert {rate_share(name, bundle.model.config) for name in added} == {1.0}
    again = open_trainer(str(shards), str(tmp_path / "out"), given, "cpu")
    assert again.step == 2
    budget = Budget(2, 2, width)
    for asked in (None, str(budget)):
        out = tmp_path / f"small-{asked is None}"
        assert export_model(bundle, asked, "safetensors", str(out)).difference <= 1e-5
        small = load(str(out))
        assert not any(is_lora(name) for name in small.model.state_dict())
        assert small.model.config.start is not None
        assert small.model.config.start.lora is None
    with torch.no_grad():
        merged, beside = (
            model.encode(feature_BTM, length_B).frame_BTD for model in (load(str(tmp_path / "small-True")).model, bundle.model)
        )
    torch.testing.assert_close(merged, beside, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(beside, begins.frame_BTD, atol=1e-4)


def test_lora_stands_beside_frozen_layers_only(folders: dict[str, Path], shards: Path) -> None:
    with pytest.raises(ValueError, match=r"lora\.below names 'decoder', which is trained itself: name it in freeze too"):
        StartConfig(model="any", freeze=("encoder",), lora={"below": ["decoder"]})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="with lora, what is frozen stays so: leave out until"):
        StartConfig(model="any", freeze=("encoder",), until=3, lora={"below": ["encoder"]})  # type: ignore[arg-type]
    bad = {"freeze": ["encoder"], "lora": {"below": ["encoder.norm"]}}
    with pytest.raises(UserError, match=r"lora\.below: no linear layer's name begins with 'encoder\.norm'"):
        prepare(str(shards), recipe(folders["whisper"], "all", bad))


@pytest.mark.parametrize("kind", ["wav2vec2", "w2v-bert", "moonshine"])
def test_a_vendors_layers_take_lora_too(kind: str, folders: dict[str, Path], shards: Path, tmp_path: Path) -> None:
    given = recipe(folders[kind], start={"freeze": ["frontend", "encoder"], "lora": {"below": ["encoder"]}})
    before, bundle = tuned(shards, tmp_path / "out", given)
    after = bundle.model.state_dict()
    moved = {name for name, tensor in after.items() if name.startswith("encoder") and not torch.equal(tensor, before[name])}
    assert moved
    assert all(map(is_lora, moved))


def test_a_pretrained_decoder_is_tuned_gently_unless_more_is_said(folders: dict[str, Path]) -> None:
    whole, part = recipe(folders["whisper"], "all"), recipe(folders["whisper"])
    document = whole.model_dump(mode="json")
    assert Recipe.model_validate(document) == whole
    spec, usual = whole.data.example.augment.spec, part.data.example.augment.spec  # type: ignore[union-attr]
    assert spec is not None
    assert usual is not None
    assert (whole.train.loss.smoothing, spec.band_mels, spec.gap_frames, spec.gap_share, spec.num_echoes) == (
        0.0,
        10,
        20,
        0.1,
        0,
    )
    assert (part.train.loss.smoothing, usual.band_mels, usual.gap_frames) == (0.1, 30, 50)
    assert (spec.num_bands, spec.num_gaps) == (usual.num_bands, usual.num_gaps)
    document = {"model": whole.model.model_dump(mode="json"), "data": {"example": {"augment": {"spec": {"band_mels": 25}}}}}
    said = Recipe.model_validate({**document, "train": {"dynamic_chunk": False, "loss": {"smoothing": 0.05}}})
    assert said.train.loss.smoothing == 0.05
    assert said.data.example.augment.spec.band_mels == 25  # type: ignore[union-attr]
    assert said.data.example.augment.spec.gap_frames == 20  # type: ignore[union-attr]
    assert load_recipe("whisper").train.loss.smoothing == 0.0
