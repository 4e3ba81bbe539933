"""A translation that cannot be one is refused, with the reason."""

from __future__ import annotations

import pytest

from voxmill.operators.label.translation_checks import GateConfig, refusal

SOURCE = "Guten Morgen, meine Damen und Herren, und willkommen."


@pytest.mark.parametrize(
    ("translation", "reason"),
    [
        ("Good morning, ladies and gentlemen, and welcome.", None),
        ("Good.", "label.translation_length"),
        ("Good morning, " * 20, "label.translation_length"),
        ("good good good good morning and welcome to you all", "label.translation_repetition"),
        ("la la la ha la la la ha la la la ha la la la ha la la la ha", "label.translation_repetition"),
        ("Bonjour mesdames et messieurs, et bienvenue.", "label.translation_language"),
    ],
)
def test_what_cannot_be_a_translation(translation: str, reason: str | None) -> None:
    def detect(text: str) -> tuple[str, float]:
        return ("fr" if "bienvenue" in text else "en"), 0.9

    assert refusal(SOURCE, translation, "en", detect, GateConfig()) == reason


def test_an_unsure_detector_refuses_nothing() -> None:
    said = "Bonjour mesdames et messieurs, et bienvenue."
    assert refusal(SOURCE, said, "en", lambda text: ("fr", 0.3), GateConfig()) is None


def test_han_characters_count_for_their_words() -> None:
    assert (
        refusal(
            "各位女士先生早上好，欢迎光临",
            "Good morning, ladies and gentlemen, welcome.",
            "en",
            lambda t: ("en", 1.0),
            GateConfig(),
        )
        is None
    )
