"""The models of the sherpa-onnx project, by its own runtime: Zipformer, Paraformer, SenseVoice, Moonshine, Whisper, NeMo and more, as ONNX.

A model is a folder as the project publishes them: a few graphs, often in two precisions, and `tokens.txt`. Which graph is which is read
from the names. sherpa-onnx ends the whole process where a file or an entry of a graph's metadata is missing, so files are found first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.by_pieces import Heard, audible, by_pieces
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.spoken_pieces import SpokenPiece, timed_words
from voxmill.operators.transcribe.windows import mean_probability
from voxmill.operators.weights.kinds import WeightsMissing
from voxmill.operators.weights.registry import identity, resolve

Family = Literal[
    "transducer", "nemo_transducer", "paraformer", "sense_voice", "moonshine", "whisper", "nemo_canary", "qwen3_asr",
    "zipformer_ctc", "nemo_ctc", "wenet_ctc", "telespeech_ctc", "dolphin_ctc", "omnilingual_asr_ctc", "fire_red_asr",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """How a family is loaded: `from_<maker>` of sherpa-onnx, its arguments, and the word in the name of the file for each."""

    maker: str
    graphs: Mapping[str, tuple[str, ...]]
    language: str | None = None
    """The argument that states the language."""
    fixed: tuple[tuple[str, Any], ...] = ()
    tokens: str = "tokens.txt"
    """File, or folder, of the vocabulary; the argument has its name without the suffix."""


_ONE = {"model": ("model",)}
_TWO = {"encoder": ("encoder",), "decoder": ("decoder",)}
_THREE = {**_TWO, "joiner": ("joiner",)}
FORMS: dict[Family, Form] = {
    "transducer": Form("transducer", _THREE),
    "nemo_transducer": Form("transducer", _THREE, fixed=(("model_type", "nemo_transducer"),)),
    "paraformer": Form("paraformer", {"paraformer": ("model",)}),
    "sense_voice": Form("sense_voice", _ONE, "language"),
    "moonshine": Form(
        "moonshine",
        {
            "preprocessor": ("preprocess",), "encoder": ("encode",), "uncached_decoder": ("uncached_decode",),
            "cached_decoder": ("cached_decode",),
        },
    ),
    "whisper": Form("whisper", _TWO, "language", (("enable_token_timestamps", True),)),
    "nemo_canary": Form("nemo_canary", _TWO, "src_lang"),
    "qwen3_asr": Form("qwen3_asr", {"conv_frontend": ("conv_frontend",), **_TWO}, tokens="tokenizer"),
    "zipformer_ctc": Form("zipformer_ctc", _ONE),
    "nemo_ctc": Form("nemo_ctc", _ONE),
    "wenet_ctc": Form("wenet_ctc", _ONE),
    "telespeech_ctc": Form("telespeech_ctc", _ONE),
    "dolphin_ctc": Form("dolphin_ctc", _ONE),
    "omnilingual_asr_ctc": Form("omnilingual_asr_ctc", _ONE),
    "fire_red_asr": Form("fire_red_asr", _TWO),
}  # fmt: skip
"""Family -> how it is loaded."""

MOONSHINE_MERGED = Form("moonshine_v2", {"encoder": ("encoder",), "decoder": ("decoder_model_merged", "decoder")})
"""Moonshine with one decoder for the first token and the others, as its makers publish it since 2026."""


class SherpaOnnxConfig(EngineSettings):
    """The models of the sherpa-onnx project on a CPU: Zipformer, Paraformer, SenseVoice, Moonshine, Whisper, NeMo, Qwen3-ASR and more."""

    modules = ("sherpa_onnx",)
    kind: Literal["sherpa-onnx"] = "sherpa-onnx"
    name: EngineName = "sherpa-onnx"
    family: Family
    """What the folder holds; for a `transducer` of NeMo (Parakeet) `nemo_transducer`."""
    device: Literal["cpu"] = "cpu"
    compute_type: Literal["auto", "int8", "float32"] = "auto"
    """Which graphs of the folder are taken; `auto`: those in int8 where there are some."""
    max_seconds: float = Field(default=30.0, gt=1)
    """Longest audio heard at once; longer spans are cut at their quietest point."""


class SherpaOnnx:
    """A `Transcriber`: one loaded recogniser. Times and probabilities of words as far as the family has them: transducers have both,

    CTC models, Paraformer and SenseVoice times, Whisper times where it was exported with its attention, the others neither.
    """

    def __init__(self, config: SherpaOnnxConfig) -> None:
        folder = resolve(config.model)
        form = FORMS[config.family]
        if config.family == "moonshine" and list(folder.glob("*decoder*merged*")):
            form = MOONSHINE_MERGED
        graphs = {argument: str(_graph(folder, config, words)) for argument, words in form.graphs.items()}
        vocabulary = _vocabulary(folder, config, form.tokens)
        import sherpa_onnx

        self._language = config.languages[0] if len(config.languages) == 1 else None
        told = {form.language: self._language} if form.language and self._language else {}
        if form.maker == "nemo_canary" and self._language:
            told["tgt_lang"] = self._language  # else it translates
        if form.maker == "whisper" and not self._language:
            told["language"] = ""  # it detects
        make = getattr(sherpa_onnx.OfflineRecognizer, f"from_{form.maker}")
        argument = form.tokens.partition(".")[0]
        self._recognizer: Any = make(
            **graphs, **{argument: str(vocabulary)}, **dict(form.fixed), **told, num_threads=config.threads, provider="cpu"
        )
        self._seconds = config.max_seconds
        self.model = identity(config.model)

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        return by_pieces(clips, self._seconds, 1, self._hear)  # on a CPU a batch gains nothing, and its padding changes results

    def _hear(self, heard: Heard) -> list[Transcript]:
        transcripts = []
        for clip, span in heard:
            stream = self._recognizer.create_stream()
            stream.accept_waveform(SAMPLE_RATE, audible(clip, span))
            self._recognizer.decode_stream(stream)
            transcripts.append(self._transcript(stream.result, span))
        return transcripts

    def _transcript(self, result: Any, span: Span) -> Transcript:
        text = result.text.strip()
        pieces = _pieces(result)
        chances = [exp(value) for value in result.ys_log_probs]
        said = result.lang.strip("<|>")
        return Transcript(
            text,
            timed_words(text, pieces, span) if pieces or not text else None,
            mean_probability(chances) if text else None,
            (said if said and said != "nospeech" else None) or self._language,
        )


def _pieces(result: Any) -> list[SpokenPiece]:
    """The pieces of a result; none where it has no times, or where a piece is no whole character."""
    starts, lengths, chances = result.timestamps, result.durations, result.ys_log_probs
    if not starts:
        return []
    try:
        tokens = result.tokens
    except UnicodeDecodeError:
        return []
    if len(tokens) != len(starts):
        return []
    ends = [start + length for start, length in zip(starts, lengths, strict=True)] if len(lengths) == len(starts) else None
    return [
        SpokenPiece(
            token,
            start,
            ends[row] if ends else None,
            exp(chances[row]) if len(chances) == len(starts) else None,
        )
        for row, (token, start) in enumerate(zip(tokens, starts, strict=True))
    ]


def _graph(folder: Path, config: SherpaOnnxConfig, words: Sequence[str]) -> Path:
    """The one graph with a word in its name, in the wanted precision. Raises WeightsMissing."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".onnx", ".ort"))
    for word in words:
        named = [path for path in files if word in path.name and not (word == "cached_decode" and "uncached" in path.name)]
        small = [path for path in named if "int8" in path.name]
        full = [path for path in named if path not in small and "fp16" not in path.name]
        wanted = {"int8": small, "float32": full, "auto": small or full}[config.compute_type]
        if len(wanted) == 1:
            return wanted[0]
        if len(wanted) > 1:
            raise _unfit(config, f"has several graphs named `{word}`: {', '.join(path.name for path in wanted)}")
    there = ", ".join(path.name for path in files) or "none"
    raise _unfit(
        config, f"has no {_precision(config)}graph named `{words[0]}`, as the family {config.family} needs; graphs: {there}"
    )


def _vocabulary(folder: Path, config: SherpaOnnxConfig, name: str) -> Path:
    found = sorted(folder.glob(f"*{name}"))
    if not found:
        raise _unfit(config, f"has no {name}")
    return found[0]


def _precision(config: SherpaOnnxConfig) -> str:
    return "" if config.compute_type == "auto" else f"{config.compute_type} "


def _unfit(config: SherpaOnnxConfig, what: str) -> WeightsMissing:
    return WeightsMissing(config.model, f"the folder {what}", "mend `family`, `compute_type` or `model` of the engine")
