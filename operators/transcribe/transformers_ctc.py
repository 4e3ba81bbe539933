"""Reads a CTC model of the `transformers` library: the likeliest token of each frame, which also says when it was spoken."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.by_pieces import Heard, audible
from voxmill.operators.transcribe.spoken_pieces import SPACE, SpokenPiece, timed_words
from voxmill.operators.transcribe.windows import mean_probability


class CtcHead:
    """Hears pieces with a loaded network, its feature extractor and its tokeniser. It detects no language: `language` is stated."""

    def __init__(self, network: Any, extract: Any, tokenizer: Any, language: str | None) -> None:
        self._network, self._extract, self._tokenizer, self._language = network, extract, tokenizer, language
        self._blank = network.config.pad_token_id if network.config.pad_token_id is not None else tokenizer.pad_token_id
        self._silent = {self._blank, *tokenizer.all_special_ids}
        self._delimiter = getattr(tokenizer, "word_delimiter_token", None)

    def __call__(self, heard: Heard) -> list[Transcript]:
        """One transcript per piece."""
        return [self._one(clip, span) for clip, span in heard]

    def _one(self, clip: AudioClip, span: Span) -> Transcript:
        audio = audible(clip, span)
        inputs = self._extract(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt").to(self._network.device)
        inputs = {name: value.to(self._network.dtype) if value.is_floating_point() else value for name, value in inputs.items()}
        chances, tokens = self._network(**inputs).logits[0].float().softmax(-1).max(-1)
        frame = len(audio) / SAMPLE_RATE / len(tokens)
        pieces, at = [], 0
        for token, run in groupby(tokens.tolist()):
            length = len(list(run))
            if token not in self._silent:
                chance = float(chances[at : at + length].max())
                pieces.append(SpokenPiece(self._text(token), at * frame, (at + length) * frame, chance))
            at += length
        text = " ".join("".join(piece.text for piece in pieces).replace(SPACE, " ").split())
        words = timed_words(text, pieces, span)
        confidence = mean_probability(piece.probability for piece in pieces) if text else None
        return Transcript(text, words, confidence, self._language)

    def _text(self, token: int) -> str:
        text = str(self._tokenizer.convert_ids_to_tokens(token))
        return " " if text == self._delimiter else text
