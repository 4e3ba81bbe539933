"""NVIDIA's Parakeet and Canary, and other models that onnx-asr reads (GigaAM, T-one, Vosk, Whisper), on plain ONNX Runtime.

sherpa-onnx runs NeMo's models as well, from exports of its own. This way is taken for them because it gives the probability of every
token for each of NeMo's architectures (sherpa-onnx for its transducers alone), runs on a GPU too, and on the ONNX Runtime that the other
engines use.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.contract.languages import primary
from voxmill.operators.transcribe.by_pieces import Heard, audible, by_pieces
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.spoken_pieces import SpokenPiece, timed_words
from voxmill.operators.transcribe.windows import mean_probability
from voxmill.operators.weights.kinds import WeightsMissing
from voxmill.operators.weights.registry import identity, resolve

TOLD = ("nemo-conformer-aed", "whisper", "whisper-ort")
"""Architectures that are told the language; the others take no such word."""
PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class OnnxAsrConfig(EngineSettings):
    """NVIDIA Parakeet (25 European languages, with word times) and Canary, and other models that onnx-asr reads, as ONNX."""

    modules = ("onnx_asr", "onnxruntime")
    kind: Literal["onnx-asr"] = "onnx-asr"
    name: EngineName = "onnx-asr"
    model: str = "parakeet-tdt-0.6b-v3"
    family: str | None = None
    """onnx-asr's name of the architecture, as in `nemo-conformer-tdt`; null: what `config.json` in the folder says."""
    compute_type: Literal["auto", "int8", "float32"] = "auto"
    """Which graphs of the folder are taken; `auto`: those in int8 where there are some."""
    batch_size: int = Field(default=1, ge=1)
    """Pieces encoded at once; more only helps on a GPU."""
    max_seconds: float = Field(default=60.0, gt=1)
    """Longest audio heard at once; longer spans are cut at their quietest point."""


class OnnxAsr:
    """A `Transcriber`: one loaded model. Words have times but for Canary and Whisper, and the mean probability of their tokens."""

    def __init__(self, config: OnnxAsrConfig) -> None:
        folder = resolve(config.model)
        self._family = config.family or _family(config.model, folder)
        small = any("int8" in path.name for path in folder.glob("*.onnx"))
        import onnxruntime
        from onnx_asr import load_model

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = config.threads, 1
        self._model: Any = load_model(
            self._family,
            folder,
            quantization="int8" if config.compute_type == "int8" or (config.compute_type == "auto" and small) else None,
            sess_options=options,
            providers=PROVIDERS[config.device],
        ).with_timestamps()
        self._config = config
        self._stated = config.languages[0] if len(config.languages) == 1 else None
        self.model = identity(config.model)

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        return by_pieces(clips, self._config.max_seconds, self._config.batch_size, self._hear)

    def _hear(self, heard: Heard) -> list[Transcript]:
        """One call for each language: a batch has one."""
        languages = [self._language(clip) for clip, _ in heard]
        found: dict[int, Transcript] = {}
        for language in dict.fromkeys(languages):
            rows = [row for row, its in enumerate(languages) if its == language]
            told = {"language": language} if language and self._family in TOLD else {}
            results = self._model.recognize([audible(*heard[row]) for row in rows], sample_rate=SAMPLE_RATE, **told)
            found |= {row: _transcript(result, heard[row][1], language) for row, result in zip(rows, results, strict=True)}
        return [found[row] for row in range(len(heard))]

    def _language(self, clip: AudioClip) -> str | None:
        """The language to be told or stated: the only one of the config, else that of the recording if this model is told languages."""
        if self._stated or self._family not in TOLD:
            return self._stated
        hint = primary(clip.language) if clip.language else None
        return hint if not self._config.languages or hint in self._config.languages else self._config.languages[0]


def _transcript(result: Any, span: Span, language: str | None) -> Transcript:
    text = " ".join(result.text.split())
    chances = [exp(min(value, 0.0)) for value in result.logprobs or ()]
    words = None
    if result.timestamps is not None and result.tokens is not None:
        given = chances if len(chances) == len(result.tokens) else [None] * len(result.tokens)
        rows = zip(result.tokens, result.timestamps, given, strict=True)
        words = timed_words(text, [SpokenPiece(token, start, probability=chance) for token, start, chance in rows], span)
    elif not text:
        words = ()
    return Transcript(text, words, mean_probability(chances) if text else None, language)


def _family(model: str, folder: Path) -> str:
    file = folder / "config.json"
    found = json.loads(file.read_text(encoding="utf-8")).get("model_type") if file.is_file() else None
    if not isinstance(found, str):
        missing = f"{folder} has no config.json that states a `model_type`"
        raise WeightsMissing(model, missing, "set `family` of the engine, as in `nemo-conformer-tdt`")
    return found
