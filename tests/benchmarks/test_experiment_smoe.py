"""What the arms of experiment-smoe differ in, without training any."""

from __future__ import annotations

import shutil
from itertools import product

import numpy as np
import pytest

from benchmarks import experiment_smoe as smoe
from benchmarks.experiments.translation import ADJECTIVES, NOUNS, NUMBERS, counted, pairs, several, thing
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.operators.decode.bandwidth import BandwidthConfig, Spectrum, bandwidth, cutoff_hz

FORMS = (smoe.REDUCED, smoe.FULL)
SPOKEN = smoe.utterances(smoe.FULL)
TRAIN, TEST = ([one for one in SPOKEN if one.split == split] for split in ("train", "test"))
HARD, _, _, BOTH, SHUFFLED = smoe.ARMS


def test_every_sentence_of_the_test_is_heard_through_both_bands() -> None:
    halves = [{(one.turns, one.room.snr_db) for one in TEST if one.room.narrow == narrow} for narrow in (True, False)]
    assert halves[0] == halves[1]
    assert 2 * len(halves[0]) == len(TEST)
    assert sum(one.room.narrow for one in TRAIN) == len(TRAIN) / 2


def test_voices_of_the_test_are_not_in_training() -> None:
    variants = [{voice.variant for one in part for voice, _ in one.turns} for part in (TRAIN, TEST)]
    assert not variants[0] & variants[1]


def test_true_guides_say_the_band_and_leave_the_task_to_the_prompt() -> None:
    for spoken, lesson in zip(TRAIN, smoe.lessons(TRAIN, BOTH), strict=True):
        assert (lesson.bandwidth == "narrow", lesson.task_guide) == (spoken.room.narrow, None)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_guide_is_what_would_be_measured_of_a_recording() -> None:
    """Ten utterances make one: bandwidth is measured of whole recordings."""
    for narrow in (True, False):
        spectrum = Spectrum()
        for one in [one for one in TEST if one.room.narrow == narrow][:10]:
            spectrum.add(one.wave().astype(np.float32) / np.float32(32768))
        found = bandwidth(cutoff_hz(spectrum.histogram, BandwidthConfig()), BandwidthConfig())
        assert found == ("narrow" if narrow else "wide")


def test_shuffled_guides_know_neither_band_nor_task_and_change_nothing_else() -> None:
    """Every combination of band and experts has about a quarter of its band's utterances: within four deviations."""
    true, shuffled = smoe.lessons(TRAIN, BOTH), smoe.lessons(TRAIN, SHUFFLED)
    assert [one.utterance for one in true] == [one.utterance for one in shuffled]
    for band, chance, task in product(BANDWIDTHS, BANDWIDTHS, smoe.TASKS):
        of_band = [two for one, two in zip(true, shuffled, strict=True) if one.bandwidth == band]
        count = sum((one.bandwidth, one.task_guide) == (chance, task) for one in of_band)
        assert count == pytest.approx(len(of_band) / 4, abs=4 * (len(of_band) * 3 / 16) ** 0.5)


@pytest.mark.parametrize("course", FORMS, ids=lambda one: one.name)
def test_only_experts_are_added(course: smoe.Course) -> None:
    models = [smoe.model(course, arm) for arm in smoe.ARMS]
    assert models[0].smoe is None
    assert all(model.model_copy(update={"smoe": None}) == models[0] for model in models)
    assert models[3] == models[4]
    assert all(model.smoe is not None and not model.smoe.guide_token for model in models[1:])


def test_a_sentence_has_one_translation_and_adjectives_agree() -> None:
    found: dict[str, str] = {}
    for pair in pairs(3000, 7):
        assert found.setdefault(pair.english, pair.spanish) == pair.spanish
    for noun, adjective in product(NOUNS, ADJECTIVES):
        article, name, spoken = thing(noun, adjective).spanish.split()
        assert (name, article == "la") == (NOUNS[noun][0], spoken.endswith("a"))


def test_a_counted_phrase_has_a_translation_that_no_other_has() -> None:
    """So that a word error rate against the only reference is fair, and no translation can be had by guessing."""
    found = [several(*words) for words in product(NUMBERS, NOUNS, ADJECTIVES)]
    assert len({one.english for one in found}) == len({one.spanish for one in found}) == len(found)
    assert set(counted(300, 1)) <= set(found)


def test_arms_of_a_seed_have_the_same_steps_and_data_and_go_on_from_the_same_training() -> None:
    for course in FORMS:
        jobs = [smoe.job(course, arm, 3, "start") for arm in smoe.ARMS]
        assert all((one.train, one.data, one.after) == (jobs[0].train, jobs[0].data, "start") for one in jobs)
