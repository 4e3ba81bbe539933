"""The harness of experiment-student on tiny networks and made-up spans: what would make its figures worthless must not happen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import experiment_student as student
from benchmarks.experiments import frames, greedy, hard, pools, spans
from benchmarks.experiments.by_speaker import Difference, counted, difference, rate
from benchmarks.experiments.frames import Wave, frames_of
from benchmarks.experiments.greedy import transcripts
from benchmarks.experiments.room import Form
from benchmarks.experiments.spans import Span, few, parts
from benchmarks.experiments.student_tables import COMPARED, UNTAUGHT, targets
from benchmarks.experiments.student_trainings import StudentTrainings, job
from benchmarks.experiments.teachers import TEACHERS, taught_clean
from benchmarks.experiments.trainings import Clock, OutOfTime
from benchmarks.experiments.whisper_start import architecture, begun, from_frames
from benchmarks.made_spans import SAID, found, heard, made, recording
from benchmarks.mixed import Spoken
from benchmarks.words import Edits
from speech import noise
from speech.waves import Pcm
from voxmill.manifests.ids import digest
from voxmill.models.common.tokenizer import NO_TIMESTAMPS, SOT, TRANSCRIBE


def test_no_speaker_is_in_two_parts_and_the_hero_is_for_training(pool: list[Span]) -> None:
    def of(speaker: str, minutes: float, condition: str = "acted") -> Span:
        mixed = replace(pool[0].recording, condition=condition)
        return replace(pool[0], speaker=speaker, num_samples=round(minutes * 960_000), recording=mixed)

    told = [of("joe", 70), of("en", 200, "clean"), of("short", 0.5), *(of(f"person-{n}", 1 + n) for n in range(25))]
    split = parts(told)
    assert {name: list(split.values()).count(name) for name in ("test", "dev", "train")} == {"test": 10, "dev": 5, "train": 13}
    assert split["joe"] == split["en"] == split["short"] == "train"
    assert parts(told[::-1]) == split
    speech = spans.Speech((*pool, *told), {})
    sets = [{one.speaker for one in of} for of in (speech.of("train"), speech.of("dev"), speech.of("test"))]
    assert sum(map(len, sets)) == len({one.speaker for one in speech.spans})


def test_a_span_whose_truth_or_speaker_is_not_sure_is_left_out(tmp_path: Path) -> None:
    clips = [
        Spoken("a", "thank you", 1000, 30_000),
        Spoken("b", "Aaargh!", 40_000, 60_000),
        Spoken("c", "good bye", 70_000, 90_000),
    ]
    mixed = recording(tmp_path, "scene", clips, 6.0)
    at = [(0.05, 1.0), (1.0, 2.4), (2.4, 4.0), (4.3, 5.7)]
    names: dict[str, str | None] = {"a": "bob", "b": "bob", "c": None}
    one = heard(mixed, at, [SAID[0]] * 4)
    assert found(one, names) == ["a line is cut", "a line is cut", "gibberish", "speaker not known"]
    assert found(heard(mixed, [(0.0, 3.9)], [SAID[0]]), {"a": "bob", "b": "sue"}) == ["several speakers"]
    long = recording(tmp_path, "long", clips, 30.0)
    assert found(heard(long, [(0.0, 28.0)], [SAID[0]]), names) == ["too long"]
    (whole,) = found(heard(mixed, [(0.0, 3.9)], [SAID[0]]), names)
    assert isinstance(whole, Span)
    assert (whole.speaker, whole.truth, whole.heard) == ("bob", "thank you Aaargh!", SAID[0])


def test_random_has_as_many_minutes_as_kept_and_every_arm_the_labels_it_says(pool: list[Span]) -> None:
    found = pools.arms(pool, 1, seed=3)
    spent = {arm: sum(one.num_samples for one in taught) for arm, taught in found.items()}
    assert {arm: len(taught) for arm, taught in found.items()} | {"random": 0} == {
        "all": 12, "kept": 8, "random": 0, "starred": 12, "truth": 12,
    }  # fmt: skip
    assert spent["kept"] - max(one.num_samples for one in pool) < spent["random"] <= spent["kept"]
    assert {one.key for one in found["random"]} != {one.key for one in pools.arms(pool, 1, seed=4)["random"]}
    texts = {arm: {one.utterance.text for one in taught} for arm, taught in found.items()}
    assert texts["truth"] == {"Thank you for the music!"}
    assert texts["all"] == {SAID[0][0]}
    doubted = [one for one in found["starred"] if one.utterance.disputed]
    assert len(doubted) == 4
    assert all([s.doubtful for s in one.utterance.disputed] == [False, False, True, False, False, False] for one in doubted)
    assert all(not one.utterance.disputed for arm in ("all", "kept", "random", "truth") for one in found[arm])


def test_the_curve_has_equal_minutes_and_a_growing_share_that_is_not_kept(pool: list[Span]) -> None:
    trusted = {one.key for one in pools.kept(pool)}
    curve = pools.curve(pool, 1)
    longest = max(one.minutes for one in pool)
    sizes = [pools.minutes(found) for found, _ in curve.values()]
    assert max(sizes) - min(sizes) <= 2 * longest
    shares = [sum(one.minutes for one in found if one.key not in trusted) for found, _ in curve.values()]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] > shares[0]


def test_all_arms_take_the_same_steps_over_the_same_order(tiny: None) -> None:
    for size in (student.REDUCED, student.FULL):
        jobs = student.jobs(size, 1)
        assert {one.train.model_dump_json() for one in jobs.values()} == {jobs["kept"].train.model_dump_json()}
        assert {one.data.model_dump_json() for one in jobs.values()} == {jobs["kept"].data.model_dump_json()}
        models = {arm: one.model.model_dump_json() for arm, one in jobs.items()}
        assert {arm for arm, one in models.items() if one != models["kept"]} == {"dense"}
        assert set(jobs) >= {*pools.ARMS, "dense"}


def test_a_bootstrap_over_speakers_is_right_where_the_answer_is_known() -> None:
    one = {f"s{n}": Edits(100, 10 + n, 0, 0) for n in range(10)}
    alike = {name: Edits(100, errors.errors - 3, 0, 0) for name, errors in one.items()}
    found = difference(one, alike)
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3, 3))  # paired: every speaker differs alike
    rng = np.random.default_rng(1)
    gaps = rng.normal(0, 5, 40).round().astype(int)
    many = {f"s{n:02d}": Edits(1000, 200 + int(gap), 0, 0) for n, gap in enumerate(gaps)}
    flat = {name: Edits(1000, 200, 0, 0) for name in many}
    found = difference(many, flat)
    half = 1.96 * gaps.std() / 10 / 40**0.5
    assert found.mean == pytest.approx(gaps.mean() / 10)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)
    with pytest.raises(ValueError, match="other speakers or words"):
        difference(many, one)


def test_errors_are_counted_by_speaker_as_whisper_writes_english(pool: list[Span]) -> None:
    said = {one.key: "thank you for the music" for one in pool}
    assert rate(counted(pool, said)) == 0
    said[pool[1].key] = ""
    rates = counted(pool, said)
    assert (rates["speaker-1"].deletions, rates["speaker-1"].words, rates["speaker-0"].errors) == (5, 20, 0)


def test_targets_follow_the_intervals() -> None:
    def pairs(mean: float, high: float) -> dict[str, Difference]:
        made = Difference(mean, mean - 1, high)
        return {f"{one} - {other}, {where}": made for one, other in COMPARED for where in ("clean", "all")}

    assert all(one["met"] for one in targets(pairs(-1.0, -0.1)).values())
    touching = targets(pairs(-1.0, 0.1))
    assert [one["met"] for name, one in touching.items() if "all" in name] == [False] * 4
    assert not any(one["met"] for one in targets(pairs(1.1, 2.0)).values())


def test_a_test_is_spoilt_as_it_says_and_always_alike() -> None:
    rng = np.random.default_rng(0)
    speech: Pcm = (3000 * rng.standard_normal(48_000)).astype(np.int16)
    assert noise.power(hard.engine(48_000, rng)) == pytest.approx(1)
    names = [f"span-{n}" for n in range(8)]
    engines = [name for name in names if int(digest(["noise", name])[:8], 16) % 2]
    assert 0 < len(engines) < len(names)
    spoilt = hard.spoil(speech, "noise_5", engines[0])
    added = noise.power(spoilt.astype(float) - speech)
    assert 10 * np.log10(noise.power(speech) / added) == pytest.approx(5, abs=0.1)
    assert (hard.spoil(speech, "noise_5", engines[0]) == spoilt).all()
    heard = hard.telephone(speech)
    assert len(heard) == len(speech)
    spectrum = np.abs(np.fft.rfft(heard.astype(float)))
    assert spectrum[int(len(spectrum) * 0.55) :].sum() < 0.05 * spectrum.sum()  # nothing above 4.4 kHz


def test_given_frames_a_model_says_what_it_says_given_sound(tiny: None) -> None:
    model, tokens = begun(architecture(experts=True, attention=False), 0)
    model.eval()
    wave = torch.randn(30_000) * 0.1
    feature_TM = model.config.features.of(wave)
    token_BU = torch.tensor([[tokens[SOT], tokens.of_class("language", "en"), tokens[TRANSCRIBE], tokens[NO_TIMESTAMPS], 70]])
    with torch.no_grad():
        encoded = model.encode(feature_TM[None], torch.tensor([len(feature_TM)]))
        whole = model.decode(token_BU, encoded)
        kept = frames_of(model, wave).float()
        assert len(kept) == int(encoded.length_B[0]) + 10 < encoded.memory_BSD.shape[1]
        given = from_frames(model).encode(encoded.memory_BSD, torch.tensor([encoded.memory_BSD.shape[1]]))
        assert torch.equal(model.decode(token_BU, given), whole)


def test_many_at_a_time_are_decoded_as_one_by_one(tiny: None, pool: list[Span]) -> None:
    model, tokens = begun(architecture(experts=False, attention=False), 0)
    waves = [Wave(one.key, one.audio) for one in pool]
    frames.encode_all(waves, Clock(), "pool")
    from_frames(model.eval())
    many = transcripts(model, tokens, waves, at_once=12)
    assert many == {key: text for one in waves for key, text in transcripts(model, tokens, [one]).items()}
    assert len(set(many.values())) > 1


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tiny: None, pool: list[Span]) -> None:
    taught = pools.arms(pool, 1)["starred"]
    waves = pools.encoded({"": taught})
    assert len(waves) == 24
    frames.encode_all(waves, Clock(), "pool")
    tests = {"clean": [Wave(one.key, one.audio) for one in pool]}
    make = partial(job, "starred", 4, 1e-2, 6.0, 1)
    straight = StudentTrainings("straight", Clock())
    said = straight.said(make(), taught, tests)
    assert said["clean"] != straight.untaught(tests)["clean"]
    loss = straight.facts(make(), taught)["loss"]
    looks = iter([False] * 3 + [True])  # the clock is looked at before the training, and before each step

    class Stopping(Clock):
        def check(self) -> None:
            if next(looks, False):
                raise OutOfTime

    stopped = StudentTrainings("stopped", Stopping())
    with pytest.raises(OutOfTime):
        stopped.said(make(), taught, tests)
    assert stopped.said(make(), taught, tests) == said
    assert stopped.facts(make(), taught)["loss"] == loss
    stopped.forget(make(), taught)
    assert stopped.said(make(), taught, tests) == said


def test_frozen_parts_stay_and_experts_learn(tiny: None, pool: list[Span]) -> None:
    taught = pools.arms(pool, 0)["kept"]
    frames.encode_all(pools.encoded({"": taught}), Clock(), "pool")
    trainings = StudentTrainings("frozen", Clock())
    before, _ = begun(architecture(experts=True, attention=False), 1)
    after = trainings.trained(job("kept", 3, 1e-2, 6.0, 1), taught).model
    moved = {name for name, tensor in after.state_dict().items() if not torch.equal(tensor, before.state_dict()[name])}
    assert moved
    assert all("feed_forward" in name for name in moved)


def test_minutes_are_drawn_alike_and_never_more_than_asked(pool: list[Span]) -> None:
    some = few(pool, 0.1, "dev")
    assert some == few(pool[::-1], 0.1, "dev")
    assert pools.minutes(some) <= 0.1 < pools.minutes(some) + max(one.minutes for one in pool)
    assert len(few(pool, 1e6, "dev")) == len(pool)


def test_all_of_it_runs_and_is_read_again(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From spans to targets; only the recognisers, which are large, are stood in for by what was heard of the clean spans."""
    told = made(tmp_path, 44, 22)
    monkeypatch.setattr(spans, "LEAST_MINUTES", 0.0)
    monkeypatch.setattr(greedy, "MOST", 4)  # what has learnt nothing does not end
    monkeypatch.setattr(greedy, "MORE", 0.0)
    monkeypatch.setattr(student, "speech", lambda: spans.Speech(tuple(told), {}))
    tune = (3000 * np.random.default_rng(0).standard_normal(100_000)).astype(np.int16)
    monkeypatch.setattr(hard, "tunes", lambda: [tune])
    clean = taught_clean(told)
    monkeypatch.setattr(student, "taught_in", lambda *_: clean)
    monkeypatch.setattr(student, "REDUCED", student.Size(1e6, 1e6, 1e6, 1, steps=2, batch_seconds=6.0, curve=True))
    form = Form(False, Clock(), 1, False)
    figures, judged = student.run(form) or ({}, {})
    out = capsys.readouterr().out
    assert set(figures["wer"]) == {*TEACHERS, UNTAUGHT, *pools.ARMS, "dense", *(f"bad {share:.0%}" for share in pools.SHARES)}
    assert set(figures["wer"]["kept"]) == {*hard.CONDITIONS, "all"}
    assert figures["wer"]["moonshine"]["all"] > 0 == figures["wer"]["whisperx"]["all"]
    assert len(judged) == 8
    assert "the gate" in out
    assert "bad 75%" in out
    assert not list((tmp_path / "cache").rglob("final"))
    again, _ = student.run(form) or ({}, {})
    assert again == figures
