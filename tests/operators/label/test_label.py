"""The operator around a labeller: scenes in, opinions out, one for every segment, whatever is asked of whom."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile

from scenes import RATE, read, recording
from voxmill.manifests.records import (
    Annotation,
    Finding,
    Hypothesis,
    Licence,
    Mark,
    Opinion,
    Part,
    Provenance,
    Recording,
    Segment,
    Word,
)
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.label.endpoints import Endpoints, EndpointsConfig
from voxmill.operators.label.heard_language import HeardLanguage, HeardLanguageConfig
from voxmill.operators.label.label import Label
from voxmill.operators.label.labeller_config import ModelSettings
from voxmill.operators.label.language_codes import DIALECTS, compatible
from voxmill.operators.label.stated import StatedLanguage, StatedLanguageConfig


class Loudness:
    """Says how loud the loudest sample is, of segments below one second that it is not sure."""

    model = "loudness@1"
    heard: ClassVar[list[int]] = []

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        self.heard.append(0 if scene.audio is None else len(scene.audio))
        answers = []
        for utterance in scene.utterances:
            loudest = float(np.abs(scene.wave(utterance.segment)).max())
            sure = utterance.segment.num_samples >= RATE
            answers.append(
                [
                    LabelAnswer("quality", (Mark("peak", score=loudest),) if sure else None),
                    LabelAnswer("gender", (Mark("male"),)),
                ]
            )
        return answers


class Listens(ModelSettings):
    hears = True
    kind: str = "listens"
    name: str = "loud"
    model: str = ""


def work(tmp_path: Path) -> UnitInput:
    """Two parts of one recording whose samples count up; the second part holds no speech."""
    soundfile.write(tmp_path / "a.wav", (np.arange(8 * RATE) / (8 * RATE)).astype(np.float32), RATE, subtype="FLOAT")
    segments = (
        Segment("one", "r", RATE, RATE),
        Segment("two", "r", 3 * RATE, RATE // 2),
        Segment("event", "r", 4 * RATE, RATE, kind="event"),
    )
    parts = (Part("r", 0, 6 * RATE), Part("r", 6 * RATE, 2 * RATE))
    rec = Recording("r", "i", Provenance("s", "a"), Licence(), str(tmp_path / "a.wav"), num_samples=8 * RATE)
    return UnitInput("u", recordings=(rec,), parts=parts, segments=segments)


def test_every_segment_has_an_opinion_and_only_what_is_needed_is_read(tmp_path: Path) -> None:
    Loudness.heard.clear()
    config = Listens(skip=("gender",))
    opinions = Label(config, Loudness())(work(tmp_path))  # type: ignore[arg-type]
    said = Annotation((Mark("peak", score=0.25),), "loud", None, "loudness@1")
    assert opinions == [
        Opinion("one", "loud", (Finding("quality", said),)),
        Opinion("two", "loud", (Finding("quality", None),)),
        Opinion("event", "loud", ()),
    ]
    assert Loudness.heard == [int(2.5 * RATE)], (
        "from the first segment to the end of the last, and nothing of a part without any"
    )


def test_endpoints_follow_silence_and_not_a_cut() -> None:
    scene = read(["one", "two", "three"])  # one second each, back to back: cut by force
    labeller = Endpoints(EndpointsConfig())
    assert [len(a.marks or ()) for (a,) in labeller.label(scene)] == [0, 0, 1]
    words = (Word("so", 0, 800), Word("then", 9600, 12800))
    paused = Hypothesis("s0", "e", "m", "so then", words=words)
    (first,), _, (last,) = labeller.label(read(["so then", "b", "c"], hypotheses=[paused]))
    assert [m.start for m in first.marks or ()] == [800]
    assert [m.start for m in last.marks or ()] == [3 * RATE]


def test_the_sources_word_for_a_dialect_is_taken() -> None:
    for stated, expected in (("zh-yue", "yue"), ("nan-TW", "minnan"), ("zh-x-sichuan", "sichuan"), ("en-GB", "en")):
        [[answer]] = StatedLanguage(StatedLanguageConfig()).label(read(["a"], stated=stated))
        assert answer.marks == (Mark(expected),)
    [[silent]] = StatedLanguage(StatedLanguageConfig()).label(read(["a"]))
    assert silent.marks is None
    assert all(compatible("zh", dialect) and compatible(dialect, "zh") for dialect in DIALECTS)


def test_a_language_that_was_told_is_no_detection() -> None:
    hypotheses = [
        Hypothesis("s0", "whisperx", "base@1", "hola", language="es", language_confidence=0.9),
        Hypothesis("s1", "whisperx", "base@1", "hola", language="es"),
        Hypothesis("s2", "moonshine", "tiny@1", "hello", language="en", language_confidence=1.0),
    ]
    found = HeardLanguage(HeardLanguageConfig()).label(read(["hola", "hola", "hello"], hypotheses=hypotheses))
    assert [a.marks and a.marks[0].value for (a,) in found] == ["es", None, None]
    assert found[0][0].model == "base@1"
    assert recording(1).language is None
