"""The harness of experiment-elastic on a tiny student: sizes are what they say, arms cost the same, targets tell better from worse."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import experiment_elastic as elastic
from benchmarks.experiments import decoder_footprint, greedy, hard, spans
from benchmarks.experiments.by_speaker import Rates, rate
from benchmarks.experiments.elastic_arms import BUDGETS, SizedJob, SizedTrainings, hidden, jobs, parsed, schedule, used
from benchmarks.experiments.elastic_tables import ARMS, SHIPPED, compared, targets
from benchmarks.experiments.room import Form
from benchmarks.experiments.spans import Span
from benchmarks.experiments.trainings import Clock
from benchmarks.experiments.whisper_start import begun
from benchmarks.made_spans import made
from benchmarks.words import Edits
from voxmill.models.network.budget import Budget

TINY = ("3:1:8", "6:3:16")


def test_budgets_grow_and_every_arm_is_used_at_each() -> None:
    sizes = [parsed(one) for one in BUDGETS]
    assert all(a.fits(b) and a != b for a, b in pairwise(sizes))
    assert [hidden(one) for one in BUDGETS] == [512, 1024, 2048, 2048]
    assert set(used(BUDGETS)) == {(arm, one) for arm in ARMS for one in BUDGETS}


def test_a_schedule_visits_its_budgets_alike_often() -> None:
    seen = schedule(BUDGETS)
    assert list(map(str, seen.budgets())) == sorted(BUDGETS)
    assert seen.favour == 0
    assert len(schedule(BUDGETS, "every").of_step(torch.Generator())) == len(BUDGETS)
    assert list(schedule([BUDGETS[-1]]).budgets()) == [parsed(BUDGETS[-1])]


def test_each_family_of_arms_has_as_many_passes(tiny: None) -> None:
    made = jobs(TINY, 5, 1e-4, 6.0, 1, attention=False)
    passes = {name: one.train.steps for name, one in made.items()}
    small = sum(steps for name, steps in passes.items() if name.startswith("small"))
    assert passes["one"] == passes["cut"] == small == passes["every"] * len(TINY)
    assert sum(steps for name, steps in passes.items() if name.startswith("dense")) == small
    assert {name for name, _ in used(TINY).values()} == set(made)


def test_a_smaller_student_begins_as_that_part_of_the_whole_one(tiny: None) -> None:
    made = jobs(TINY, 1, 1e-4, 6.0, 1, attention=False)
    trainings = SizedTrainings("student", Clock())
    whole, _ = begun(made["small 6:3:16"].model, made["small 6:3:16"].train.seed)
    small = trainings._fresh(made["small 3:1:8"])
    assert small.config.emoe is not None
    assert small.config.emoe.full == Budget(3, 1, 8)
    cut = whole.extract(Budget(3, 1, 8)).state_dict()
    assert all(torch.equal(tensor, cut[name]) for name, tensor in small.state_dict().items())
    dense = trainings._fresh(made["dense 16"])
    assert dense.decoder is not None
    assert whole.decoder is not None
    layers = [layer.feed_forward for layer in dense.decoder.layers]
    assert {(layer.config.full, layer.config.scale) for layer in layers} == {(Budget(1, 1, 8), 1.0)}
    before, after = layers[0], whole.decoder.layers[0].feed_forward
    assert torch.equal(before.shared.up.weight, after.shared.up.weight[:8])
    assert torch.equal(before.experts[0].up.weight, after.experts[0].up.weight[:8])
    sizes = [decoder_footprint.parameters(one) for one in (small, whole)]
    assert sizes[0]["stored"] < sizes[1]["stored"]
    assert sizes[0]["active"] < sizes[1]["active"] < sizes[1]["stored"]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    found = made(tmp_path, 22, 22)
    monkeypatch.setattr(spans, "LEAST_MINUTES", 0.0)
    monkeypatch.setattr(elastic, "speech", lambda: spans.Speech(tuple(found), {}))
    tune = (3000 * np.random.default_rng(0).standard_normal(100_000)).astype(np.int16)
    monkeypatch.setattr(hard, "tunes", lambda: [tune])
    return found


def test_all_of_it_is_trained_judged_and_read_again(
    tiny: None, told: list[Span], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = replace(elastic.REDUCED.minutes, pool=1e6, test=1e6, steps=2, batch_seconds=6.0)
    monkeypatch.setattr(elastic, "REDUCED", elastic.Size(minutes, TINY))
    monkeypatch.setattr(elastic, "CONDITIONS", ("clean", "telephone"))
    monkeypatch.setattr(decoder_footprint, "ROUNDS", 1)
    monkeypatch.setattr(greedy, "MOST", 4)
    monkeypatch.setattr(greedy, "MORE", 0.0)
    form = Form(False, Clock(), 1, False)
    figures, judged = elastic.run(form) or ({}, {})
    assert set(figures["wer"]) == {f"{arm}, {one}" for arm in ARMS for one in TINY}
    assert len(judged) == 5
    assert judged["parameters fall with the budget"]["met"]
    assert figures["sizes"][TINY[-1]]["of_full"] == 1
    assert "all conditions" in capsys.readouterr().out
    again, _ = elastic.run(form) or ({}, {})
    assert again["wer"] == figures["wer"]


def found(rates: dict[tuple[str, str], float]) -> dict[tuple[str, str], Rates]:
    """Of so many speakers of a hundred words, with so many errors each."""
    return {
        where: {f"speaker-{n}": Edits(words=100, substitutions=round(share)) for n in range(9)}
        for where, share in rates.items()
    }


def test_targets_tell_a_student_that_shrinks_well_from_one_that_does_not() -> None:
    sizes = {one: {"stored": float(n), "active": float(n), "of_full": (n + 1) / 2} for n, one in enumerate(TINY)}
    good = {("one", TINY[0]): 20.0, ("small", TINY[0]): 20.0, ("cut", TINY[0]): 60.0}
    every = found({(arm, one): 20.0 for arm in ARMS for one in TINY} | good)
    assert rate(every[SHIPPED, TINY[0]]) == 20
    judged = targets(every, compared(every, TINY), TINY, sizes)
    assert all(one["met"] for one in judged.values())
    bad = every | found({(SHIPPED, TINY[0]): 60.0, (SHIPPED, TINY[1]): 70.0})
    judged = targets(bad, compared(bad, TINY), TINY, sizes | {TINY[0]: {"stored": 9.0, "active": 9.0, "of_full": 1.0}})
    assert not any(one["met"] for one in judged.values())
    assert isinstance(jobs(BUDGETS, 1, 1e-4, 6.0, 1, attention=False)["dense 512"], SizedJob)
