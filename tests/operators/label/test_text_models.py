"""Labellers that read, each with a real library on a tiny model of its own kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import tiny_labellers as tiny
from scenes import read
from voxmill.operators.contract.adapters import LabelAnswer
from voxmill.operators.label.entities import SpacyEntitiesConfig, TokenEntitiesConfig
from voxmill.operators.label.label import load
from voxmill.operators.label.text_language import TextLanguageConfig
from voxmill.operators.label.translation import TranslationConfig
from voxmill.operators.label.translation_checks import GateConfig

pytest.importorskip("transformers")

ANYTHING = GateConfig(length_ratio=(0, 1e9), max_compression=1e9, max_repeats=10**6, min_language=1.0)


def values(answers: Sequence[Sequence[LabelAnswer]]) -> list[list[str] | None]:
    return [None if not a or a[0].marks is None else [m.value for m in a[0].marks] for a in answers]


def test_the_language_of_a_text() -> None:
    texts = [
        "Buenos días, ¿en qué puedo ayudarle?",
        "Bonjour, que puis-je faire pour vous ?",
        "今天天气很好，我们去公园吧",
        "ok",
        "",
    ]
    answers = load(TextLanguageConfig()).label(read(texts))
    assert values(answers) == [["es"], ["fr"], ["zh"], None, None]
    assert load(TextLanguageConfig()).label(read(texts)) == answers, "the same text, the same answer"


def test_a_token_classifier_names_words_of_the_text(tmp_path: Path) -> None:
    labeller = load(TokenEntitiesConfig(model=str(tiny.write_token_classifier(tmp_path / "ner"))))
    answers = labeller.label(read(["Maria lives in London", "please hold the line", ""]))
    assert values(answers) == [["Maria", "London"], [], None]
    assert [m.kind for m in answers[0][0].marks or ()] == ["PER", "LOC"]
    assert values(labeller.label(read(["Maria wohnt in London"], "de"))) == [None], "a language that it does not know"


def test_rules_are_a_pipeline_as_well(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    labeller = load(SpacyEntitiesConfig(model=str(tiny.write_rules(tmp_path / "rules"))))
    assert values(labeller.label(read(["Acme Ltd moved to London", "nobody"]))) == [["Acme Ltd", "London"], []]
    assert labeller.model.startswith("rules@")


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_marian(tmp_path_factory.mktemp("marian"))


def test_a_copy_is_no_translation(marian: Path) -> None:
    """The tiny model copies: of what was German all along the gate lets nothing through."""
    german = [s for s in tiny.SENTENCES if any(w in s for w in ("guten", "der Zug", "wohnt", "bitte"))]
    english = [s for s in tiny.SENTENCES if s not in german]
    labeller = load(TranslationConfig(model=str(marian), languages=("de",)))
    answers = [a for (a,) in labeller.label(read(german, "de"))]
    assert {a.reason for a in answers} == {"label.translation_language"}
    copies = [a for (a,) in labeller.label(read(english, "de"))]
    assert [a.marks and a.marks[0].value for a in copies] == english
    assert {m.language for a in copies for m in a.marks or ()} == {"en"}
    assert labeller.label(read(english, "fr")) == [[]] * len(english), "not a language that it translates"
    assert labeller.label(read(english, "en")) == [[]] * len(english), "nothing to translate"


def test_ctranslate2_says_what_transformers_says(marian: Path, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    text = read(list(tiny.SENTENCES), "de")
    folder = tiny.write_ctranslate2(tmp_path / "ct2", marian)
    one, other = (load(TranslationConfig(model=str(f), gate=ANYTHING)).label(text) for f in (marian, folder))
    assert values(one) == values(other)
    assert [a.confidence for (a,) in one] == pytest.approx([a.confidence for (a,) in other], abs=1e-3)


def test_nllb_is_told_both_languages(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    nllb = tiny.write_nllb(tmp_path / "nllb")
    folder = tiny.write_ctranslate2(tmp_path / "ct2", nllb)
    text = read(list(tiny.SENTENCES[:3]), "de")
    both = [load(TranslationConfig(model=str(f), gate=ANYTHING, max_tokens=6)).label(text) for f in (nllb, folder)]
    assert values(both[0]) == values(both[1])
    with pytest.raises(ValueError, match="no code for 'xx'"):
        load(TranslationConfig(model=str(nllb))).label(read(["a text"], "xx"))


def test_a_model_that_loops_is_refused(tmp_path: Path) -> None:
    labeller = load(TranslationConfig(model=str(tiny.write_marian(tmp_path / "loop", repeat=True)), languages=("de",)))
    [[answer]] = labeller.label(read([tiny.SENTENCES[0]], "de"))
    assert answer.reason in ("label.translation_repetition", "label.translation_length")
