from __future__ import annotations

import pytest

from voxmill.manifests.records import Hypothesis
from voxmill.operators.reconcile.language import spoken_language


def heard(language: str | None, confidence: float | None) -> Hypothesis:
    return Hypothesis("s", "e", "m", "text", language=language, language_confidence=confidence)


@pytest.mark.parametrize(
    ("given", "hint", "language", "confidence"),
    [
        ([], None, None, None),
        ([], "en-GB", "en", None),
        ([heard(None, None)], "cmn", "zh", None),
        ([heard("en", None)], "fr", "fr", None),
        ([heard("en", None)], None, "en", None),
        ([heard("zh-CN", 0.9), heard(None, None)], "en", "zh", 0.9),
        ([heard("zh", 0.9), heard("zh", 0.7)], None, "zh", 0.8),
        ([heard("zh", 0.9), heard("yue", 0.8)], None, "zh", 0.45),
        ([heard("en", None), heard("zh", 0.6)], None, "zh", 0.6),
    ],
)
def test_detectors_decide_then_the_source_then_what_engines_assume(
    given: list[Hypothesis], hint: str | None, language: str | None, confidence: float | None
) -> None:
    for order in (given, given[::-1]):
        found = spoken_language(order, hint)
        assert found[0] == language
        assert found[1] == (confidence if confidence is None else pytest.approx(confidence))
