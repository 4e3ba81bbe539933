"""Word times by forced alignment with a local wav2vec2 model, through whisperX; without one, Whisper's own times stand."""

from __future__ import annotations

import warnings
from dataclasses import replace

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio, Span, TimedWord, Transcript
from voxmill.operators.weights.registry import WeightsMissing, resolve


class Aligner:
    """A wav2vec2 CTC model of one language, from a folder: whisperX would otherwise download its default one.

    Raises WeightsMissing, also where the sentence tables that whisperX reads (NLTK's `punkt_tab`) are absent.
    """

    def __init__(self, language: str, path: str, device: str) -> None:
        folder = resolve(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import whisperx.alignment

        try:
            whisperx.alignment.nltk.data.find("tokenizers/punkt_tab/english/")
        except LookupError:
            fix = "python -m nltk.downloader punkt_tab  (or set NLTK_DATA to a folder that holds it)"
            raise WeightsMissing("punkt_tab", "whisperX's alignment needs these NLTK tables", fix) from None
        self._align = whisperx.alignment.align
        self._device = device
        self._model, self._metadata = whisperx.alignment.load_align_model(
            language, device, model_name=str(folder), model_cache_only=True
        )

    def __call__(self, audio: Audio, span: Span, transcript: Transcript) -> Transcript:
        """The transcript with aligned word times; as it was, where the words could not be aligned one to one."""
        if not transcript.words:
            return transcript
        length = (span.end - span.start) / SAMPLE_RATE
        # whisperX splits words at spaces (characters, where a script has none), so it is given them that way
        text = ("" if self._metadata["language"] in {"zh", "ja"} else " ").join(word.text for word in transcript.words)
        aligned = self._align(
            [{"text": text, "start": 0.0, "end": length}],
            self._model,
            self._metadata,
            audio[span.start : span.end],
            self._device,
        )["word_segments"]
        if len(aligned) != len(transcript.words) or not all("start" in word and "end" in word for word in aligned):
            return transcript
        words = []
        for heard, found in zip(transcript.words, aligned, strict=True):
            start, end = (span.start + round(found[edge] * SAMPLE_RATE) for edge in ("start", "end"))
            start = min(max(start, span.start), span.end)
            words.append(TimedWord(heard.text, start, min(max(end, start), span.end), heard.confidence))
        return replace(transcript, words=tuple(words))
