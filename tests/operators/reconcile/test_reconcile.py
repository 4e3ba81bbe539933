"""The reconcile operator on scripted hypotheses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Consensus, Hypothesis, Licence, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.reconcile import Reconcile, ReconcileConfig, VoteConfig, spoken_language

RECORDING = Recording("r", "i", Provenance("web", "http://h/a.mp3"), Licence("cc0-1.0"), num_samples=160_000)


def work(texts: Mapping[str, str | None], language: str | None = "en") -> UnitInput:
    """One segment of 4 s; an engine whose text is None gives no row."""
    hypotheses = (Hypothesis("s", name, "m", text, confidence=0.9) for name, text in texts.items() if text is not None)
    return UnitInput(
        "u",
        recordings=(replace(RECORDING, language=language),),
        segments=(Segment("s", "r", 0, 64_000),),
        hypotheses=tuple(hypotheses),
    )


def reconcile(texts: Mapping[str, str | None], language: str | None = "en", config: ReconcileConfig | None = None) -> Consensus:
    (consensus,) = Reconcile(config or ReconcileConfig(), tuple(texts))(work(texts, language))
    return consensus


def test_two_engines() -> None:
    consensus = reconcile({"moonshine": "hello words", "whisperx": "Hello, world."})
    assert (consensus.text, consensus.rule) == ("Hello, world.", "prefer:whisperx")
    assert (consensus.agreement, consensus.vote, consensus.num_ties, consensus.unit) == (0.5, None, 1, "word")
    assert consensus.normalised == ("hello words", "hello world")
    assert consensus.engines == ("moonshine", "whisperx")
    assert consensus.slots[1].words == ("words", "world")
    assert (consensus.language, consensus.language_confidence, consensus.confidence) == ("en", None, 0.9)
    assert consensus.chars_per_second == 2.5
    assert consensus.rejection is None


def test_mandarin_prefers_paraformer_and_compares_characters() -> None:
    consensus = reconcile({"whisperx": "今天有25個人。", "paraformer": "今天有二十五个人"}, "zh-CN")
    assert (consensus.text, consensus.rule, consensus.agreement) == ("今天有二十五个人", "prefer:paraformer", 1.0)
    assert (consensus.unit, consensus.num_ties, len(consensus.slots)) == ("char", 0, 8)


def test_three_engines_vote() -> None:
    consensus = reconcile({"a": "one small stop", "b": "won small step", "c": "one mall step"})
    assert (consensus.text, consensus.rule) == ("one small step", "rover:meth1")
    assert consensus.vote == pytest.approx(2 / 3)
    assert consensus.agreement == pytest.approx(1 / 3)


def test_one_engine_has_no_agreement() -> None:
    consensus = reconcile({"whisperx": "Hello."})
    assert (consensus.text, consensus.rule, consensus.agreement, consensus.rejection) == ("Hello.", "only:whisperx", None, None)


@pytest.mark.parametrize(
    ("texts", "reason", "detail", "agreement"),
    [
        ({"a": "", "b": "[Music]"}, "reconcile.no_text", "", 1.0),
        ({"a": "hello", "b": "..."}, "reconcile.one_empty", "b", 0.0),
        ({"a": "hello", "b": "hello", "c": ""}, "reconcile.one_empty", "c", 1 / 3),
        ({"a": "hello", "b": None}, "reconcile.no_hypothesis", "b: no row", None),
        ({"a": ""}, "reconcile.no_text", "", None),
    ],
)
def test_what_cannot_be_compared_is_rejected(
    texts: dict[str, str | None], reason: str, detail: str, agreement: float | None
) -> None:
    consensus = reconcile(texts)
    assert consensus.rejection == reject(reason, detail)
    assert (consensus.text, consensus.rule, consensus.slots) == ("", "none", ())
    assert consensus.agreement == (agreement if agreement is None else pytest.approx(agreement))
    assert len(consensus.normalised) == len(texts)


def test_a_failed_hypothesis_names_its_reason() -> None:
    given_work = work({"a": "hello", "b": "hello"})
    failed = replace(given_work.hypotheses[1], text="", rejection=reject("transcribe.failed"))
    (consensus,) = Reconcile(ReconcileConfig(), ("a", "b"))(replace(given_work, hypotheses=(given_work.hypotheses[0], failed)))
    assert consensus.rejection == reject("reconcile.no_hypothesis", "b: transcribe.failed")


def test_loops_are_counted() -> None:
    consensus = reconcile({"a": "thank you " * 12, "b": "thank you " * 12})
    assert consensus.repeated_ngrams == 12
    assert consensus.compression_ratio > 2.4


def test_one_consensus_per_segment_in_order() -> None:
    segments = tuple(Segment(name, "r", 16_000 * k, 16_000) for k, name in enumerate("cab"))
    hypotheses = tuple(Hypothesis(s, e, "m", f"word {s}") for e in ("y", "x") for s in "abc")
    unit = UnitInput("u", recordings=(RECORDING,), segments=segments, hypotheses=hypotheses)
    operator = Reconcile(ReconcileConfig(), ("x", "y"))
    done = operator(unit)
    assert [c.segment_id for c in done] == ["c", "a", "b"]
    assert [c.text for c in done] == ["word c", "word a", "word b"]
    assert operator(unit) == done == Reconcile(ReconcileConfig(), ("x", "y"))(replace(unit, hypotheses=hypotheses[::-1]))
    assert operator(replace(unit, segments=())) == []


def test_the_order_in_which_engines_are_listed_only_orders_columns() -> None:
    texts = {"whisperx": "The cat sat", "moonshine": "a cat sat down", "paraformer": "the bat sat"}
    found = [reconcile({name: texts[name] for name in names}) for names in permutations(texts)]
    assert len({(c.text, c.agreement, c.vote, c.num_ties, c.confidence) for c in found}) == 1
    assert {c.engines for c in found} == set(permutations(texts))


def test_confidences_vote_when_configured() -> None:
    config = ReconcileConfig(vote=VoteConfig(method="maxconf", alpha=0.7, null_confidence=0.6))
    assert reconcile({"a": "hello there", "b": "hello there", "c": "hello here"}, config=config).rule == "rover:maxconf"


@given(
    st.lists(st.text(alphabet="ab 今天.,'2", max_size=14).map("b{}".format), min_size=1, max_size=4),
    st.sampled_from(["en", "zh", None]),
)
def test_slots_hold_what_each_engine_said(texts: list[str], language: str | None) -> None:
    consensus = reconcile({f"e{k}": text for k, text in enumerate(texts)}, language)
    assert consensus.rejection is None
    said = {word for slot in consensus.slots for word in slot.words}
    for k, normalised in enumerate(consensus.normalised):
        assert "".join(slot.words[k] or "" for slot in consensus.slots) == normalised.replace(" ", "")
    assert {slot.choice for slot in consensus.slots} <= said
    assert consensus.num_ties == sum(slot.tie for slot in consensus.slots)
    if len(set(consensus.normalised)) == 1:
        assert consensus.num_ties == 0
        assert consensus.agreement in (None, 1.0)


def test_an_operator_without_engines_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="engine"):
        Reconcile(ReconcileConfig(), ())


def test_of_an_event_the_text_is_known_and_empty() -> None:
    event = replace(work({"a": None}), segments=(Segment("s", "r", 0, 64_000, kind="event"),))
    (consensus,) = Reconcile(ReconcileConfig(), ("a", "b"))(event)
    assert (consensus.text, consensus.rule, consensus.language, consensus.agreement) == ("", "event", "nospeech", None)
    assert consensus.rejection is None
    assert consensus.normalised == ("", "")


def heard(language: str | None, confidence: float | None) -> Hypothesis:
    return Hypothesis("s", "e", "m", "text", language=language, language_confidence=confidence)


@pytest.mark.parametrize(
    ("given", "hint", "language", "confidence"),
    [
        ([], None, None, None),
        ([], "en-GB", "en", None),
        ([heard(None, None)], "cmn", "zh", None),
        ([heard("en", None)], "fr", "fr", None),
        ([heard("en", None)], None, "en", None),
        ([heard("zh-CN", 0.9), heard(None, None)], "en", "zh", 0.9),
        ([heard("zh", 0.9), heard("zh", 0.7)], None, "zh", 0.8),
        ([heard("zh", 0.9), heard("yue", 0.8)], None, "zh", 0.45),
        ([heard("en", None), heard("zh", 0.6)], None, "zh", 0.6),
    ],
)
def test_detectors_decide_then_the_source_then_what_engines_assume(
    given: list[Hypothesis], hint: str | None, language: str | None, confidence: float | None
) -> None:
    for order in (given, given[::-1]):
        found = spoken_language(order, hint)
        assert found[0] == language
        assert found[1] == (confidence if confidence is None else pytest.approx(confidence))
