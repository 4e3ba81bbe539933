"""Labellers that listen, each with a real library on a tiny model of its own kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny_funasr
import tiny_labellers as tiny
from scenes import heard, noise
from voxmill.operators.label.audio_classes import AudioClassesConfig
from voxmill.operators.label.emotion2vec import CLASSES, Emotion2VecConfig, check_layers
from voxmill.operators.label.label import load
from voxmill.operators.label.sensevoice_labels import SenseVoiceTagsConfig

SPANS = [(0.5, 2.5), (3.0, 3.05), (4.0, 6.0)]


@pytest.mark.slow
def test_sensevoice_says_its_rich_tokens(tmp_path: Path) -> None:
    """The tiny model has learnt to say `<|zh|><|NEUTRAL|><|Speech|><|woitn|>`."""
    pytest.importorskip("funasr")
    labeller = load(SenseVoiceTagsConfig(model=str(tiny_funasr.write_sensevoice(tmp_path / "sv")), min_confidence=0.05))
    scene = heard(SPANS, noise(7))
    first, short, last = labeller.label(scene)
    for answers in (first, last):
        said = {a.task: a.marks and [m.value for m in a.marks] for a in answers}
        assert said == {"language": ["zh"], "emotion": ["neutral"], "sound_events": ()}
        assert all(0 < (a.confidence or 0) <= 1 for a in answers)
    assert [a.marks for a in short] == [None, None, None], "too short to tell anything"
    assert labeller.label(scene) == [first, short, last]


@pytest.mark.slow
def test_emotion2vec_names_an_emotion(tmp_path: Path) -> None:
    pytest.importorskip("funasr")
    folder = str(tiny.write_emotion2vec(tmp_path / "e2v"))
    scene = heard(SPANS, noise(7))
    (first,), (short,), (last,) = load(Emotion2VecConfig(model=folder, min_confidence=0.0)).label(scene)
    assert short.marks is None
    for answer in (first, last):
        assert answer.marks is None or answer.marks[0].value in CLASSES
    sure = load(Emotion2VecConfig(model=folder, min_confidence=0.99)).label(scene)
    assert all(a.marks is None for (a,) in sure), "an untrained model is never that sure"


def test_a_config_cannot_bring_code() -> None:
    check_layers('feature_encoder_spec: "[(512, 10, 5)] + [(512, 3, 2)] * 4"')
    with pytest.raises(ValueError, match="no list of numbers"):
        check_layers("feature_encoder_spec: __import__('os').system('true')")


def test_several_events_at_once_or_none(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = str(tiny.write_audio_classifier(tmp_path / "w2v"))
    scene = heard(SPANS, noise(7), kind="event")
    (first,), (short,), _ = load(AudioClassesConfig(model=folder, min_confidence=0.0)).label(scene)
    assert {m.value for m in first.marks or ()} == {"bgm", "applause", "laughter", "dog"}, (
        "speech is no event; AudioSet's names are ours"
    )
    assert short.marks is None
    (few,), *_ = load(AudioClassesConfig(model=folder, min_confidence=0.0, only=("bgm", "laughter"))).label(scene)
    assert {m.value for m in few.marks or ()} == {"bgm", "laughter"}
    (none,), *_ = load(AudioClassesConfig(model=folder, min_confidence=1.0)).label(scene)
    assert none.marks == (), "it looked, and there is none"


def test_one_gender_or_none(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = str(tiny.write_audio_classifier(tmp_path / "ast", ("Female", "Male", "Noise"), kind="ast"))
    config = AudioClassesConfig(model=folder, task="gender", classes={"noise": ""}, min_confidence=0.0)
    (first,), *_ = load(config).label(heard(SPANS, noise(7)))
    assert first.marks is None or first.marks[0].value in ("female", "male")
    unsure = load(config.model_copy(update={"min_confidence": 0.99})).label(heard(SPANS, noise(7)))
    assert all(a.marks is None for (a,) in unsure)
    assert load(config).label(heard(SPANS, noise(7), kind="event")) == [[], [], []], "nobody speaks: nobody is asked"
    assert np.isfinite([a.confidence or 0.0 for a in (first,)]).all()
