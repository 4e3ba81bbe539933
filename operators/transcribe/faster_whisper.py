"""Whisper on CTranslate2 (faster-whisper), without torch: batched decoding of packed windows, with word times and probabilities.

faster-whisper's own `transcribe` takes one recording; here its batched pipeline runs on windows of several. Earlier text is never a
prompt, so a loop in one window cannot spread. There is no fallback to higher temperatures: CTranslate2 cannot reproduce a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, TimedWord, Transcript
from voxmill.operators.contract.languages import primary
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.windows import Window, WindowTranscript, assign_words, cut_spans, pack_windows, spans_sharing
from voxmill.operators.weights.registry import identity, resolve

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import TranscriptionOptions

Features = NDArray[np.float32]
"""Log-mel features of windows, padded to the encoder's 30 s: shape (windows, mels, 3000)."""

INPUT_SECONDS = 30
"""Seconds that a Whisper encoder processes, however short the audio."""
OPENING, CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word after it, and to the word before it."""
LONGEST_WORD = int(0.4 * SAMPLE_RATE)
"""Cross-attention assigns a pause to the word after it: word ends are right, starts may be those of the pause (samples)."""


class WhisperSettings(EngineSettings):
    """Settings of both ways to load a Whisper model."""

    model: str = "whisper-base"
    """Weights for CTranslate2. Compute type `auto` is int8 on CPU and float16 on CUDA."""
    batch_size: int = Field(default=4, ge=1)
    """Windows decoded at once. On CPU more than 4 gains nothing; a large GPU likes 16 and more."""
    beam_size: int = Field(default=5, ge=1)
    """Beam size; more is slower and a little better, 1 is greedy."""
    packed: bool = True
    """Let neighbouring spans share a window; off, each span is a window of its own, several times slower."""
    window_seconds: float = Field(default=29.0, gt=1, le=INPUT_SECONDS)
    """Longest window that is shared."""
    max_pause_seconds: float = Field(default=10.0, ge=0)
    """Longest pause inside a window (s): in long silence Whisper hallucinates."""
    follow_hint: bool = True
    """Decode in the stated language of a recording. The probability that the model gives it is recorded all the same."""


class FasterWhisperConfig(WhisperSettings):
    """Whisper, by faster-whisper alone: the same text as `whisperx`, without torch and without forced alignment."""

    modules = ("faster_whisper",)
    kind: Literal["faster-whisper"] = "faster-whisper"
    name: EngineName = "faster-whisper"


class FasterWhisper:
    """A `Transcriber`: one loaded Whisper model."""

    def __init__(self, config: WhisperSettings) -> None:
        self._config = config
        folder = resolve(config.model)
        from faster_whisper.transcribe import BatchedInferencePipeline

        auto = {"cpu": "int8", "cuda": "float16"}[config.device]
        whisper = self._model_class()(
            str(folder),
            device=config.device,
            compute_type=auto if config.compute_type == "auto" else config.compute_type,
            cpu_threads=config.threads,
            local_files_only=True,
        )
        self.model = identity(config.model)
        self._whisper = _EncodeOnce(whisper)
        self._pipeline = BatchedInferencePipeline(self._whisper)
        self._multilingual: bool = whisper.model.is_multilingual
        self._known = frozenset(whisper.supported_languages) if self._multilingual else frozenset({"en"})
        if unknown := sorted(set(config.languages) - self._known):
            raise ValueError(f"engine {config.name}: {config.model} does not know {', '.join(unknown)}")

    def _model_class(self) -> Any:
        from faster_whisper import WhisperModel

        return WhisperModel

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        plans = [self._windows(clip) for clip in clips]
        heard = self._transcripts(clips, plans)
        # Whisper sometimes stops before the end of its window, leaving later spans empty: decode those again, each alone.
        silent = [
            (number, owner)
            for number, (plan, transcripts) in enumerate(zip(plans, heard, strict=True))
            for owner in spans_sharing(plan)
            if not transcripts[owner].text
        ]
        single = [replace(clips[number], spans=(clips[number].spans[owner],)) for number, owner in silent]
        for (number, owner), (transcript,) in zip(silent, self._transcripts(single, map(self._windows, single)), strict=True):
            heard[number][owner] = transcript
        return [
            [self._align(clip, span, transcript) for span, transcript in zip(clip.spans, transcripts, strict=True)]
            for clip, transcripts in zip(clips, heard, strict=True)
        ]

    def _transcripts(self, clips: Sequence[AudioClip], plans: Iterable[Sequence[Window]]) -> list[list[Transcript]]:
        plans = list(plans)
        jobs = [(clip, window) for clip, plan in zip(clips, plans, strict=True) for window in plan]
        size = self._config.batch_size
        heard = iter([found for first in range(0, len(jobs), size) for found in self._hear(jobs[first : first + size])])
        return [
            assign_words(clip.spans, [(window, next(heard)) for window in plan], LONGEST_WORD)
            for clip, plan in zip(clips, plans, strict=True)
        ]

    def _windows(self, clip: AudioClip) -> list[Window]:
        pieces = cut_spans(clip.audio, clip.spans, INPUT_SECONDS * SAMPLE_RATE)
        if not self._config.packed:
            return [Window((piece,)) for piece in pieces]
        limits = self._config.window_seconds, self._config.max_pause_seconds
        return pack_windows(pieces, *(int(seconds * SAMPLE_RATE) for seconds in limits))

    def _hear(self, batch: Sequence[tuple[AudioClip, Window]]) -> list[WindowTranscript]:
        """One batch of windows, each decoded in its own language."""
        features = self._features([clip.audio[window.start : window.end] for clip, window in batch])
        languages = self._languages(features, [clip.language for clip, _ in batch])
        heard: dict[int, WindowTranscript] = {}
        for language in dict.fromkeys(language for language, _ in languages):
            rows = [row for row, (its, _) in enumerate(languages) if its == language]
            chosen = features if len(rows) == len(batch) else features[rows]
            decoded = self._decode(chosen, [batch[row][1] for row in rows], language)
            for row, segments in zip(rows, decoded, strict=True):
                words = tuple(_timed(word) for segment in segments for word in segment["words"])
                heard[row] = WindowTranscript(words, *languages[row], no_speech=float(segments[0]["no_speech_prob"]))
        return [heard[row] for row in range(len(batch))]

    def _features(self, windows: Sequence[Audio]) -> Features:
        from faster_whisper.audio import pad_or_trim

        return np.stack([pad_or_trim(self._whisper.feature_extractor(audio)[..., :-1]) for audio in windows])

    def _languages(self, features: Features, hints: Sequence[str | None]) -> list[tuple[str, float | None]]:
        """Per window: the language to decode in, and the probability that the model gives it."""
        if not self._multilingual:
            return [("en", None)] * len(hints)
        found = []
        for ranking, hint in zip(self._whisper.model.detect_language(self._whisper.encode(features)), hints, strict=True):
            given = primary(hint) if hint and self._config.follow_hint else None
            allowed = self._config.languages or self._known
            probable = {token[2:-2]: float(probability) for token, probability in ranking}
            likeliest = max(sorted(allowed), key=lambda code: probable.get(code, 0.0))
            language = given if given is not None and given in allowed else likeliest
            found.append((language, probable.get(language)))
        return found

    def _decode(self, features: Features, windows: Sequence[Window], language: str) -> list[list[dict[str, Any]]]:
        from faster_whisper.tokenizer import Tokenizer

        tokenizer = Tokenizer(self._whisper.hf_tokenizer, self._multilingual, task="transcribe", language=language)
        extents = [
            {"offset": window.start / SAMPLE_RATE, "duration": (window.end - window.start) / SAMPLE_RATE} for window in windows
        ]
        self._pipeline.last_speech_timestamp = 0.0  # else word times would depend on the batch before
        decoded: list[list[dict[str, Any]]] = self._pipeline.forward(features, tokenizer, extents, self._options(tokenizer))
        return decoded

    def _options(self, tokenizer: Tokenizer) -> TranscriptionOptions:
        from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

        return TranscriptionOptions(
            beam_size=self._config.beam_size,
            best_of=1,
            patience=1,
            length_penalty=1,
            repetition_penalty=1,
            no_repeat_ngram_size=0,
            log_prob_threshold=None,
            no_speech_threshold=None,
            compression_ratio_threshold=None,
            condition_on_previous_text=False,
            prompt_reset_on_temperature=0.5,
            temperatures=[0.0],
            initial_prompt=None,
            prefix=None,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            without_timestamps=True,
            max_initial_timestamp=0.0,
            word_timestamps=True,
            prepend_punctuations=OPENING,
            append_punctuations=CLOSING,
            multilingual=False,
            max_new_tokens=None,
            clip_timestamps=[],
            hallucination_silence_threshold=None,
            hotwords=None,
        )

    def _align(self, clip: AudioClip, span: Span, transcript: Transcript) -> Transcript:
        """Words have the times that cross-attention gives them."""
        return transcript


def _timed(word: dict[str, Any]) -> TimedWord:
    start, end = (round(word[edge] * SAMPLE_RATE) for edge in ("start", "end"))
    return TimedWord(word["word"], start, end, float(word["probability"]))


class _EncodeOnce:
    """A Whisper model that remembers its last encoding: language detection and decoding of one batch share it."""

    def __init__(self, whisper: Any) -> None:
        self._whisper = whisper
        self._features: Features | None = None
        self._encoding: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)

    def encode(self, features: Features) -> Any:
        if features is not self._features:
            self._encoding, self._features = self._whisper.encode(features), features
        return self._encoding
