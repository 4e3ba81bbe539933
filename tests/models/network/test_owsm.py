"""OWSM of our own modules, held against what ESPnet's made of the same values (`make check-start` asks ESPnet itself)."""

# mypy: allow-untyped-decorators
from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
import yaml

import networks
from espnet_package import waves
from tiny_owsm import GOLDEN, SECONDS, SEED, compared, order_of
from tiny_pretrained import heard, started
from voxmill.manifests.errors import UserError
from voxmill.models.common.pieces import SentencePieces
from voxmill.models.network.budget import Budget
from voxmill.models.network.layers import ElasticConfig
from voxmill.models.network.model import Conditions
from voxmill.models.network.pretrained.open_start import open_start
from voxmill.models.network.pretrained.owsm_tokens import owsm_tokens
from voxmill.models.network.pretrained.start_config import StartConfig

WAVES = waves(SEED, SECONDS)
LISTED: list[str] = yaml.safe_load((GOLDEN / "exp" / "config.yaml").read_text(encoding="utf-8"))["token_list"]
SUBWORDS = (GOLDEN / "data" / "bpe.model").read_bytes()


def test_it_hears_and_says_what_espnet_does() -> None:
    found = compared(GOLDEN, SEED, SECONDS)
    assert max(found.frames, found.ctc, found.logits) <= 1e-5
    assert found.greedy == (True, True, True)


@torch.no_grad()
def test_a_batch_hears_what_each_hears_alone() -> None:
    model, _ = started(GOLDEN, "all", ctc=True)
    together = model.encode(*heard(model, WAVES))
    for row, wave in enumerate(WAVES):
        alone = model.encode(*heard(model, [wave]))
        torch.testing.assert_close(together.frame_BTD[row], alone.frame_BTD[0], atol=1e-5, rtol=1e-5)
        assert int(together.length_B[row]) == model.config.features.num_encoded(
            len(model.config.features.of(torch.from_numpy(wave)))
        )
    with pytest.raises(ValueError, match="302 feature frames, this encoder hears 301 at most"):
        model.encode(torch.zeros(1, 302, 80), torch.tensor([302]))


def test_its_tokens_are_espnets_in_our_order() -> None:
    model, tokens = started(GOLDEN, "all", ctc=True)
    assert tokens is not None
    order = order_of(GOLDEN)
    assert sorted(order) == list(range(len(LISTED)))
    assert tokens.num_given == len(LISTED)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=SUBWORDS)
    for text in ("thank you for the rain", "die musik", "谢谢你 的 lamps", ""):
        assert [LISTED[order[token]] for token in tokens.encode(text)] == theirs.encode(text, out_type=str)
        assert tokens.decode(tokens.encode(text)) == text
    known = {
        "<|sot|>": "<sos>",
        "<|eot|>": "<eos>",
        "<|transcribe|>": "<asr>",
        "<|st_de|>": "<st_deu>",
        "<|st_ta|>": "<st_tam>",
    }
    assert {name: LISTED[order[tokens[name]]] for name in known} == known
    said = {tag: LISTED[order[tokens.of_class("language", tag)]] for tag in ("en", "zh-CN", "de", "ab")}
    assert said == {"en": "<eng>", "zh-CN": "<zho>", "de": "<deu>", "ab": "<abk>"}
    assert tokens.of_class("language", "fr") >= tokens.num_given
    assert [LISTED[order[token]] for token in tokens.after_task] == ["<notimestamps>"]
    assert model.config.vocabulary == len(tokens) > tokens.num_given


def test_no_special_token_is_read_out_of_text() -> None:
    pieces = SentencePieces(owsm_tokens(LISTED, SUBWORDS).subwords)
    unknown = pieces.size + pieces.special.index("<unk>")
    ids = pieces.encode(" the <eng> rain ж")
    assert all(0 < token < pieces.size or token == unknown for token in ids)
    assert ids[-1] == unknown
    assert pieces.decode([token for token in ids if token < pieces.size]).startswith(" the")


def test_words_and_list_have_to_belong_together() -> None:
    with pytest.raises(ValueError, match=r"lacks '<asr>' and 0 more pieces of its SentencePiece model"):
        owsm_tokens([name for name in LISTED if name != "<asr>"], SUBWORDS)
    with pytest.raises(ValueError, match="names a token twice"):
        owsm_tokens([*LISTED, LISTED[-1]], SUBWORDS)
    with pytest.raises(ValueError, match="SentencePiece model cannot be read"):
        owsm_tokens(LISTED, b"no model")


@pytest.mark.parametrize("shared", [0, 1])
@torch.no_grad()
def test_experts_begin_as_the_pretrained_layers(shared: int) -> None:
    top_k = 3 - shared
    emoe = ElasticConfig(experts=2 * top_k, shared=shared, top_k=top_k, width=4, scale=top_k, dropout=0)
    token_BU = torch.tensor([[5, 27, 9]] * len(WAVES))
    said = []
    cases: list[tuple[dict[str, Any], Budget | None]] = [
        ({}, None), ({"emoe": emoe}, None), ({"emoe": emoe}, Budget(top_k, top_k, 4)),
    ]  # fmt: skip
    for switches, budget in cases:
        model, _ = started(GOLDEN, "all", ctc=True, **switches)
        encoded = model.encode(*heard(model, WAVES), Conditions(budget=budget))
        said.append((encoded.frame_BTD, model.decode(token_BU, encoded, Conditions(budget=budget))))
    for other in said[1:]:
        for ours, theirs in zip(other, said[0], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_tokens_before_the_sound_are_attended_to_and_not_convolved() -> None:
    switches: dict[str, Any] = {"smoe": {"guide_token": True}, "vision": {"dim": 6, "frames": 3, "where": "all"}}
    model, _ = started(GOLDEN, "all", ctc=True, **switches)
    features = heard(model, WAVES[:2])
    given = {"bandwidth_B": torch.tensor([0, 1]), "translates_B": torch.tensor([0, 0])}
    blind = model.encode(*features, Conditions(**given))
    seen = model.encode(*features, Conditions(**given, frames=networks.frames(3, 0)))
    assert blind.frame_BTD.shape == seen.frame_BTD.shape
    assert not torch.allclose(blind.frame_BTD[0], seen.frame_BTD[0])
    torch.testing.assert_close(blind.frame_BTD[1], seen.frame_BTD[1], atol=1e-5, rtol=1e-5)  # it has no picture, only padding
    layer: Any = model.encoder.layers[0]
    x_BSD = torch.randn(1, 9, 8)
    moved_BSD = torch.cat([torch.randn(1, 2, 8), x_BSD[:, 2:]], dim=1)
    gated = [layer.gated(one, 2)[:, 2:] for one in (x_BSD, moved_BSD)]
    torch.testing.assert_close(*gated)


def changed(tmp_path: Path, part: str, **values: Any) -> Path:
    folder = tmp_path / "owsm"
    shutil.copytree(GOLDEN, folder)
    path = folder / "exp" / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    (config[part] if part else config).update(values)
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("encoder_conf", {"attention_layer_type": "rel_selfattn"}, r"attention_layer_type is 'rel_selfattn'; only 'selfattn'"),
        ("encoder_conf", {"input_layer": "conv1d2"}, "its input layer is 'conv1d2'; there are conv2d, "),
        ("decoder_conf", {"normalize_before": False}, "normalize_before is False; only True can be read"),
        ("frontend_conf", {"fs": "8k"}, "it hears 8k Hz, and only 16 kHz can be read"),
        ("", {"encoder": "conformer"}, "its encoder is 'conformer'; only OWSM v3.1's, 'e_branchformer', can be read"),
        ("", {"normalize": "utterance_mvn"}, "normalised by 'utterance_mvn', and only global_mvn"),
        (
            "",
            {"bpemodel": "/home/of/another/words.model"},
            r"its SentencePiece model is missing: put words\.model into the folder",
        ),
    ],
)
def test_what_is_no_owsm_says_why(part: str, values: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        started(changed(tmp_path, part, **values), "all")


def test_files_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    folder = changed(tmp_path, "", bpemodel="/home/of/another/bpe.model")  # the one in the folder is taken
    assert started(folder, "all")[1] is not None
    for path in ("../best.pth", "/best.pth"):
        meta = {"files": {"s2t_model_file": path}, "yaml_files": {"s2t_train_config": "exp/config.yaml"}}
        (folder / "meta.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")
        with pytest.raises(UserError, match=f"meta.yaml names {path}, which is outside of the folder"):
            started(folder, "all")
    (folder / "meta.yaml").write_text("files: {asr_model_file: best.pth}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"only speech-to-text models \(OWSM\) can be read"):
        started(folder, "all")


def test_weights_are_tensors_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "owsm"
    shutil.copytree(GOLDEN, folder)
    given = torch.load(folder / "exp" / "best.pth", weights_only=True)
    torch.save({**given, "of": Path("a class")}, folder / "exp" / "best.pth")
    with pytest.raises(UserError, match=r"best\.pth is no file of tensors alone"):
        started(folder)
    torch.save({"model": given}, folder / "exp" / "best.pth")
    with pytest.raises(UserError, match="is no plain dictionary of tensors"):
        started(folder)
    from safetensors.torch import save_file

    plain = {name: tensor.contiguous() for name, tensor in given.items()}
    save_file(plain, folder / "exp" / "best.safetensors")  # beside the other, it is the one that is read
    start = open_start(StartConfig(model=str(folder)))
    assert start.espnet is not None
    assert start.espnet.weights_file.suffix == ".safetensors"
    for path in (folder / "exp").iterdir():  # a folder without ESPnet's `meta.yaml`
        path.rename(folder / path.name)
    (folder / "meta.yaml").unlink()
    with pytest.raises(
        UserError, match=r"holds 2 files of weights, best\.safetensors and others: leave one beside config\.yaml"
    ):
        started(folder)
    (folder / "heard.safetensors").unlink()
    model, _ = started(folder)
    with torch.no_grad():
        assert model.encode(*heard(model, WAVES)).frame_BTD.isfinite().all()


def test_a_tokeniser_of_ours_has_no_control_pieces() -> None:
    sink = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" a b", " b c"]), model_writer=sink, model_type="bpe", vocab_size=8, hard_vocab_limit=False,
        unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    pieces = SentencePieces(sink.getvalue())
    assert pieces.special == ()
    assert pieces.size == sentencepiece.SentencePieceProcessor(model_proto=sink.getvalue()).get_piece_size()
