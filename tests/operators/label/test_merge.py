"""Many opinions to one label: who is trusted, who agrees, who does not, and that nothing depends on the order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.records import Annotation, Finding, Labels, LabelTask, Mark, Opinion, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.label.merge import CLASSES, Merge, MergeConfig, active_labellers, merge
from voxmill.operators.label.sensevoice_labels import SenseVoiceTagsConfig
from voxmill.operators.label.text_language import TextLanguageConfig

NAMES = ("a", "b", "c")


def says(labeller: str, value: str | None, task: LabelTask = "language", confidence: float = 0.9) -> Opinion:
    """One opinion; '' is labelled-empty, None not sure."""
    marks = () if value == "" else (Mark(value or ""),)
    annotation = None if value is None else Annotation(marks, labeller, confidence, f"{labeller}@1")
    return Opinion("s", labeller, (Finding(task, annotation),))


def settle(*opinions: Opinion, **config: object) -> Labels:
    return merge("s", opinions, NAMES, MergeConfig.model_validate(config))


def test_agreement_joins_sources_and_disagreement_is_named() -> None:
    label = settle(says("a", "en", confidence=0.7), says("b", "fr"), says("c", "en")).language
    assert label == Annotation((Mark("en"),), "a+c", 0.7, "a@1+c@1", ("b",))


def test_the_most_trusted_that_is_sure_decides() -> None:
    assert settle(says("a", "en"), says("b", "fr"), prefer={"language": ["b"]}).language == Annotation(
        (Mark("fr"),), "b", 0.9, "b@1", ("a",)
    )
    unsure = settle(says("a", None), says("b", "fr")).language
    assert unsure is not None
    assert (unsure.source, unsure.against) == ("b", ())


def test_where_all_must_agree_a_conflict_leaves_no_label() -> None:
    assert settle(says("a", "en"), says("b", "fr"), agree=["language"]).language is None
    assert settle(says("a", "en"), says("b", "en"), agree=["language"]).language is not None


def test_a_dialect_is_no_other_language_and_says_more() -> None:
    label = settle(says("a", "zh"), says("b", "sichuan"), says("c", "yue")).language
    assert label is not None
    assert label.marks[0].value == "sichuan"


def test_not_asked_and_not_sure_are_null_and_nothing_there_is_empty() -> None:
    labels = settle(says("a", None), says("b", "", "sound_events"))
    assert labels.language is None
    assert labels.gender is None
    assert labels.sound_events == Annotation((), "b", 0.9, "b@1")


def test_texts_and_turns_are_taken_whole_from_one_labeller() -> None:
    label = settle(says("a", "hello", "translation"), says("b", "hi", "translation")).translation
    assert label == Annotation((Mark("hello"),), "a", 0.9, "a@1")


@given(
    said=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(("en", "fr", "zh", "yue", "", None))), unique_by=lambda s: s[0]
    ),
    agree=st.booleans(),
    seed=st.integers(0, 99),
)
def test_order_of_opinions_means_nothing_and_no_opinion_is_forgotten(
    said: list[tuple[str, str | None]], agree: bool, seed: int
) -> None:
    opinions = [says(*one) for one in said]
    shuffled = random.Random(seed).sample(opinions, len(opinions))
    config = MergeConfig(agree=("language",) if agree else ())
    label = merge("s", opinions, NAMES, config).language
    assert merge("s", shuffled, NAMES, config).language == label
    sure = {name for name, value in said if value is not None}
    if label is None:
        assert agree or not sure
    else:
        assert {*label.source.split("+"), *label.against} == sure


def test_nobody_speaks_in_an_event_whoever_was_asked() -> None:
    work = UnitInput(
        "u", segments=(Segment("s", "r", 0, 1), Segment("e", "r", 1, 1, kind="event")), opinions=(says("a", "en"),)
    )
    speech, event = Merge(MergeConfig(), NAMES)(work)
    assert speech.language is not None
    assert event == Labels("e", language=Annotation((Mark("nospeech"),), "segment"))


def test_without_sensitive_labels_nobody_is_asked_for_them() -> None:
    labellers = [SenseVoiceTagsConfig(), TextLanguageConfig()]
    assert active_labellers(labellers, MergeConfig()) == labellers
    tags, text = active_labellers(labellers, MergeConfig(sensitive=False))
    assert tags.skip == ("emotion",)
    assert text.skip == ()
    assert active_labellers([SenseVoiceTagsConfig(skip=("language", "sound_events"))], MergeConfig(sensitive=False)) == []


@pytest.mark.parametrize("task", sorted(CLASSES))
def test_what_is_a_class_is_a_field_of_labels(task: str) -> None:
    assert task in Labels.__dataclass_fields__
