"""Reads an encoder-decoder of the `transformers` library, greedily; Whisper with the probabilities of languages and times of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Span, Transcript
from voxmill.operators.contract.languages import primary
from voxmill.operators.transcribe.by_pieces import Heard, audible
from voxmill.operators.transcribe.spoken_pieces import SpokenPiece, timed_words
from voxmill.operators.transcribe.windows import mean_probability

PROMPT = 8
"""Places of the decoder that its prompt may take."""
HALF = "\ufffd"
"""What a tokeniser writes for a token that ends within a character."""


@dataclass(frozen=True, slots=True)
class Said:
    """The tokens of a piece without the special ones, their places among all that were generated, and the probability of each."""

    tokens: list[int]
    places: list[int]
    chances: list[float]
    confidence: float | None
    """Their mean probability, that of the stop after them counted."""


class TextDecoder:
    """Hears pieces with a loaded network that generates text. It gives no times; `language` is what is stated of the text."""

    def __init__(self, network: Any, extract: Any, tokenizer: Any, language: str | None, tokens_per_second: float) -> None:
        self._network, self._extract, self._tokenizer = network, extract, tokenizer
        self._language, self._rate = language, tokens_per_second

    def __call__(self, heard: Heard) -> list[Transcript]:
        """One transcript per piece."""
        inputs = self._inputs(heard)
        made = self._network.generate(**inputs, **self._limits(heard))
        return [self._plain(said) for said in self._told(made, heard)]

    def _plain(self, said: Said) -> Transcript:
        text = self._text(said.tokens)
        return Transcript(text, None if text else (), said.confidence if text else None, self._language)

    def _inputs(self, heard: Heard, **more: Any) -> dict[str, Any]:
        audios = [audible(*one) for one in heard]
        found = self._extract(audios, sampling_rate=SAMPLE_RATE, return_tensors="pt", **({"padding": True} | more))
        found = found.to(self._network.device)
        return {name: value.to(self._network.dtype) if value.is_floating_point() else value for name, value in found.items()}

    def _limits(self, heard: Heard) -> dict[str, Any]:
        most = max(self._limit(span) for _, span in heard)
        return {
            "max_new_tokens": most,
            "do_sample": False,
            "num_beams": 1,
            "return_dict_in_generate": True,
            "output_scores": True,
        }

    def _limit(self, span: Span) -> int:
        """Most tokens of a piece."""
        config = self._network.config
        most = getattr(config, "max_target_positions", None) or config.max_position_embeddings
        return int(min(10 + int((span.end - span.start) / SAMPLE_RATE * self._rate), most - PROMPT))

    def _told(self, made: Any, heard: Heard) -> list[Said]:
        """What was said in each piece, cut where it would have been cut alone."""
        scores = self._network.compute_transition_scores(made["sequences"], made["scores"], normalize_logits=True)
        special = set(self._tokenizer.all_special_ids)
        stops = self._network.generation_config.eos_token_id
        stop = {stops} if isinstance(stops, int) else set(stops or ())
        told = []
        rows = zip(heard, made["sequences"][:, -scores.shape[1] :].tolist(), scores.tolist(), strict=True)
        for (_, span), tokens, values in rows:
            tokens = tokens[: self._limit(span)]
            end = next((place for place, token in enumerate(tokens) if token in stop), len(tokens))
            said = [place for place in range(end) if tokens[place] not in special]
            chances = [exp(value) for value in values]
            confidence = mean_probability(chances[place] for place in [*said, *range(end, min(end + 1, len(tokens)))])
            told.append(Said([tokens[place] for place in said], said, [chances[place] for place in said], confidence))
        return told

    def _text(self, tokens: Sequence[int]) -> str:
        return " ".join(self._tokenizer.decode(tokens, skip_special_tokens=True).split())


class WhisperDecoder(TextDecoder):
    """Whisper: decodes in the stated language of a recording or the likeliest of those allowed, each piece with that one's probability."""

    def __init__(self, network: Any, extract: Any, tokenizer: Any, languages: Sequence[str], tokens_per_second: float) -> None:
        super().__init__(network, extract, tokenizer, None, tokens_per_second)
        settings = network.generation_config
        self._of_code: dict[str, int] = {
            token[2:-2]: number for token, number in (getattr(settings, "lang_to_id", None) or {}).items()
        }
        if unknown := sorted(set(languages) - set(self._of_code) - ({"en"} if not self._of_code else set())):
            raise ValueError(f"this Whisper does not know {', '.join(unknown)}")
        self._allowed = tuple(languages) or tuple(sorted(self._of_code))
        self._timed = bool(getattr(settings, "alignment_heads", None))
        self._silence = getattr(settings, "no_timestamps_token_id", None)

    def __call__(self, heard: Heard) -> list[Transcript]:
        """One transcript per piece; those of one language are decoded together."""
        inputs = self._inputs(heard, padding="max_length", return_attention_mask=True)
        states = self._network.get_encoder()(inputs["input_features"])
        languages = self._languages(states, heard)
        found: dict[int, Transcript] = {}
        for code in dict.fromkeys(language for language, _, _ in languages):
            rows = [row for row, (its, _, _) in enumerate(languages) if its == code]
            told = {"language": code, "task": "transcribe"} if self._of_code else {}
            made = self._network.generate(
                inputs["input_features"][rows],
                attention_mask=inputs["attention_mask"][rows],
                **({"encoder_outputs": states} if len(rows) == len(heard) else {}),  # some rows alone may round otherwise
                return_token_timestamps=self._timed,
                force_unique_generate_call=True,
                **told,
                **self._limits([heard[row] for row in rows]),
            )
            times = made["token_timestamps"][:, -len(made["scores"]) :].tolist() if self._timed else [None] * len(rows)
            for row, said, when in zip(rows, self._told(made, [heard[row] for row in rows]), times, strict=True):
                found[row] = self._transcript(said, when, heard[row][1], languages[row])
        return [found[row] for row in range(len(heard))]

    def _languages(self, states: Any, heard: Heard) -> list[tuple[str, float | None, float | None]]:
        """Per piece: the language to decode in, its probability, and that of silence, all from the decoder's first step."""
        import torch

        start = torch.full((len(heard), 1), self._network.config.decoder_start_token_id, device=self._network.device)
        first = self._network(encoder_outputs=states, decoder_input_ids=start).logits[:, 0].float()
        silence = first.softmax(-1)[:, self._silence - 1].tolist() if self._silence else [None] * len(heard)
        if not self._of_code:
            return [("en", None, quiet) for quiet in silence]
        chances = first[:, list(self._of_code.values())].softmax(-1).tolist()
        found = []
        for row, quiet, (clip, _) in zip(chances, silence, heard, strict=True):
            probable = dict(zip(self._of_code, row, strict=True))
            hint = primary(clip.language) if clip.language else None
            code = hint if hint in self._allowed else max(self._allowed, key=lambda code: probable[code])
            found.append((code, probable[code], quiet))
        return found

    def _transcript(
        self, said: Said, when: Sequence[float] | None, span: Span, language: tuple[str, float | None, float | None]
    ) -> Transcript:
        text, (code, probable, quiet) = self._text(said.tokens), language
        pieces = self._pieces(said, when) if when is not None else []
        words = timed_words(text, pieces, span) if pieces or not text else None
        return Transcript(text, words, said.confidence if text else None, code, probable, quiet)

    def _pieces(self, said: Said, when: Sequence[float]) -> list[SpokenPiece]:
        """Tokens, those that share a character as one. A token ends where the next one begins; of the last that is not known."""
        pieces, first = [], 0
        for row, place in enumerate(said.places):
            text = self._tokenizer.decode(said.tokens[first : row + 1])
            if HALF in text and row + 1 < len(said.places):
                continue
            end = when[place + 1] if row + 1 < len(said.places) else None
            chance = mean_probability(said.chances[first : row + 1])
            pieces.append(SpokenPiece(text, when[said.places[first]], end, chance))
            first = row + 1
        return pieces
