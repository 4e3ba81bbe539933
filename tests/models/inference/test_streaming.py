# mypy: allow-untyped-decorators
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from networks import model
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.features import fbank
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.inference.decode import ctc_greedy, transducer_greedy
from voxmill.models.inference.export import export_model
from voxmill.models.inference.sherpa_export import export_sherpa, sherpa_difference
from voxmill.models.inference.streaming import StreamingConfig, StreamingRecognizer
from voxmill.models.inference.transducer_beam import transducer_beam
from voxmill.models.network.model import Conditions

_DRAWN = torch.rand(40, 2, generator=seeded("stream"))
_TONES = torch.cat([tone * torch.sin(torch.arange(960) * (0.05 + 2 * pitch)) for tone, pitch in _DRAWN])
WAVE = (0.3 * _TONES + 0.003 * torch.randn(len(_TONES), generator=seeded("hiss"))).numpy()[:37_777]
"""A tone of another pitch and loudness every 60 ms, so that even an untrained model says different things."""


def bundle(tokens: Tokenizer, *on: str, **changes: Any) -> Bundle:
    made = model(*on, vocabulary=len(tokens), **changes)
    for head in (made.ctc, made.transducer and made.transducer.out):
        if head:
            head.weight.data *= 8
            head.weight.data -= head.weight.data.mean(dim=0)
    return Bundle(made, tokens, TargetsConfig())


@pytest.mark.parametrize("pieces", [[37_777], [1, 399, 401, 20_000, 16_976], [1600] * 24])
@pytest.mark.parametrize("method", ["ctc", "transducer"])
def test_a_stream_says_what_the_masked_model_says(tokens: Tokenizer, method: Any, pieces: list[int]) -> None:
    made = bundle(tokens, "emoe")
    stream = StreamingRecognizer(made, StreamingConfig(chunk=4, left=8, method=method)).stream()
    new, at = [], 0
    for size in pieces:
        new.append(stream.accept(WAVE[at : at + size]))
        at += size
    text = stream.finish()
    feature_BTM = fbank(torch.from_numpy(WAVE), made.model.config.fbank)[None]
    length_B = torch.tensor([feature_BTM.shape[1]])
    with torch.no_grad():
        encoded = made.model.encode(feature_BTM, length_B, Conditions(chunk=4, left=8))
        special = list(range(tokens.num_subwords, len(tokens)))
        if method == "ctc":
            log_TV = made.model.ctc_of(encoded)[0]
            log_TV[:, special] = -torch.inf
            said = ctc_greedy(log_TV)
        else:
            said = transducer_greedy(made.model.transducer, encoded.frame_BTD[0], forbidden=special)
    assert tuple(token.id for token in stream.tokens) == said.tokens
    assert len(said.tokens) > 5
    assert sum(new) <= len(said.tokens)
    assert text == stream.text == tokens.decode(said.tokens)
    with pytest.raises(ValueError, match="finished"):
        stream.accept(WAVE)


def test_words_have_times_and_confidences(tokens: Tokenizer) -> None:
    stream = StreamingRecognizer(bundle(tokens), StreamingConfig(chunk=8, left=16)).stream()
    stream.accept(WAVE)
    stream.finish()
    words = stream.words
    assert words
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.start < word.end <= len(WAVE) / 16_000 and 0 < word.confidence <= 1 for word in words)
    assert "".join(word.text for word in words).replace(" ", "") == stream.text.replace(" ", "")


def _shown(token: str) -> str:
    """sherpa-onnx shows the byte of a printable letter as the letter."""
    byte = int(token[3:5], 16) if token.startswith("<0x") else 0
    return chr(byte) if 32 < byte < 127 else token


@pytest.mark.parametrize("on", [(), ("emoe",)])
def test_sherpa_onnx_decodes_the_export_to_the_same_tokens(tokens: Tokenizer, tmp_path: Path, on: tuple[str, ...]) -> None:
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    made = bundle(tokens, *on)
    config = StreamingConfig(chunk=4, left=8, method="transducer", most=1)  # sherpa-onnx says one token a frame
    encoder, decoder, joiner, names, about = map(str, export_sherpa(made, tmp_path, config))
    assert sherpa_difference(made.model, tmp_path, config) < 1e-3
    recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
        tokens=names, encoder=encoder, decoder=decoder, joiner=joiner, **json.loads(Path(about).read_text())["sherpa_onnx"]
    )
    theirs, ours = recognizer.create_stream(), StreamingRecognizer(made, config).stream()
    for part in np.array_split(WAVE, 7):
        theirs.accept_waveform(16_000, part)
        ours.accept(part)
        while recognizer.is_ready(theirs):
            recognizer.decode_stream(theirs)
    said = [_shown(tokens.name(token.id)) for token in ours.tokens]
    assert len(said) > 5
    assert recognizer.tokens(theirs) == said


def test_sherpa_onnx_finds_the_same_in_its_beam(tokens: Tokenizer, tmp_path: Path) -> None:
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    made = bundle(tokens)
    assert made.model.transducer is not None
    made.model.transducer.out.bias.data[tokens.num_subwords :] -= 1e3  # what is forbidden has no share of the probability
    encoder, decoder, joiner, names, about = map(str, export_sherpa(made, tmp_path, StreamingConfig(chunk=4, left=8)))
    recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
        tokens=names, encoder=encoder, decoder=decoder, joiner=joiner, decoding_method="modified_beam_search", max_active_paths=4,
        **{key: value for key, value in json.loads(Path(about).read_text())["sherpa_onnx"].items() if key != "decoding_method"},
    )  # fmt: skip
    theirs = recognizer.create_stream()
    theirs.accept_waveform(16_000, WAVE)
    while recognizer.is_ready(theirs):
        recognizer.decode_stream(theirs)
    feature_BTM = fbank(torch.from_numpy(WAVE), made.model.config.fbank)[None]
    with torch.no_grad():
        encoded = made.model.encode(feature_BTM, torch.tensor([feature_BTM.shape[1]]), Conditions(chunk=4, left=8))
    heard = encoded.frame_BTD.shape[1] // 4 * 4  # whole chunks
    best = transducer_beam(made.model.transducer, encoded.frame_BTD, [heard], beam=4)[0][0]
    assert len(best.tokens) > 5
    assert recognizer.tokens(theirs) == [_shown(tokens.name(token)) for token in best.tokens]


def test_the_export_is_a_folder_with_what_sherpa_onnx_has_to_be_told(tokens: Tokenizer, tmp_path: Path) -> None:
    report = export_model(bundle(tokens, "emoe"), "3", "sherpa-onnx", str(tmp_path / "live"), StreamingConfig(chunk=4, left=8))
    assert set(report.files) == {"encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt", "model.json"}
    assert (report.compared_in, report.budget) == ("onnxruntime", "3:2:8")
    assert report.difference < 1e-3
    about = json.loads((tmp_path / "live/model.json").read_text())
    assert (about["streaming"]["chunk"], about["sherpa_onnx"]["snip_edges"]) == (4, True)


@pytest.mark.parametrize(
    ("on", "changes", "why"),
    [((), {"transducer": None}, "no transducer"), (("tasks",), {}, "task vectors"), (("smoe",), {}, "guided experts")],
)
def test_what_sherpa_onnx_cannot_stream_is_said(tokens: Tokenizer, tmp_path: Path, on: Any, changes: Any, why: str) -> None:
    with pytest.raises(UserError, match=why):
        export_sherpa(bundle(tokens, *on, **changes), tmp_path)
    assert not list(tmp_path.iterdir())
