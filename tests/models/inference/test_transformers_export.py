# mypy: allow-untyped-decorators
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from networks import SWITCHES, model
from tiny_pretrained import WINDOW_S, started, write
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.inference.export import export_model
from voxmill.models.inference.recognizer import Recognizer
from voxmill.models.inference.recognizer_config import RecognizerConfig
from voxmill.models.inference.transformers_export import transformers_difference
from voxmill.models.network.layers import ElasticConfig
from voxmill.models.network.pretrained.lora import LoraConfig, add_lora

transformers = pytest.importorskip("transformers")
WAVE = 0.1 * torch.randn(20_000, generator=seeded("wave")).numpy()


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("whisper", tmp_path_factory.mktemp("whisper"))


def bundle(folder: Path, **switches: Any) -> Bundle:
    net, tokens = started(folder, "all", **switches)
    assert tokens is not None
    return Bundle(net, tokens, TargetsConfig(tasks=("asr", "language")))


@torch.no_grad()
def test_transformers_loads_it_and_says_the_same_tokens(whisper: Path, tmp_path: Path) -> None:
    ours = bundle(whisper)
    assert ours.model.decoder is not None
    ours.model.decoder.embed.weight[0] = 0.0  # the blank, which a trained model never says
    report = export_model(ours, None, "transformers", str(tmp_path / "out"))
    assert report.difference < 1e-4
    assert (report.compared_in, "model.safetensors" in report.files) == ("transformers", True)
    processor = transformers.WhisperProcessor.from_pretrained(tmp_path / "out")
    net = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    heard = processor(WAVE, sampling_rate=16_000, return_tensors="pt").input_features
    assert heard.shape[2] == 100 * WINDOW_S
    (mine,) = Recognizer(ours, RecognizerConfig(method="attention", max_tokens=8))([WAVE])
    (language,) = mine.labels["language"]
    said = net.generate(heard, language=f"<|{language}|>", task="transcribe", max_new_tokens=8)
    assert mine.text
    assert processor.batch_decode(said, skip_special_tokens=True)[0].strip() == mine.text.strip()


def test_new_tokens_are_in_its_tokeniser_and_text_is_cut_the_same(whisper: Path, tmp_path: Path) -> None:
    ours = bundle(whisper)
    export_model(ours, None, "transformers", str(tmp_path / "out"))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for token in range(ours.tokens.num_given, len(ours.tokens)):
        assert theirs.convert_tokens_to_ids(ours.tokens.name(token)) == token - 1
    assert len(theirs) == len(ours.tokens) - 1 == json.loads((tmp_path / "out/config.json").read_text())["vocab_size"]
    text = " thank you 谢谢"
    assert theirs.encode(text, add_special_tokens=False) == [token - 1 for token in ours.tokens.encode(text.strip())]


@torch.no_grad()
def test_lora_is_merged(whisper: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    ours = bundle(whisper)
    plain = {name: tensor.clone() for name, tensor in ours.model.state_dict().items()}
    lora = LoraConfig(below=("encoder.layers",), rank=2)
    assert ours.model.config.start is not None
    start = ours.model.config.start.model_copy(update={"freeze": ("encoder",), "lora": lora})
    ours.model.config = ours.model.config.model_copy(update={"start": start})
    add_lora(ours.model, lora)
    for name, parameter in ours.model.named_parameters():
        if "lora_B" in name:
            parameter.normal_(generator=seeded(name))
    assert export_model(ours, None, "transformers", str(tmp_path / "out")).difference < 1e-4
    ours.model.cpu()
    fresh, _ = started(whisper, "all")
    fresh.load_state_dict(plain)
    assert transformers_difference(fresh, tmp_path / "out") > 1e-2


@pytest.mark.parametrize(
    ("switches", "why"),
    [
        ({"emoe": ElasticConfig(experts=4, top_k=2, shared=0, width=32, scale=2.0)}, "elastic experts"),
        ({"smoe": {}}, "guided experts"),
        ({"vision": SWITCHES["vision"].model_copy(update={"where": "post_encoder"})}, "video"),
    ],
)
def test_what_is_no_whisper_any_more_is_refused(whisper: Path, tmp_path: Path, switches: Any, why: str) -> None:
    with pytest.raises(UserError, match=rf"{why}.*take --format safetensors"):
        export_model(bundle(whisper, **switches), None, "transformers", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_so_is_what_never_was_one(tokens: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did not start from a Whisper"):
        export_model(
            Bundle(model(vocabulary=len(tokens)), tokens, TargetsConfig()), None, "transformers", str(tmp_path / "out")
        )
