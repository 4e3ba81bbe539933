"""What the arms of experiment-eva see and hear, without training any."""

from __future__ import annotations

import random

import pytest

from benchmarks import experiment_eva as eva
from benchmarks.experiments import digits, rows
from benchmarks.experiments.voices import TEST_VARIANTS, TRAIN_VARIANTS


def test_no_image_is_in_two_of_encoder_training_and_test() -> None:
    images, classes = digits._images()
    rest = range(digits.FOR_TRAINING.stop, len(images))
    assert not set(digits.FOR_ENCODER) & set(digits.FOR_TRAINING)
    assert not set(rest) & {*digits.FOR_ENCODER, *digits.FOR_TRAINING}
    for places in (digits.FOR_ENCODER, digits.FOR_TRAINING, rest):
        assert {classes[i] for i in places} == set(range(10))


def test_a_frame_shows_the_digit_or_nothing_and_the_same_every_time() -> None:
    images, classes = digits._images()
    sevens = [i for i in digits.FOR_TRAINING if classes[i] == 7]
    known = {images[i].tobytes() for i in sevens}
    shown = [digits._frame(random.Random(seed), images, sevens).tobytes() for seed in range(300)]
    share = sum(one in known for one in shown) / len(shown)
    assert share == pytest.approx(1 - digits.NOTHING, abs=0.08)
    assert shown[0] == digits._frame(random.Random(0), images, sevens).tobytes()


def test_shuffling_leaves_nobody_their_own() -> None:
    rows = [f"row-{index}" for index in range(50)]
    other = digits.shuffled(rows, seed=1)
    assert sorted(other.values()) == sorted(rows)
    assert not any(row == seen for row, seen in other.items())
    assert other != digits.shuffled(rows, seed=2)


def test_voices_of_the_test_are_not_in_training() -> None:
    draw = random.Random(0)
    heard = [{rows.row(draw, split)[0].variant for _ in range(500)} for split in ("train", "test")]
    assert heard == [set(TRAIN_VARIANTS), set(TEST_VARIANTS)]
    assert not heard[0] & heard[1]


def test_the_targets_are_computed() -> None:
    audio, same = {"test noisy": [20.0, 22.0, 21.0]}, [True, True, True]
    rates = {
        "dense": {"test noisy": [30.0, 30.0, 30.0]},
        "audio": audio,
        "frames": {"test noisy": [10.0, 11.0, 10.6]},
        "shuffled": {"test noisy": [20.1, 21.8, 21.2]},
    }
    assert all(target["met"] for target in eva.targets(rates, same).values())
    helpful = {**rates, "shuffled": {"test noisy": [10.0, 11.0, 10.5]}}
    assert [target["met"] for target in eva.targets(helpful, same).values()] == [True, False, False, True]
    useless = {**rates, "frames": {"test noisy": [20.1, 21.8, 21.2]}}
    assert not next(iter(eva.targets(useless, same).values()))["met"]
    stronger = {**rates, "dense": {"test noisy": [9.0, 9.5, 9.2]}}
    assert not next(iter(eva.targets(stronger, same).values()))["met"]
    assert not list(eva.targets(rates, [True, False, True]).values())[-1]["met"]


@pytest.mark.parametrize("level", digits.LEVELS)
def test_levels_have_names(level: float | None) -> None:
    assert digits.name(level) in ("clean", *eva.NOISY)
