"""Qwen3-ASR through the classes of its own package, on `transformers`: 30 languages, text without times.

On a CPU the same model runs faster as ONNX: `kind: sherpa-onnx` with `family: qwen3_asr`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, prod
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import AudioClip, Transcript
from voxmill.operators.contract.languages import primary
from voxmill.operators.transcribe.by_pieces import Heard, audible, by_pieces
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.language_names import CODES
from voxmill.operators.transcribe.windows import mean_probability
from voxmill.operators.weights.registry import identity, resolve

TAG = "<asr_text>"
"""What the model writes between the language and the text."""
SAYS = "language "
ENDS = ("<|im_end|>", "<|endoftext|>")
LANGUAGES = (
    "ar", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "hi", "hu", "id", "it", "ja", "ko", "mk", "ms", "nl", "pl", "pt",
    "ro", "ru", "sv", "th", "tl", "tr", "vi", "yue", "zh",
)  # fmt: skip
"""What it was trained to write."""
_NAMES = {code: name.title() for name, code in CODES.items() if code in LANGUAGES} | {
    "zh": "Chinese", "yue": "Cantonese", "tl": "Filipino", "es": "Spanish", "nl": "Dutch", "ro": "Romanian",
}  # fmt: skip
"""Names of languages as the model writes them."""
_CODES = {name.lower(): code for code, name in _NAMES.items()}


class Qwen3AsrConfig(EngineSettings):
    """Qwen3-ASR, by its own package on `transformers`: 30 languages; no word times."""

    modules = ("qwen_asr", "transformers", "torch")
    kind: Literal["qwen3-asr"] = "qwen3-asr"
    name: EngineName = "qwen3-asr"
    model: str = "qwen3-asr-0.6b"
    compute_type: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    """Arithmetic; `auto` is float32 on a CPU and bfloat16 on CUDA."""
    batch_size: int = Field(default=1, ge=1)
    """Pieces decoded at once; more only helps on a GPU."""
    max_seconds: float = Field(default=60.0, gt=1, le=1200)
    """Longest audio heard at once; longer spans are cut at their quietest point."""
    tokens_per_second: float = Field(default=12.0, gt=0)
    """Decoding stops at this many tokens per second of audio: more is a loop."""


class Qwen3Asr:
    """A `Transcriber`: one loaded model. Confidence is exp(mean log-probability) of the tokens of the text and of the stop after it."""

    def __init__(self, config: Qwen3AsrConfig) -> None:
        folder = resolve(config.model)
        import torch

        from voxmill.operators.vendors.qwen3_asr_classes import backend

        classes = backend()
        torch.set_num_threads(config.threads)
        auto = {"cpu": torch.float32, "cuda": torch.bfloat16}[config.device]
        kind = auto if config.compute_type == "auto" else getattr(torch, config.compute_type)
        network: Any = classes.Qwen3ASRForConditionalGeneration.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
        self._network = network.eval().to(config.device, kind)
        self._processor: Any = classes.Qwen3ASRProcessor.from_pretrained(folder, local_files_only=True)
        self._tokenizer = self._processor.tokenizer
        known = self._tokenizer.get_vocab()
        self._ends = [known[name] for name in ENDS if name in known]
        self._config = config
        self.model = identity(config.model)

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        import torch

        with torch.inference_mode():
            return by_pieces(clips, self._config.max_seconds, self._config.batch_size, self._hear)

    def _hear(self, heard: Heard) -> list[Transcript]:
        told = [self._told(clip) for clip, _ in heard]
        audios = [audible(*one) for one in heard]
        inputs = self._processor(text=[self._prompt(code) for code in told], audio=audios, return_tensors="pt", padding=True)
        inputs = inputs.to(self._network.device).to(self._network.dtype)
        longest = max(len(audio) for audio in audios) / SAMPLE_RATE
        made = self._network.generate(
            **inputs,
            max_new_tokens=16 + int(longest * self._config.tokens_per_second),
            eos_token_id=self._ends,
            do_sample=False,
            output_scores=True,
        )
        scores = self._network.thinker.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)
        said = made.sequences[:, -scores.shape[1] :]
        return [self._transcript(*row) for row in zip(said.tolist(), scores.tolist(), told, strict=True)]

    def _told(self, clip: AudioClip) -> str | None:
        """The language that the model is told: the only one of the config, else that of the recording where the config allows it."""
        allowed = self._config.languages
        hint = primary(clip.language) if clip.language else None
        code = allowed[0] if len(allowed) == 1 else hint if not allowed or hint in allowed else None
        return code if code in _NAMES else None

    def _prompt(self, code: str | None) -> str:
        asked = [{"role": "system", "content": ""}, {"role": "user", "content": [{"type": "audio", "audio": ""}]}]
        prompt: str = self._processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        return prompt + (f"{SAYS}{_NAMES[code]}{TAG}" if code else "")

    def _transcript(self, tokens: list[int], values: list[float], told: str | None) -> Transcript:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), len(tokens))
        chances = [exp(value) for value in values]
        begin = 0 if told else self._after_tag(tokens[:end])
        text = " ".join(self._tokenizer.decode(tokens[begin:end], skip_special_tokens=True).replace(TAG, " ").split())
        head = "" if told else self._tokenizer.decode(tokens[:begin], skip_special_tokens=True)
        found = _CODES.get(head.replace(TAG, "").strip().removeprefix(SAYS).strip().lower())
        return Transcript(
            text,
            None if text else (),
            mean_probability(chances[begin : end + 1]) if text else None,
            told or found,
            prod(chances[:begin]) if found else None,
        )

    def _after_tag(self, tokens: list[int]) -> int:
        """Place of the first token of the text; 0 where the model names no language."""
        for place in range(len(tokens)):
            if TAG in self._tokenizer.decode(tokens[: place + 1]):
                return place + 1
        return 0
