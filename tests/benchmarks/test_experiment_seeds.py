"""The harness of experiment-seeds on a tiny network and made-up speech: what would make its figures worthless must not happen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import experiment_seeds as seeds
from benchmarks.experiments import activated_speech, frames, greedy, guided_speech, hard, seen_speech, spans
from benchmarks.experiments.activated_speech import Exchange, Line
from benchmarks.experiments.frame_lessons import Guides
from benchmarks.experiments.frames import Wave, frames_of
from benchmarks.experiments.marked import Said
from benchmarks.experiments.room import Form
from benchmarks.experiments.spans import Span, Speech
from benchmarks.experiments.student_trainings import StudentTrainings
from benchmarks.experiments.trainings import Clock
from benchmarks.experiments.whisper_start import architecture, begun, from_frames
from benchmarks.made_spans import made
from speech.prompts import Prompt
from speech.waves import write_wave
from voxmill.models.network.model import SpeechModel

SAYINGS = ("thank you for the music", "the music", "for you", "thank you")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Speech:
    """Made-up prompts in four languages, and lines of a play."""
    every = {language: _prompts(tmp_path, language) for language in ("en", "es", "fr", "it")}
    monkeypatch.setattr(guided_speech, "prompts", every.__getitem__)
    monkeypatch.setattr(activated_speech, "prompts", every.__getitem__)
    monkeypatch.setattr(guided_speech, "narrow_band", lambda language: {one.id: one.path for one in every[language]})
    for module in (activated_speech, seen_speech):
        monkeypatch.setattr(module, "named", lambda lines: [("music",)] * len(lines))
    monkeypatch.setattr(
        seen_speech, "handwritten", lambda digits, *_: torch.randn(len(digits), 32, generator=torch.Generator())
    )
    monkeypatch.setattr(spans, "LEAST_MINUTES", 0.0)
    tune = (3000 * np.random.default_rng(0).standard_normal(100_000)).astype(np.int16)
    monkeypatch.setattr(hard, "tunes", lambda: [tune])
    monkeypatch.setattr(activated_speech, "PAUSE", 160)
    short = (one for one in made(tmp_path, 120, 21) if one.minutes < 0.022)  # two of them fit into the tiny network's window
    return Speech(tuple(short), {})


def _prompts(folder: Path, language: str) -> list[Prompt]:
    found = []
    for index in range(24):
        path = folder / f"{language}-{index}.wav"
        samples = (2000 * np.sin(np.arange(9600) * 0.01 * (1 + index))).astype(np.int16)
        write_wave(path, samples)
        text = f"{SAYINGS[index % 4]} {language}"
        found.append(Prompt(f"{language}_clip-{index}", language, f"voice-{language}", text, path, len(samples)))
    return found


def test_the_last_layers_of_an_encoder_make_the_same_of_what_enters_them(tiny: None) -> None:
    model, _ = begun(architecture(experts=False, attention=False), 0)
    model.eval()
    feature_TM = model.config.features.of(wave := torch.randn(20_000) * 0.1)
    with torch.no_grad():
        whole = model.encode(feature_TM[None], torch.tensor([len(feature_TM)])).memory_BSD
        for late in (1, 2):
            entering = frames_of(model, wave, late, margin=1000).float()
            again = from_frames(model, late).encode(entering[None], torch.tensor([len(entering)]))
            model.__class__ = SpeechModel
            assert again.memory_BSD.shape == whole.shape
            assert torch.allclose(again.memory_BSD, whole, atol=0.02)  # what enters is kept as float16
            assert not torch.allclose(entering, whole[0], atol=0.1)


def test_versions_of_a_sound_are_kept_apart() -> None:
    def read() -> Any:
        raise AssertionError

    paths = {Wave("key", read).path, Wave("key", read, late=2).path, Wave("key", read, late=2, margin=50).path}
    assert len(paths) == 3
    assert frames.home() in {path.parents[1].parent for path in paths}


def test_no_sentence_is_learnt_in_one_language_and_tested_in_another(told: Speech) -> None:
    found = guided_speech.sentences(1000)
    names = {held: {one.prompt.id.partition("_")[2] for one in found if one.held_out == held} for held in (True, False)}
    assert names[True]
    assert not names[True] & names[False]
    assert Counter(one.bandwidth for one in found) == {"wide": 72, "narrow": 72}
    assert {one.english for one in found} == {f"{text} en" for text in SAYINGS}
    shown = {lesson.key: lesson.guides for lesson in guided_speech.taught(found)}
    assert all(shown[one.key] == Guides(one.bandwidth) for one in found)
    shuffled = {one.key: one.guides for one in guided_speech.taught(found, shuffled=True)}
    assert shuffled == {key: guided_speech.by_chance(key) for key in shuffled}
    alike = sum(guided_speech.by_chance(one.key).bandwidth == one.bandwidth for one in found)
    assert 0.3 < alike / len(shuffled) < 0.7


def test_experts_begin_as_whisper_and_only_they_are_tuned(tiny: None, told: Speech) -> None:
    found = guided_speech.sentences(24)
    trainings = StudentTrainings("seeds", Clock(), late=guided_speech.LATE, translate_to=("en",))
    job = guided_speech.job(guided_speech.Size(24, 2, 6.0), guided_speech.ARMS[3], 1)
    before, dense = trainings._fresh(job), begun(architecture(experts=False, attention=False), 0, ("en",))[0]
    layer, of_whisper = before.decoder.layers[1].feed_forward, dense.decoder.layers[1].feed_forward  # type: ignore[union-attr]
    assert all(torch.equal(one.up.weight, of_whisper.up.weight) for one in layer.experts)
    frames.encode_all([one.wave for one in found], Clock(), "prompts")
    after = trainings.trained(job, guided_speech.taught(found)).model
    moved = {name for name, tensor in after.state_dict().items() if not torch.equal(tensor, before.state_dict()[name])}
    assert moved
    assert all("feed_forward" in name for name in moved)
    assert {name.split(".")[0] for name in moved} == {"encoder", "decoder"}


def test_words_of_four_languages_are_compared_without_their_accents() -> None:
    assert guided_speech.words("Último número, ¿está?") == ("ultimo", "numero", "esta")


def line(key: str, text: str, speaker: str) -> Line:
    return Line(key, text, "en", speaker, 1.0, lambda: np.zeros(16_000, np.int16), ("Joe",) if "Joe" in text else ())


def test_an_exchange_says_who_speaks_and_who_is_named() -> None:
    one = Exchange(line("a", "Hello Joe.", "lola"), line("b", "Good bye!", "joe"))
    assert (one.text, one.changes, len(one.audio())) == ("Hello Joe. Good bye!", (2,), 32_000 + 3 * activated_speech.PAUSE)
    assert Exchange(one.first, line("c", "So.", "lola")).changes == ()
    labels = one.taught(("language", "named_entities")).utterance.labels
    assert (labels.language is not None, labels.named_entities is not None, labels.speaker_change) == (True, True, None)
    said = activated_speech.compared(Said("en", ("Hello", "Joe.", "Good", "bye!"), (2,), ("Joe.",)))
    assert said == Said("en", ("hello", "joe", "good", "bye"), (2,), ("joe",))


def test_exchanges_are_of_people_of_one_part_and_labelled_alike_in_every_language(told: Speech) -> None:
    train, test = (activated_speech.exchanges(told, part, 72) for part in ("train", "test"))
    people = [{one.first.speaker for one in of if one.first.language == "en"} for of in (train, test)]
    assert all(people)
    assert not people[0] & people[1]
    assert not {one.first.key for one in train} & {one.first.key for one in test}
    assert Counter(one.first.language for one in train) == {"en": 48, "es": 8, "fr": 8, "it": 8}
    assert 10 < sum(len(one.changes) for one in train) < 38
    lessons = {arm.name: activated_speech.taught(train, arm) for arm in activated_speech.ARMS}
    assert len(lessons[activated_speech.SUBSET]) == 9
    assert len(lessons[activated_speech.ACTIVATED]) == len(lessons[activated_speech.ZERO]) == 72
    marked = Counter(one.utterance.labels.speaker_change is not None for one in lessons[activated_speech.ACTIVATED])
    assert 20 < marked[True] < 52


def test_another_line_has_other_pictures(told: Speech) -> None:
    lines: list[Span] = seen_speech.lines(told, "train")
    known = seen_speech.emblems(lines)
    assert known == {"music": 0}
    found = seen_speech.namings(lines, {"music": 0, "thank": 1})
    assert all(one.emblems == (1, 0) for one in found)
    mixed = [*found[:3], *(seen_speech.Naming(one.span, (5,)) for one in found[3:6])]
    by_key = {one.key: one.emblems for one in mixed}
    assert all(by_key[own] != by_key[other] for own, other in seen_speech._others(mixed).items())
    said = {one.key: "thank you" for one in found}
    assert seen_speech.names_missed(found, said, {"music", "thank"}) == 50


def test_all_of_it_runs_and_is_read_again(
    tiny: None, told: Speech, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(seeds, "speech", lambda: told)
    monkeypatch.setattr(greedy, "MOST", 4)
    monkeypatch.setattr(greedy, "MORE", 0.0)
    small = seeds.Sizes(
        guided_speech.Size(sentences=30, steps=2, batch_seconds=6.0),
        activated_speech.Size(train=72, test=12, first=2, steps=2, batch_seconds=6.0),
        seen_speech.Size(train=1.0, test=0.3, versions=1, steps=2, batch_seconds=6.0),
    )
    monkeypatch.setattr(seeds, "REDUCED", small)
    form = Form(False, Clock(), 1, False)
    figures, judged = seeds.run(form) or ({}, {})
    out = capsys.readouterr().out
    assert set(figures["effects"]) == {"smoe", "tokenverse", "eva"}
    assert len(judged) == 8
    assert judged["eva: without pictures Whisper's words are as they were"]["met"]
    assert judged["tokenverse: a task that is off is not said"]["met"]
    assert "experts in both" in out
    assert "partial, activated" in out
    assert "pictures, then tuned" in out
    assert not list((frames.home().parents[1] / "trained").rglob("final"))
    again, _ = seeds.run(form) or ({}, {})
    assert again == figures
