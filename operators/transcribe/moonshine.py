"""Moonshine over plain ONNX Runtime: a small English recogniser, independent of Whisper, whose cost grows with the audio.

Its weights are quantised with scales taken per batch, so a clip's text would depend on its neighbours in a batch, and one core has
nothing to gain by batching: spans go one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Transcript
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.windows import cut_spans, mean_probability
from voxmill.operators.weights.registry import identity, resolve

START, STOP = 1, 2
"""Tokens that begin and end a text."""
SHORTEST = SAMPLE_RATE // 10
"""The encoder's convolutions need at least this much; shorter audio is padded with silence."""


class MoonshineConfig(EngineSettings):
    """Moonshine: a small English recogniser, independent of Whisper, without word times."""

    modules = ("onnxruntime", "tokenizers")
    kind: Literal["moonshine"] = "moonshine"
    name: EngineName = "moonshine"
    model: str = "moonshine-tiny-en"
    device: Literal["cpu"] = "cpu"
    compute_type: Literal["auto"] = "auto"
    """Only `auto`: the weights are int8."""
    max_seconds: float = Field(default=30.0, gt=1, le=64)
    """Longest audio heard at once (the model was trained on 30 s); longer spans are cut at their quietest point."""
    tokens_per_second: float = Field(default=6.5, gt=0)
    """Decoding stops at this many tokens per second of audio: more is a loop."""


class Moonshine:
    """One loaded encoder and decoder. No word times: the decoder does not show its attention."""

    def __init__(self, config: MoonshineConfig) -> None:
        folder = resolve(config.model)
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = config.threads
        options.inter_op_num_threads = 1
        self.model = identity(config.model)
        self._config = config
        self._tensor = onnxruntime.OrtValue.ortvalue_from_numpy
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(_graph(folder, part)), options, providers=["CPUExecutionProvider"])
            for part in ("encoder_model", "decoder_model_merged")
        )
        past = [node for node in self._decoder.get_inputs() if node.name.startswith("past_key_values.")]
        self._empty = {node.name: self._tensor(np.zeros((0, node.shape[1], 1, node.shape[3]), np.float32)) for node in past}
        self._outputs = [node.name for node in self._decoder.get_outputs()]

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        return [self._clip(clip) for clip in clips]

    def _clip(self, clip: AudioClip) -> list[Transcript]:
        texts: list[list[str]] = [[] for _ in clip.spans]
        chances: list[list[float]] = [[] for _ in clip.spans]
        for piece in cut_spans(clip.audio, clip.spans, int(self._config.max_seconds * SAMPLE_RATE)):
            tokens, probabilities = self._generate(clip.audio[piece.start : piece.end])
            texts[piece.owner].append(self._tokenizer.decode(tokens).strip())
            chances[piece.owner] += probabilities
        return [
            Transcript(" ".join(filter(None, heard)), confidence=mean_probability(chance), language="en")
            for heard, chance in zip(texts, chances, strict=True)
        ]

    def _generate(self, audio: Audio) -> tuple[list[int], list[float]]:
        """Greedy tokens, and the probability of each one and of the stop after them."""
        limit = 1 + int(len(audio) / SAMPLE_RATE * self._config.tokens_per_second)
        signal = np.pad(audio, (0, max(SHORTEST - len(audio), 0)))[None]
        mask = np.ones(signal.shape, np.int64)
        (states,) = self._encoder.run(None, {"input_values": signal, "attention_mask": mask})
        fixed = {"encoder_hidden_states": self._tensor(states), "encoder_attention_mask": self._tensor(mask)}
        past, wanted = self._empty, self._outputs
        token, tokens, probabilities = START, list[int](), list[float]()
        while token != STOP and len(tokens) < limit:
            feeds = {
                **fixed,
                **past,
                "input_ids": self._tensor(np.array([[token]], np.int64)),
                "use_cache_branch": self._tensor(np.array([past is not self._empty])),
            }
            logits, *present = self._decoder.run_with_ort_values(wanted, feeds)
            past = {
                **past,
                **dict(zip((name.replace("present", "past_key_values") for name in wanted[1:]), present, strict=True)),
            }
            # the encoder's keys and values are made in the first step and never change: they need not come back
            wanted = [name for name in self._outputs if ".encoder." not in name]
            token, probability = _likeliest(logits.numpy()[0, -1])
            tokens.append(token)
            probabilities.append(probability)
        return tokens, probabilities


def _likeliest(logits: NDArray[np.float32]) -> tuple[int, float]:
    token = int(logits.argmax())
    return token, float(1 / np.exp(logits - logits[token]).sum())


def _graph(folder: Path, part: str) -> Path:
    """`.ort` or `.onnx`, whichever the folder has."""
    return next((path for path in (folder / f"{part}.ort", folder / f"{part}.onnx") if path.exists()), folder / f"{part}.onnx")
