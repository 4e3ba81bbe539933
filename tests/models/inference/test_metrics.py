"""Figures against examples that were counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from voxmill.manifests.records import Annotation, Labels, Mark
from voxmill.models.common.text_rules import TextRules
from voxmill.models.data.targets import LabelledUtterance
from voxmill.models.inference.evaluate_split import utterance_result
from voxmill.models.inference.metrics import (
    ClassMetrics,
    EventMetrics,
    TextMetrics,
    UtteranceResult,
    class_metrics,
    compute_metrics,
    event_metrics,
    normalise,
    text_metrics,
    translation_metrics,
)
from voxmill.models.inference.recognizer import Recognition
from voxmill.sharding.reader import StoredSample


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("The cat, sat.", "the cat sat"),
        ("Don’t 'quote' it's", "don't quote it's"),
        ("well-known…", "well known"),
        ("你好 OK，谢谢", "你 好 ok 谢 谢"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("STRASSE straße", "strasse strasse"),
        (" ' ", ""),
        ("", ""),
    ],
)
def test_texts_are_made_alike_before_they_are_compared(text: str, alike: str) -> None:
    assert normalise(text) == alike


def test_words_and_characters_are_counted_over_the_whole_corpus() -> None:
    pairs = [
        ("a b c d", "a x c"),  # one substituted, one deleted: 2 of 4 words, 2 of 4 characters
        ("one two", "one two three"),  # one inserted: 1 of 2 words, 5 of 6 characters
        ("", "oh"),  # nothing to be said, and one word was
    ]
    assert text_metrics(pairs) == TextMetrics(wer=round(100 * 4 / 6, 2), cer=round(100 * 9 / 10, 2), utterances=3, words=6)


def test_chinese_is_counted_by_character() -> None:
    assert text_metrics([("今天天气很好", "今天天很好吗")]).wer == round(100 * 2 / 6, 2)


def test_without_a_word_in_the_references_there_is_no_rate() -> None:
    assert text_metrics([("", "oh"), ("…", "")]) == TextMetrics(None, None, 2, 0)
    assert text_metrics([]) == TextMetrics(None, None, 0, 0)


def test_macro_f1_is_the_mean_over_the_classes_of_the_references() -> None:
    # en: precision 2/3, recall 2/2, F1 0.8; zh: nothing right, F1 0; `de` was said and is never true: no class of its own
    said = class_metrics(["en", "en", "zh", "zh"], ["en", "en", "en", "de"])
    assert said == ClassMetrics(accuracy=50.0, macro_f1=40.0, utterances=4)


def test_events_are_counted_as_pairs_of_utterance_and_event() -> None:
    # right: bgm, laughter; missed: laughter; said and not there: cough. F1 = 2 * 2 / (2 * 2 + 1 + 1)
    # bgm: 1; laughter: precision 1, recall 1/2, F1 2/3
    heard = event_metrics([({"bgm", "laughter"}, {"bgm", "laughter"}), ({"laughter"}, {"cough"}), (set(), set())])
    assert heard == EventMetrics(f1=66.67, macro_f1=83.33, utterances=3)


def test_nothing_to_be_heard_and_nothing_heard_is_right() -> None:
    assert event_metrics([(set(), set())]) == EventMetrics(100.0, 100.0, 1)
    assert event_metrics([(set(), {"bgm"})]) == EventMetrics(0.0, 0.0, 1)
    assert event_metrics([]) is None


def test_translations_are_sacrebleus() -> None:
    right = translation_metrics([("The house is small and old.", "The house is small and old.")] * 2, "en")
    assert (right.bleu, right.chrf, right.utterances) == (100.0, 100.0, 2)
    # one of ten tokens differs: precisions 9/10, 7/9, 5/8, 4/7, no penalty for brevity; the geometric mean is 70.71
    reference, said = "a b c d e f g h i j", "a b x d e f g h i j"
    assert translation_metrics([(reference, said)], "en").bleu == pytest.approx(
        100 * (9 / 10 * 7 / 9 * 5 / 8 * 4 / 7) ** 0.25, abs=0.01
    )
    assert translation_metrics([("今天天气很好", "今天天气很好")], "zh").bleu == 100.0


def test_only_what_is_labelled_counts() -> None:
    answers = [
        UtteranceResult(
            "en", "yes", "yes", {"language": ("en",), "gender": ("male",)}, {"language": ("en",), "gender": ("male",)}
        ),
        UtteranceResult("zh", "谢谢", "谢", {"language": ("zh",)}, {"language": ("en",), "gender": ("male",)}),
        UtteranceResult("zh", None, "anything", {"sound_events": ()}, {"language": ("zh",), "sound_events": ("bgm",)}),
        UtteranceResult("en", "no", "no", {"gender": ("female",)}, {}, {"es": ("no", "no")}),  # gender was not asked for
    ]
    found = compute_metrics(answers)
    assert found.text == TextMetrics(25.0, round(100 / 7, 2), 3, 4)
    assert found.by_language == {"en": TextMetrics(0.0, 0.0, 2, 2), "zh": TextMetrics(50.0, 50.0, 1, 2)}
    assert found.choices == {"language": ClassMetrics(50.0, 33.33, 2), "gender": ClassMetrics(100.0, 100.0, 1)}
    assert found.events == EventMetrics(0.0, 0.0, 1)
    assert found.translations["es"].utterances == 1


def test_no_answer_is_no_figure() -> None:
    found = compute_metrics([])
    assert (found.text.wer, found.choices, found.events, found.translations) == (None, {}, None, {})


def test_a_translation_is_judged_under_the_rules_that_were_learnt() -> None:
    said = Recognition("hola tú", "", {}, 0.0)
    translators: dict[str, Any] = {"es": lambda *_: [said]}
    stored = StoredSample("key", np.zeros(16_000, np.float32), {"language": "en"})
    heard = LabelledUtterance("Hello!", Labels("key", translation=Annotation((Mark("¡Hola, TÚ!", language="es"),), "x")))
    for rules, reference in ((TextRules(), "¡Hola, TÚ!"), (TextRules(case="lower", punctuation="remove"), "hola tú")):
        result = utterance_result(stored, heard, said, translators, rules)
        assert result.translations == {"es": (reference, "hola tú")}
