"""Recognisers of tones, as ONNX graphs in the forms of sherpa-onnx and onnx-asr: what they hear is known, and when.

Their networks are written down, not trained: a low, a middle and a high tone are the words `one`, `two` and `three`, silence is nothing.
The vendors' own code loads them, makes the features and decodes. They prove adapters, down to the times of words; never quality.
"""

# mypy: allow-untyped-decorators, disable-error-code="no-untyped-call,misc"
from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from speech.waves import RATE
from voxmill.operators.contract.adapters import Audio

HERTZ = {"one": 400, "two": 1500, "three": 4500}
WORDS = ("<blk>", "\u2581one", "\u2581two", "\u2581three")
LAST = (*WORDS[1:], WORDS[0])
"""The same with the blank last, as NeMo has it."""
CANARY = (
    " ", "<|startofcontext|>", "<|startoftranscript|>", "<|emo:undefined|>", "<|en|>", "<|de|>", "<|pnc|>", "<|noitn|>",
    "<|notimestamp|>", "<|nodiarize|>", "<|endoftext|>", *WORDS[1:],
)  # fmt: skip
STRIDE = 4
KALDI, NEMO = ((0, 26), (26, 53), (53, 80)), ((9, 12), (35, 38), (64, 67))
"""Mel bands of a low, a middle and a high tone. NeMo scales each band to its own spread: the others hold noise, as loud as any tone."""
SHARP = 4.0
"""What differences of log energies are multiplied by: probabilities are near one, and not one."""
BIG = 1000.0
KALDI_QUIET, NEMO_QUIET = 0.0, 1.2
"""Log energy, in NeMo's scale, below which nothing is heard."""


def tones(said: Sequence[tuple[str, float, float]], seconds: float) -> Audio:
    """Audio with tones in it: (word, start, end) in seconds."""
    audio = np.random.default_rng(0).normal(
        0, 0.003, round(seconds * RATE)
    )  # over which nothing of a tone leaks into other bands
    for word, start, end in said:
        first, last = round(start * RATE), round(end * RATE)
        fade = np.minimum(1, np.minimum(np.arange(last - first), np.arange(last - first)[::-1]) / (0.02 * RATE))
        audio[first:last] += 0.3 * fade * np.sin(2 * np.pi * HERTZ[word] * np.arange(last - first) / RATE)
    return audio.astype(np.float32)


class Ear(nn.Module):
    """Features (N, T, mels) and lengths to scores of (blank, three words) for every fourth frame, shape (N, T / 4, 4)."""

    def __init__(self, nemo: bool) -> None:
        super().__init__()
        self.nemo = nemo

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        channels = features if self.nemo else features.transpose(1, 2)
        pooled = nn.functional.avg_pool1d(nn.functional.pad(channels, (0, STRIDE - 1), value=-20.0), STRIDE).transpose(1, 2)
        bands = [pooled[:, :, first:last] for first, last in (NEMO if self.nemo else KALDI)]
        heard = [band.mean(2, keepdim=True) if self.nemo else band.amax(2, keepdim=True) for band in bands]
        blank = heard[0] * 0 + (NEMO_QUIET if self.nemo else KALDI_QUIET)
        scores = SHARP * torch.cat([*heard, blank] if self.nemo else [blank, *heard], 2)
        return scores, torch.div(lengths + STRIDE - 1, STRIDE, rounding_mode="floor")


class Logits(nn.Module):
    """An ear that gives log-probabilities: a CTC model."""

    def __init__(self, ear: Ear, with_lengths: bool) -> None:
        super().__init__()
        self.ear, self.with_lengths = ear, with_lengths

    def forward(self, features: Tensor, lengths: Tensor) -> Any:
        scores, left = self.ear(features, lengths)
        told = scores.log_softmax(2)
        return (told, left) if self.with_lengths else told + 0 * left[:, None, None]  # else the graph would lose its input


class Channels(nn.Module):
    """An ear whose frames come last, as NeMo's encoders have them."""

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self.ear = ear

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, left = self.ear(features, lengths)
        return scores.transpose(1, 2), left


class Memory(nn.Module):
    """The prediction network of a transducer: what was said last is not said again at once."""

    def forward(self, said: Tensor) -> Tensor:
        last = torch.eye(len(WORDS))[said[:, -1].clamp(min=0)]
        return -BIG * last * torch.tensor([0.0, 1, 1, 1])


class Sum(nn.Module):
    """The joiner of a transducer."""

    def forward(self, encoder_out: Tensor, decoder_out: Tensor) -> Tensor:
        return encoder_out + decoder_out


class Joint(nn.Module):
    """Prediction network and joiner of a token-and-duration transducer: tokens, blank, and a duration that is always one frame."""

    def forward(self, heard: Tensor, said: Tensor, count: Tensor, one: Tensor, two: Tensor) -> tuple[Tensor, ...]:
        last = torch.eye(len(LAST))[said[:, -1].long()] * torch.tensor([1.0, 1, 1, 0])
        scores = heard[:, :, 0] - BIG * last
        durations = torch.tensor([[0.0, 1.0, 0.0]]).expand(scores.shape[0], 3)
        return torch.cat([scores, durations], 1)[:, None, None], count, one + 0, two + 0


class Whole(nn.Module):
    """The encoder of Canary: what was heard of each word in all."""

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self.ear = ear

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, left = self.ear(features, lengths)
        frames = torch.arange(scores.shape[1])[None] < left[:, None]
        return scores.softmax(2), frames.long()


class Teller(nn.Module):
    """The decoder of Canary: tells the words that were heard, the longest first and each once, then the end."""

    def forward(self, ids: Tensor, heard: Tensor, mask: Tensor, mems: Tensor) -> tuple[Tensor, Tensor]:
        size = len(CANARY)
        mems = torch.cat([mems, torch.eye(size)[ids][None]], 2)
        frames = (heard * mask[..., None].float()).sum(1)[:, :3]
        end = frames[:, :1] * 0 + 3.0  # frames that a word must last at the least
        rest = torch.cat([frames[:, :1] * 0 - BIG] * (size - 4), 1)
        scores = torch.cat([rest, end, frames], 1) - BIG * mems[0].sum(1)
        return scores.log_softmax(1)[:, None].expand(-1, ids.shape[1], -1), mems


def _save(
    net: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    moving: Mapping[str, Sequence[int]],
    **facts: Any,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {name: {axis: f"{name}_{axis}" for axis in places} for name, places in moving.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    if facts:
        graph = onnx.load(str(path))
        for name, value in facts.items():
            entry = graph.metadata_props.add()
            entry.key, entry.value = name, str(value)
        onnx.save(graph, str(path))


def _tokens(folder: Path, words: Sequence[str], file: str = "tokens.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text("".join(f"{word} {row}\n" for row, word in enumerate(words)), encoding="utf-8")
    return folder


_FEATURES = torch.zeros(1, 40, 80)
_LENGTH = torch.tensor([40])


def sherpa_transducer(folder: Path) -> Path:
    """A folder as of a Zipformer transducer."""
    names = {"x": _FEATURES, "x_lens": _LENGTH}
    _save(Ear(nemo=False), names, ["encoder_out", "encoder_out_lens"], folder / "encoder-epoch-1.onnx",
          {"x": [0, 1], "x_lens": [0], "encoder_out": [0, 1], "encoder_out_lens": [0]})  # fmt: skip
    _save(Memory(), {"y": torch.zeros(1, 2, dtype=torch.int64)}, ["decoder_out"], folder / "decoder-epoch-1.onnx",
          {"y": [0], "decoder_out": [0]}, vocab_size=4, context_size=2)  # fmt: skip
    _save(Sum(), {"encoder_out": torch.zeros(1, 4), "decoder_out": torch.zeros(1, 4)}, ["logit"], folder / "joiner-epoch-1.onnx",
          {"encoder_out": [0], "decoder_out": [0], "logit": [0]}, joiner_dim=4)  # fmt: skip
    return _tokens(folder, WORDS)


def sherpa_ctc(folder: Path) -> Path:
    """A folder as of a Zipformer with CTC."""
    _save(Logits(Ear(nemo=False), True), {"x": _FEATURES, "x_lens": _LENGTH}, ["log_probs", "log_probs_len"], folder / "model.onnx",
          {"x": [0, 1], "x_lens": [0], "log_probs": [0, 1], "log_probs_len": [0]}, model_type="zipformer2_ctc")  # fmt: skip
    return _tokens(folder, WORDS)


def sherpa_nemo_ctc(folder: Path) -> Path:
    """A folder as of a NeMo model with CTC, in sherpa-onnx's form."""
    ear = Ear(nemo=True)
    _save(Logits(ear, False), {"audio_signal": torch.zeros(1, 80, 40), "length": _LENGTH}, ["logprobs"], folder / "model.onnx",
          {"audio_signal": [0, 2], "length": [0], "logprobs": [0, 1]}, vocab_size=3, subsampling_factor=STRIDE,
          normalize_type="per_feature", model_type="EncDecCTCModelBPE")  # fmt: skip
    return _tokens(folder, LAST)


def nemo_ctc(folder: Path) -> Path:
    """A folder as of Parakeet with CTC, in onnx-asr's form."""
    ear = Ear(nemo=True)
    _save(Logits(ear, False), {"audio_signal": torch.zeros(1, 80, 40), "length": _LENGTH}, ["logprobs"], folder / "model.onnx",
          {"audio_signal": [0, 2], "length": [0], "logprobs": [0, 1]})  # fmt: skip
    return _described(folder, "nemo-conformer-ctc", LAST)


def nemo_tdt(folder: Path) -> Path:
    """A folder as of Parakeet TDT, in onnx-asr's form."""
    ear = Ear(nemo=True)
    _save(Channels(ear), {"audio_signal": torch.zeros(1, 80, 40), "length": _LENGTH}, ["outputs", "encoded_lengths"],
          folder / "encoder-model.onnx", {"audio_signal": [0, 2], "length": [0], "outputs": [0, 2], "encoded_lengths": [0]})  # fmt: skip
    state = torch.zeros(1, 1, 4)
    _save(
        Joint(),
        {"encoder_outputs": torch.zeros(1, 4, 1), "targets": torch.zeros(1, 1, dtype=torch.int32),
         "target_length": torch.ones(1, dtype=torch.int32), "input_states_1": state, "input_states_2": state},
        ["outputs", "prednet_lengths", "output_states_1", "output_states_2"], folder / "decoder_joint-model.onnx", {},
    )  # fmt: skip
    return _described(folder, "nemo-conformer-tdt", LAST)


def canary(folder: Path) -> Path:
    """A folder as of Canary, in onnx-asr's form."""
    ear = Ear(nemo=True)
    _save(Whole(ear), {"audio_signal": torch.zeros(1, 80, 40), "length": _LENGTH}, ["encoder_embeddings", "encoder_mask"],
          folder / "encoder-model.onnx",
          {"audio_signal": [0, 2], "length": [0], "encoder_embeddings": [0, 1], "encoder_mask": [0, 1]})  # fmt: skip
    _save(
        Teller(),
        {"input_ids": torch.zeros(1, 2, dtype=torch.int64), "encoder_embeddings": torch.zeros(1, 10, 4),
         "encoder_mask": torch.ones(1, 10, dtype=torch.int64), "decoder_mems": torch.zeros(1, 1, 2, len(CANARY))},
        ["logits", "decoder_hidden_states"], folder / "decoder-model.onnx",
        {"input_ids": [0, 1], "encoder_embeddings": [0, 1], "encoder_mask": [0, 1], "decoder_mems": [1, 2], "logits": [0, 1],
         "decoder_hidden_states": [1, 2]},
    )  # fmt: skip
    return _described(folder, "nemo-conformer-aed", ["\u2581" if word == " " else word for word in CANARY])


def _described(folder: Path, model_type: str, words: Sequence[str]) -> Path:
    described = {"model_type": model_type, "features_size": 80, "subsampling_factor": STRIDE}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    return _tokens(folder, words, "vocab.txt")
