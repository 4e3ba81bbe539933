"""PocketSphinx: a weak third engine, light enough to test votes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, TimedWord, Transcript
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.weights.registry import identity, resolve

FRAME = SAMPLE_RATE // 100
"""Samples between two of its frames."""


class PocketSphinxConfig(EngineSettings):
    """PocketSphinx: US English, a weak third voice for votes."""

    modules = ("pocketsphinx",)
    kind: Literal["pocketsphinx"] = "pocketsphinx"
    name: EngineName = "pocketsphinx"
    model: str = "pocketsphinx-en-us"
    device: Literal["cpu"] = "cpu"
    compute_type: Literal["auto"] = "auto"


class PocketSphinx:
    """A `Transcriber` with the US English model. Lower case, no punctuation; a pronunciation variant `read(2)` is the word `read`.

    It gives no confidence: the posterior of its words is 1 nearly everywhere.
    """

    def __init__(self, config: PocketSphinxConfig) -> None:
        folder = resolve(config.model)
        from pocketsphinx import Decoder

        self.model = identity(config.model)
        self._decoder = Decoder(
            hmm=str(folder / "en-us"),
            lm=str(folder / "en-us.lm.bin"),
            dict=str(folder / "cmudict-en-us.dict"),
            samprate=SAMPLE_RATE,
            loglevel="FATAL",
        )

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        return [[self._span(clip.audio, span) for span in clip.spans] for clip in clips]

    def _span(self, audio: Audio, span: Span) -> Transcript:
        samples = (np.clip(audio[span.start : span.end], -1, 1) * 32767).astype(np.int16)
        self._decoder.reinit_feat()  # the running mean of features would carry one speaker into the next
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        words = []
        for segment in self._decoder.seg() or ():
            if segment.word[0] not in "<[+":  # silence and noises
                edges = (segment.start_frame * FRAME, (segment.end_frame + 1) * FRAME)
                start, end = (min(span.start + edge, span.end) for edge in edges)
                words.append(TimedWord(segment.word.split("(")[0], start, end))
        return Transcript(" ".join(word.text for word in words), tuple(words), language="en")
