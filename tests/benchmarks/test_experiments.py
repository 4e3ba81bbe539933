"""What experiments share: the corpus is the same every time, a training that was cut up is the one that was not, verdicts hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.experiments import corpus as corpora
from benchmarks.experiments import sizes
from benchmarks.experiments.corpus import FBANK, Corpus, Spoken, corpus, stored_features
from benchmarks.experiments.grammar import sentences
from benchmarks.experiments.hearing import error_rates, transcripts
from benchmarks.experiments.lessons import LessonLoader, lesson
from benchmarks.experiments.pseudo import consensus
from benchmarks.experiments.trainings import Clock, Figures, Job, OutOfTime, Trainings, models_code
from benchmarks.experiments.verdict import beats, interval, judged, reductions
from benchmarks.experiments.voices import TEST_VARIANTS, TRAIN_VARIANTS, Voice, synthesise
from speech.cache import cache_root
from speech.waves import Pcm
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.features import fbank

SIZE = sizes.Size(train=8, test=3, steps=4, layers=1, dim=16, hidden=16, batch_seconds=3.0)


def hum(text: str, voice: Voice) -> Pcm:
    """In the place of a synthesiser: a tone for each letter."""
    tones = [np.sin(np.arange(800) * 0.02 * (ord(letter) - 90)) for letter in text]
    return (np.concatenate(tones) * 1500).astype(np.int16)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path))
    monkeypatch.setattr(corpora, "synthesise", hum)
    return corpora.commands(SIZE.train, SIZE.test)


def trainings(made: Corpus, clock: Clock) -> Trainings:
    return Trainings("test", made, sizes.tokens((one.text for one in made.spoken), 300), clock, device="cpu")


def job(seed: int = 0) -> Job:
    return Job(arm="dense", model=sizes.model(SIZE), train=sizes.train(SIZE, seed), data=sizes.data(SIZE, seed))


def test_sentences_depend_on_the_seed_alone_and_slots_are_where_they_say() -> None:
    said = sentences(60, 7)
    assert said == sentences(60, 7) != sentences(60, 8)
    assert all(one.text[slot.start : slot.end].strip() for one in said for slot in one.slots)
    assert any(slot.kind == "room" for one in said for slot in one.slots)


def test_a_corpus_read_from_the_cache_is_the_one_that_was_made(made: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(corpora, "synthesise")
    again = corpora.commands(SIZE.train, SIZE.test)
    assert (again.hash, again.spoken) == (made.hash, made.spoken)
    assert {one.turns[0][0].variant for one in made.split("test")} <= set(TEST_VARIANTS)
    assert not set(TEST_VARIANTS) & set(TRAIN_VARIANTS)


def test_another_sound_is_another_hash(made: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(next(Path(cache_root()).glob("experiments/commands-*")))
    monkeypatch.setattr(corpora, "synthesise", lambda text, voice: hum(text, voice) // 2)
    assert corpora.commands(SIZE.train, SIZE.test).hash != made.hash


def test_stored_features_are_within_half_a_step(made: Corpus) -> None:
    one = made.spoken[0]
    exact_TM = fbank(torch.from_numpy(one.wave().astype(np.float32) / 32768), FBANK)
    assert float((made.features(one.key) - exact_TM).abs().max()) <= 0.5 / 6 + 1e-4
    assert stored_features(one.wave()).shape == (made.frames(one.key), 40)


def test_a_key_is_there_once(made: Corpus) -> None:
    with pytest.raises(ValueError, match="same key"):
        corpus("twice", [made.spoken[0], made.spoken[0]])


def test_the_loader_goes_on_where_it_was(made: Corpus) -> None:
    lessons = [lesson(one) for one in made.split("train")]
    tokens = sizes.tokens((one.text for one in made.spoken), 300)
    one, other = (LessonLoader(made, lessons, tokens, sizes.data(SIZE, 0)) for _ in range(2))
    batches = iter(one)
    before = [next(batches) for _ in range(7)]
    assert {key for batch in before[:4] for key in batch.keys} <= {one.key for one in lessons}
    other.load_state_dict(one.state_dict())
    following, again = next(batches), next(iter(other))
    assert following.keys == again.keys
    assert torch.equal(following.feature_BTM, again.feature_BTM)


def test_a_training_in_pieces_is_the_whole_one(made: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons = [lesson(one) for one in made.split("train")]
    whole = trainings(made, Clock()).trained(job(), lessons)
    shutil.rmtree(Path(cache_root()) / "experiments" / "trained")
    stopped = 0
    while True:
        try:
            pieces = trainings(made, _Ticks(2)).trained(job(), lessons)
            break
        except OutOfTime:
            stopped += 1
    assert stopped >= 2
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, pieces.model.state_dict()[name]), name


class _Ticks(Clock):
    """Over after so many looks at it."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise OutOfTime


def test_a_result_is_kept_and_another_job_or_lesson_is_another_result(made: Corpus) -> None:
    lessons = [lesson(one) for one in made.split("train")]
    tests = [lesson(one) for one in made.split("test")]
    room = trainings(made, Clock())
    judgements = []

    def judge(bundle: Bundle) -> Figures:
        judgements.append(bundle.step)
        return error_rates(made, transcripts(bundle, made, tests))

    first = room.result(job(), lessons, judge)
    assert room.result(job(), lessons, judge) == first
    assert judgements == [4]
    assert first["steps"] == 4
    assert len({room.key(job(), lessons), room.key(job(1), lessons), room.key(job(), lessons[1:])}) == 3


def test_what_starts_from_another_training_says_from_which(made: Corpus) -> None:
    lessons = [lesson(one) for one in made.split("train")]
    with pytest.raises(ValueError, match="needs the other"):
        trainings(made, Clock()).trained(job().model_copy(update={"after": "somewhere"}), lessons)


def test_comments_do_not_change_the_code_of_the_models() -> None:
    assert len(models_code()) >= 32


def test_teachers_who_agree_are_agreed_with(made: Corpus) -> None:
    pool = made.split("train")[:2]
    right = {one.key: one.text for one in pool}
    wrong = {**right, pool[0].key: "call nobody"}
    both = consensus(made, pool, {"a": right, "b": right, "c": wrong})
    assert [one.text for one in both] == [one.text for one in pool]
    assert (both[0].agreement or 1) < 1
    assert both[1].agreement == 1


def test_verdicts() -> None:
    assert beats([1.0, 2.0], [3.0, 4.0])
    assert not beats([1.0, 3.5], [3.0, 4.0])
    assert reductions([5.0, 10.0], [10.0, 10.0]) == [50.0, 0.0]
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert (mean, round(low, 3), round(high, 3)) == (2.0, -0.484, 4.484)  # t(0.975, 2) = 4.303


def test_a_comparison_is_void_where_one_seed_of_the_baseline_learnt_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"a": {"value": 1, "target": "1", "met": True}}
    assert all(one["met"] for one in judged(good, [10.0, 12.0]).values())  # type: ignore[arg-type]
    assert "VOID" not in capsys.readouterr().out
    void = judged(good, [10.0, 21.0])  # type: ignore[arg-type]
    assert not any(one["met"] for one in void.values())
    assert "VOID" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: apt-get install espeak-ng")
def test_every_voice_is_another_one() -> None:
    names = (*TRAIN_VARIANTS, *TEST_VARIANTS)
    sounds = {synthesise("one two", Voice("en-us", name)).tobytes() for name in names}
    assert len(sounds) == len(names)
    assert synthesise("one two", Voice("en-us", "m1")).tobytes() in sounds


def test_spoken_is_a_value() -> None:
    turns = ((Voice("en-us", "m1"), "turn on"), (Voice("en-us", "f1"), "the light"))
    assert Spoken("a", "train", turns).text == "turn on the light"
