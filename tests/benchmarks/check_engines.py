"""`make check-engines`: every engine's real code, on real audio, through the project's own adapters.

Recognisers: whisperX (Whisper base), Moonshine (our own adapter, and by sherpa-onnx), PocketSphinx and Whisper base on transformers with
real weights; the last is heard through a server with OpenAI's interface as well. FunASR's own Paraformer, SeACo-Paraformer and SenseVoice
code, and Qwen3-ASR's if its package is installed, run on tiny local models, whose text is noise but whose loading, batching, times and
tags are real. What sherpa-onnx and onnx-asr make of Zipformer, Parakeet and Canary is shown on graphs that hear tones: the words and
their times are known. Detectors: silero and pyannote on real weights, FunASR's FSMN-VAD on a tiny model. Each must load from local files
alone, give one result per span in order, and the same results twice.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from math import isnan
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rapidfuzz.distance import Levenshtein

import tiny_funasr
import tiny_recognisers
import tone_models
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.words import Edits, edits, english
from moonshine_for_sherpa import moonshine_for_sherpa
from recognition_server import serving
from speech.joined import joined
from speech.packaged import TWO_CITIES, TWO_CITIES_SAID
from speech.waves import RATE, read_wave
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, SpeechDetector, Transcriber
from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
from voxmill.operators.transcribe.onnx_asr import OnnxAsrConfig
from voxmill.operators.transcribe.openai import OpenAiConfig
from voxmill.operators.transcribe.paraformer import ParaformerConfig
from voxmill.operators.transcribe.pocketsphinx import PocketSphinxConfig
from voxmill.operators.transcribe.qwen3_asr import Qwen3AsrConfig
from voxmill.operators.transcribe.sensevoice import SenseVoiceConfig
from voxmill.operators.transcribe.sherpa_onnx import SherpaOnnxConfig
from voxmill.operators.transcribe.transcribe import EngineConfig, load
from voxmill.operators.transcribe.transformers import TransformersConfig
from voxmill.operators.transcribe.whisperx import WhisperXConfig

PACKAGES = (
    "whisperx", "faster-whisper", "ctranslate2", "transformers", "funasr", "onnxruntime", "onnx-asr", "sherpa-onnx", "qwen-asr",
    "silero-vad", "pyannote.audio", "torch",
)  # fmt: skip
WER_LIMITS = {"whisperx": 0.05, "moonshine": 0.15, "sherpa-moonshine": 0.15, "transformers": 0.08, "openai": 0.15}
"""On a clean reading; far above what they measure (0.00 and 0.06), far below a broken adapter."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio whose spans are known to say `words`."""

    clips: list[AudioClip]
    words: list[list[str]]

    @property
    def seconds(self) -> float:
        return sum(span.end - span.start for clip in self.clips for span in clip.spans) / RATE

    @property
    def count(self) -> int:
        return sum(len(clip.spans) for clip in self.clips)


@dataclass(slots=True)
class Outcome:
    """What was seen of one engine; `error` where it did not get that far."""

    engine: str
    code: str = ""
    load_seconds: float = float("nan")
    in_order: bool = False
    repeats: bool = False
    rtf: float = float("nan")
    """CPU seconds per second of audio: what one thread needs, also on a busy machine."""
    wer: float | None = None
    sample: str = ""
    error: str = ""

    @property
    def sound(self) -> bool:
        return not self.error and self.in_order and self.repeats

    def row(self) -> tuple[str, ...]:
        if self.error:
            return (self.engine, self.code, "NO", "", "", "", "", self.error[:60])
        wer = "" if self.wer is None else f"{self.wer:.1%}"
        marks = ("yes" if self.in_order else "NO", "yes" if self.repeats else "NO")
        return (self.engine, self.code, f"{self.load_seconds:.1f} s", *marks, f"{self.rtf:.4f}", wer, self.sample[:60])


def speech(full: bool) -> Speech:
    """A reading of 44 s; in the full form also four minutes of prompts joined with pauses."""
    spans = tuple(Span(round(start * RATE), round(end * RATE)) for start, end, _ in TWO_CITIES_SAID)
    clips, words = [AudioClip(_float(TWO_CITIES.samples()), spans)], [[words for _, _, words in TWO_CITIES_SAID]]
    for recording in joined("en", 4, 60.0) if full else ():
        clips.append(AudioClip(_float(read_wave(recording.path)), tuple(Span(start, end) for start, end, _ in recording.said)))
        words.append([prompt.text for _, _, prompt in recording.said])
    return Speech(clips, words)


def recogniser(config: EngineConfig, data: Speech, trained: bool) -> Outcome:
    """Loads, transcribes twice. The order is right where each text is nearest to its own reference: what is said in the span,
    or, for an engine that only makes noise, what it makes of that span alone."""
    outcome = Outcome(config.name, "real weights" if trained else "tiny model")
    began = time.perf_counter()
    engine = load(config)
    outcome.load_seconds = time.perf_counter() - began
    began = time.process_time()
    heard = engine.transcribe(data.clips)
    outcome.rtf = (time.process_time() - began) / data.seconds
    outcome.repeats = engine.transcribe(data.clips) == heard
    texts = [[transcript.text for transcript in transcripts] for transcripts in heard]
    references = data.words if trained else _alone(engine, data.clips)
    pairs = zip(texts, references, strict=True)
    outcome.in_order = all(_is_matched(said, reference) for said, reference in pairs)
    if trained:
        flat = zip(chain.from_iterable(texts), chain.from_iterable(data.words), strict=True)
        outcome.wer = sum((edits(english(reference), english(text)) for text, reference in flat), Edits()).rate
    outcome.sample = next((text for text in texts[0] if text), "")
    return outcome


SAID = (("one", 0.5, 0.8), ("three", 1.1, 1.35), ("two", 1.7, 1.9), ("one", 2.5, 2.9), ("two", 3.3, 3.6))
"""Tones, and when (s)."""


def tones(config: EngineConfig, words: bool = True) -> Outcome:
    """What a recogniser of tones makes of five: all of them in order, with the times of words where its kind has some."""
    outcome = Outcome(config.name, "tones")
    began = time.perf_counter()
    engine = load(config)
    outcome.load_seconds = time.perf_counter() - began
    spans = (Span(round(0.2 * RATE), round(2.2 * RATE)), Span(round(2.3 * RATE), 4 * RATE))
    clips = [AudioClip(tone_models.tones(SAID, 4.0), spans, "en")]
    began = time.process_time()
    ((first, second),) = engine.transcribe(clips)
    outcome.rtf = (time.process_time() - began) / 3.7
    outcome.repeats = engine.transcribe(clips) == [[first, second]]
    said = [word for word, _, _ in SAID]
    if words:
        heard = [*(first.words or ()), *(second.words or ())]
        outcome.in_order = [word.text for word in heard] == said and all(
            abs(word.start / RATE - start) < 0.1 for word, (_, start, _) in zip(heard, SAID, strict=True)
        )
    else:  # Canary's decoder tells the longest first
        outcome.in_order = [sorted(first.text.split()), sorted(second.text.split())] == [sorted(said[:3]), sorted(said[3:])]
    outcome.sample = f"{first.text} | {second.text}"
    return outcome


def served(data: Speech) -> Outcome:
    """Moonshine behind a server with OpenAI's interface, on this machine."""
    with serving(Moonshine(MoonshineConfig())) as server:
        config = OpenAiConfig(
            url=server.url, served_model="moonshine-tiny-en", allow_private=("127.0.0.1",), requests_per_second=100, timeout=120
        )
        return recogniser(config, data, trained=True)


def detector(name: str, make: Callable[[], SpeechDetector], data: Speech, trained: bool) -> Outcome:
    """Loads, runs twice with other block sizes. One probability per hop; a trained one tells speech from the silence before it."""
    outcome = Outcome(name, "real weights" if trained else "tiny model")
    began = time.perf_counter()
    engine = make()
    outcome.load_seconds = time.perf_counter() - began
    audio, spans = data.clips[0].audio, data.clips[0].spans
    began = time.process_time()
    found = engine.probabilities(_blocks(audio, 160_000))
    outcome.rtf = (time.process_time() - began) / (len(audio) / RATE)
    outcome.repeats = bool(np.array_equal(found, engine.probabilities(_blocks(audio, 37_123))))
    shaped = len(found) == -(-len(audio) // engine.hop) and 0 <= float(found.min()) <= float(found.max()) <= 1
    speaking = float(found[spans[0].start // engine.hop : spans[-1].end // engine.hop].mean())
    silent = float(found[: RATE // 2 // engine.hop].mean())
    outcome.in_order = shaped and (not trained or (speaking > 0.7 and silent < 0.3))
    outcome.sample = f"P(speech) {speaking:.2f} in the reading, {silent:.2f} before it"
    return outcome


def checks(data: Speech, tiny: Path) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """Every engine by name, and how to check it."""
    real: Sequence[EngineConfig] = (WhisperXConfig(languages=("en",)), MoonshineConfig(), PocketSphinxConfig())
    for config in real:
        yield config.name, partial(recogniser, config, data, trained=True)
    noise: Sequence[EngineConfig] = (
        ParaformerConfig(model=str(tiny / "paraformer")),
        ParaformerConfig(name="paraformer-seaco", model=str(tiny / "seaco")),
        SenseVoiceConfig(model=str(tiny / "sensevoice")),
    )
    for config in noise:
        yield config.name, partial(recogniser, config, data, trained=False)
    yield (
        "sherpa-moonshine",
        partial(
            _written,
            moonshine_for_sherpa,
            tiny / "sherpa-moonshine",
            lambda folder: recogniser(
                SherpaOnnxConfig(name="sherpa-moonshine", model=folder, family="moonshine"), data, trained=True
            ),
        ),
    )
    yield (
        "transformers",
        partial(
            _written,
            tiny_recognisers.whisper_base,
            tiny / "whisper-base",
            lambda folder: recogniser(TransformersConfig(model=folder, languages=("en",)), data, trained=True),
        ),
    )
    yield "openai", partial(served, data)
    if find_spec("qwen_asr"):
        yield (
            "qwen3-asr",
            partial(
                _written,
                tiny_recognisers.tiny_qwen3_asr,
                tiny / "qwen3-asr",
                lambda folder: recogniser(Qwen3AsrConfig(model=folder, tokens_per_second=2.0), data, trained=False),
            ),
        )
    for name, write, make in (
        ("sherpa-zipformer", tone_models.sherpa_transducer, partial(SherpaOnnxConfig, family="transducer")),
        ("sherpa-zipformer-ctc", tone_models.sherpa_ctc, partial(SherpaOnnxConfig, family="zipformer_ctc")),
        ("sherpa-nemo-ctc", tone_models.sherpa_nemo_ctc, partial(SherpaOnnxConfig, family="nemo_ctc")),
        ("parakeet-ctc", tone_models.nemo_ctc, OnnxAsrConfig),
        ("parakeet-tdt", tone_models.nemo_tdt, OnnxAsrConfig),
        ("canary", tone_models.canary, OnnxAsrConfig),
    ):
        yield name, partial(_written, write, tiny / name, partial(_tones, name, make))
    yield "silero", partial(detector, "silero", _detector("silero", "Silero"), data, trained=True)
    yield "pyannote", partial(detector, "pyannote", _detector("pyannote", "Pyannote"), data, trained=True)
    yield "fsmn-vad", partial(detector, "fsmn-vad", _detector("fsmn", "Fsmn", str(tiny / "fsmn-vad")), data, trained=False)


def main() -> None:
    full = full_form(sys.argv[1:])
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    data = speech(full)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="voxmill-tiny-") as folder:
        tiny_funasr.write_all(Path(folder))
        for name, check in checks(data, Path(folder)):
            try:
                outcomes.append(check())
            except Exception as error:  # noqa: BLE001 - one engine that fails is a row, not the end of the check
                outcomes.append(Outcome(name, error=f"{type(error).__name__}: {error}".splitlines()[0]))
    heading("check-engines", full, f"{data.count} spans, {data.seconds:.0f} s of speech, one thread", PACKAGES)
    table(("engine", "weights", "loads", "in order", "repeats", "CPU RTF", "WER", "sample"), [o.row() for o in outcomes])
    targets: dict[str, Target] = {
        o.engine: {
            "value": "sound" if o.sound else o.error or "not sound",
            "target": "loads, in order, repeats",
            "met": o.sound,
        }
        for o in outcomes
    }
    for o in outcomes:
        if o.engine in WER_LIMITS:
            met = o.wer is not None and o.wer <= WER_LIMITS[o.engine]
            targets[f"{o.engine} WER"] = {"value": o.wer, "target": f"at most {WER_LIMITS[o.engine]:.0%}", "met": met}
    figures = {o.engine: {"load_s": _plain(o.load_seconds), "cpu_rtf": _plain(o.rtf), "wer": o.wer} for o in outcomes}
    finish("check-engines", figures, targets, full)


def _written(write: Callable[[Path], Path], folder: Path, check: Callable[[str], Outcome]) -> Outcome:
    """Writes a model, and checks the engine that loads it."""
    return check(str(write(folder)))


def _tones(name: str, make: Callable[..., EngineConfig], folder: str) -> Outcome:
    return tones(make(name=name, model=folder), words=name != "canary")


def _alone(engine: Transcriber, clips: Sequence[AudioClip]) -> list[list[str]]:
    return [[engine.transcribe([AudioClip(clip.audio, (span,))])[0][0].text for span in clip.spans] for clip in clips]


def _is_matched(texts: Sequence[str], references: Sequence[str]) -> bool:
    """Most texts are nearest to the reference in their own place, and none is missing. Weak engines err; a shift or swap does not hide."""
    nearest = [
        min(range(len(references)), key=lambda k: (_distance(text, references[k]), k != i)) for i, text in enumerate(texts)
    ]
    return len(texts) == len(references) and sum(k == i for i, k in enumerate(nearest)) >= 0.6 * len(texts)


def _distance(a: str, b: str) -> float:
    return Levenshtein.normalized_distance(a.lower(), b.lower())


def _detector(module: str, name: str, *arguments: Any) -> Callable[[], SpeechDetector]:
    return lambda: getattr(import_module(f"voxmill.operators.segment.{module}"), name)(*arguments)


def _blocks(audio: Audio, size: int) -> Iterator[Audio]:
    return (audio[start : start + size] for start in range(0, len(audio), size))


def _float(samples: Any) -> Audio:
    audio: Audio = (samples / 32768).astype(np.float32)
    return audio


def _plain(value: float) -> float | None:
    return None if isnan(value) else round(value, 4)


if __name__ == "__main__":
    main()
