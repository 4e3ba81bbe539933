"""Recognisers of the `transformers` library from a local folder: Whisper and other encoder-decoders, and CTC models. Safetensors only.

Code that comes with weights is never run, and weights that are pickles are never opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import AudioClip, Transcript
from voxmill.operators.transcribe.by_pieces import by_pieces
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.transformers_ctc import CtcHead
from voxmill.operators.transcribe.transformers_decoder import TextDecoder, WhisperDecoder
from voxmill.operators.weights.kinds import WeightsMissing
from voxmill.operators.weights.registry import identity, resolve


class TransformersConfig(EngineSettings):
    """Whisper, and other encoder-decoder and CTC recognisers of the `transformers` library, from safetensors."""

    modules = ("transformers", "torch")
    kind: Literal["transformers"] = "transformers"
    name: EngineName = "transformers"
    compute_type: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    """Arithmetic; `auto` is float32 on a CPU and float16 on CUDA."""
    batch_size: int = Field(default=1, ge=1)
    """Pieces decoded at once by an encoder-decoder; more only helps on a GPU. CTC models hear one at a time."""
    max_seconds: float = Field(default=30.0, gt=1)
    """Longest audio heard at once, and no more than the model's own window; longer spans are cut at their quietest point."""
    tokens_per_second: float = Field(default=12.0, gt=0)
    """Decoding stops at this many tokens per second of audio: more is a loop."""


class Transformers:
    """A `Transcriber`: one loaded model. Whisper's words have times where the folder names its alignment heads; CTC's always have."""

    def __init__(self, config: TransformersConfig) -> None:
        folder = resolve(config.model)
        import torch
        from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoTokenizer

        local = {"local_files_only": True, "trust_remote_code": False}
        torch.set_num_threads(config.threads)
        described: Any = AutoConfig.from_pretrained(folder, **local)
        ctc = any(name.endswith("ForCTC") for name in described.architectures or ())
        whisper = described.model_type == "whisper"
        try:
            network: Any = (AutoModelForCTC if ctc else AutoModelForSpeechSeq2Seq).from_pretrained(
                folder, use_safetensors=True, **local, **({"attn_implementation": "eager"} if whisper else {})
            )  # the other ways to attend do not show where
        except OSError as error:
            raise WeightsMissing(config.model, str(error).partition("\n")[0], "take weights in safetensors") from error
        auto = {"cpu": torch.float32, "cuda": torch.float16}[config.device]
        network = network.eval().to(
            config.device, auto if config.compute_type == "auto" else getattr(torch, config.compute_type)
        )
        extract: Any = AutoFeatureExtractor.from_pretrained(folder, **local)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **local)
        if extract.sampling_rate != SAMPLE_RATE:
            raise ValueError(f"{config.model} wants {extract.sampling_rate} Hz; only {SAMPLE_RATE} is offered here")
        language = config.languages[0] if len(config.languages) == 1 else None
        window = getattr(extract, "chunk_length", None) if whisper else None
        self._seconds = min(config.max_seconds, float(window or config.max_seconds))
        self._batch = 1 if ctc else config.batch_size
        if ctc:
            self._hear: Any = CtcHead(network, extract, tokenizer, language)
        elif whisper:
            self._hear = WhisperDecoder(network, extract, tokenizer, config.languages, config.tokens_per_second)
        else:
            self._hear = TextDecoder(network, extract, tokenizer, language, config.tokens_per_second)
        self.model = identity(config.model)

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        import torch

        with torch.inference_mode():
            return by_pieces(clips, self._seconds, self._batch, self._hear)
