"""What the arms of experiment-filter learn from, without training any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import experiment_filter as filtering
from benchmarks.experiments import corpus as corpora
from benchmarks.experiments.corpus import Corpus
from benchmarks.experiments.pseudo import consensus
from benchmarks.experiments.sizes import Size
from benchmarks.experiments.voices import Voice
from speech.waves import Pcm
from voxmill.manifests.records import Consensus
from voxmill.operators.select.policy import SelectConfig

SIZE = Size(train=32, test=6, steps=1)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    def hum(text: str, voice: Voice) -> Pcm:
        wave: Pcm = (1500 * np.sin(np.arange(80 * len(text)) * 0.1)).astype(np.int16)
        return wave

    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path))
    monkeypatch.setattr(corpora, "synthesise", hum)
    return filtering.made(SIZE)


@pytest.fixture
def labelled(data: Corpus) -> dict[str, Consensus]:
    """Two teachers hear everything; one of them hears another digit in every fourth row, and both the same wrong one in the first."""
    pool = filtering.part(data, "pool")
    true = {one.key: one.text for one in pool}
    wrong = {key: f"{text.rsplit(' ', 1)[0]} ten" if index % 4 == 0 else text for index, (key, text) in enumerate(true.items())}
    true[pool[0].key] = wrong[pool[0].key]
    return {one.segment_id: one for one in consensus(data, pool, {"a": true, "b": wrong})}


def test_parts_share_no_row_and_the_test_has_voices_of_its_own(data: Corpus) -> None:
    counts = {name: len(filtering.part(data, name)) for name in ("labelled", "pool", "test")}
    assert counts == {"labelled": 8, "pool": 24, "test": 6}
    heard = {name: {one.turns[0][0].variant for one in filtering.part(data, name)} for name in counts}
    assert not heard["test"] & (heard["labelled"] | heard["pool"])
    noisy = filtering.noisy_test(SIZE)
    assert not {one.turns[0][0].variant for one in noisy.spoken} & (heard["labelled"] | heard["pool"])
    for spoken, (least, most) in ((filtering.part(data, "pool"), filtering.LOUD), (noisy.spoken, filtering.TEST)):
        assert all(one.room.snr_db is not None and least <= one.room.snr_db <= most for one in spoken)


def test_kept_is_what_is_agreed_on_and_random_is_as_many(data: Corpus, labelled: dict[str, Consensus]) -> None:
    kept = filtering.above(labelled, SelectConfig().high)
    pool = [one.key for one in filtering.part(data, "pool")]
    assert kept == [key for index, key in enumerate(pool) if index % 4 or index == 0]
    first, second = (filtering.arms(data, labelled, kept, seed) for seed in (0, 1))
    assert {arm: len(lessons) for arm, lessons in first.items()} == {
        "all": 24, "kept": 19, "random": 19, "weak": 23, "truth": 24,
    }  # fmt: skip
    assert {one.key for one in first["kept"]} < {one.key for one in first["weak"]}
    assert first["random"] != second["random"]
    assert first["kept"] == second["kept"]
    texts = {arm: {one.key: one.utterance.text for one in lessons} for arm, lessons in first.items()}
    assert texts["all"] == {key: one.text for key, one in labelled.items()}
    assert texts["kept"][pool[0]] != texts["truth"][pool[0]]  # agreed on, and wrong all the same
    assert texts["random"].items() <= texts["all"].items()


def test_the_targets_are_computed() -> None:
    rates = {"all": [20.0, 21.0, 22.0], "kept": [10.0, 11.0, 12.0], "random": [18.0, 19.0, 20.0]}
    assert all(target["met"] for target in filtering.targets(rates).values())
    lucky = {**rates, "random": [18.0, 11.5, 20.0]}
    assert [target["met"] for target in filtering.targets(lucky).values()] == [True, False]
