from __future__ import annotations

import pytest

from voxmill.operators.vendors.sensevoice_tags import Tagged, untag


@pytest.mark.parametrize(
    ("raw", "tagged"),
    [
        ("<|zh|><|NEUTRAL|><|Speech|><|woitn|>今天天气", Tagged("今天天气", "zh", "neutral", "speech")),
        ("<|en|><|EMO_UNKNOWN|><|BGM|><|withitn|>Hello, you.", Tagged("Hello, you.", "en", None, "bgm")),
        ("<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>", Tagged("", "nospeech", None, None)),
        ("<|yue|><|HAPPY|><|Laughter|><|woitn|>你好<|SAD|>", Tagged("你好", "yue", "happy", "laughter")),
        ("no tags", Tagged("no tags")),
        ("", Tagged("")),
    ],
)
def test_tags_are_read_and_taken_off(raw: str, tagged: Tagged) -> None:
    assert untag(raw) == tagged


def test_no_speech_is_silence() -> None:
    assert untag("<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>").silent
    assert not untag("<|en|><|NEUTRAL|><|Speech|><|woitn|>").silent
