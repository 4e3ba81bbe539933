from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from samples import TEXT, recording, sample
from voxmill.manifests.records import Annotation, Labels, Mark, Slot, Word
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tasks import IGNORE, STAR
from voxmill.models.common.text_rules import TextRules
from voxmill.models.common.tokenizer import EOT, Tokenizer, TokenizerConfig, UnknownTokenError
from voxmill.models.data.disputed import stretches
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig, make_target, read_utterance
from voxmill.sharding.sample import document_bytes, read_document

TOKENS = Tokenizer.train(["hello there hi", "谢谢 thank you"], TokenizerConfig(num_subwords=290))
PROMPT = TargetsConfig(tasks=("asr", "language", "gender", "sound_events"))
BARE = TextRules(case="lower", punctuation="remove")
ALL = TargetsConfig(style="activated", tasks=("asr", "language", "speaker_change", "endpoint"), deactivate=0)


def says(*values: str) -> Annotation:
    return Annotation(tuple(map(Mark, values)), "somebody")


def labels(**changes: Any) -> Labels:
    return Labels("key", **changes)


def shown(ids: Any) -> str:
    """Task tokens as they are spelt, text as text, `_` where nothing is learnt."""
    return " ".join("_" if i == IGNORE else (TOKENS.decode([i]) if TOKENS.is_subword(i) else TOKENS.name(i)) for i in ids)


def sequences(
    utterance: LabelledUtterance, config: TargetsConfig, seed: int = 0, *, backwards: bool = False
) -> tuple[str, str]:
    read, said = make_target(utterance, TOKENS, config, seeded(seed)).decoder(TOKENS[EOT], backwards=backwards)
    return shown(read), shown(said)


def test_a_prompt_has_a_place_for_every_class() -> None:
    heard = LabelledUtterance("hi", labels(language=says("en"), gender=says("Female"), sound_events=says("laughter", "cough")))
    assert sequences(heard, PROMPT) == (
        "<|sot|> <|en|> <|female|> <|na|> <|na|> <|laughter|> <|cough|> <|transcribe|> hi",
        "<|en|> <|female|> _ _ <|laughter|> <|cough|> <|transcribe|> hi <|eot|>",
    )


def test_not_labelled_and_labelled_empty_differ_in_what_is_learnt() -> None:
    unlabelled, empty = LabelledUtterance("hi", labels()), LabelledUtterance("hi", labels(sound_events=says()))
    assert sequences(unlabelled, PROMPT)[1] == "_ _ _ _ _ _ hi <|eot|>"
    assert sequences(empty, PROMPT)[1] == "_ _ _ _ <|none|> <|transcribe|> hi <|eot|>"


def test_no_text_and_empty_text_differ() -> None:
    no_text, silence = (
        LabelledUtterance(None, labels(language=says("en"))),
        LabelledUtterance("", labels(language=says("nospeech"))),
    )
    assert sequences(no_text, PROMPT) == ("<|sot|> <|en|> <|na|> <|na|> <|na|> <|na|>", "<|en|> _ _ _ _ _")
    assert sequences(silence, PROMPT)[1] == "<|nospeech|> _ _ _ _ _ <|eot|>"
    assert [make_target(u, TOKENS, PROMPT, seeded()).ctc for u in (no_text, silence)] == [None, ()]


def test_classes_of_other_models_are_not_looked_at() -> None:
    heard = LabelledUtterance("hi", labels(gender=says("male")))
    assert "<|male|>" not in sequences(heard, TargetsConfig(tasks=("asr", "language")))[0]


def test_backwards_the_prompt_stays_and_the_text_turns() -> None:
    read, said = sequences(LabelledUtterance("hello hi", labels()), PROMPT, backwards=True)
    forward = make_target(LabelledUtterance("hello hi", labels()), TOKENS, PROMPT, seeded()).text
    assert forward is not None
    assert read.split()[-len(forward) :] == shown(forward[::-1]).split()
    assert said.endswith("<|eot|>")


def test_active_tasks_say_their_tokens_and_no_others() -> None:
    words = (Word("hello", 0, 80), Word("there", 100, 180), Word("hi", 200, 280))
    both = labels(language=says("en"), speaker_change=Annotation((Mark("", start=190),), "x"), endpoint=says())
    target = make_target(LabelledUtterance("hello there hi", both, words), TOKENS, ALL, seeded())
    assert target.ctc is not None
    assert TOKENS.decode(target.ctc) == "hello there hi"
    assert shown(t for t in target.ctc if not TOKENS.is_subword(t)) == "<|en|> [SCD]"
    assert target.active == {"asr", "language", "speaker_change", "endpoint"}  # the endpoint: looked, none
    assert target.text == target.ctc


def test_without_a_label_a_task_is_inactive() -> None:
    target = make_target(LabelledUtterance("hi", labels(speaker_change=says())), TOKENS, ALL, seeded())
    assert target.active == {"asr", "speaker_change"}
    unplaceable = LabelledUtterance("hi", labels(speaker_change=Annotation((Mark("", start=5),), "x")))
    assert make_target(unplaceable, TOKENS, ALL, seeded()).active == {"asr"}


def test_tasks_are_switched_off_only_where_all_are_labelled_and_never_asr() -> None:
    config = ALL.model_copy(update={"deactivate": 0.5})
    full = LabelledUtterance("hi", labels(language=says("en"), speaker_change=says(), endpoint=says()))
    seen = {make_target(full, TOKENS, config, seeded(n)).active for n in range(60)}
    assert len(seen) == 8
    assert all("asr" in active for active in seen)
    partial = replace(full, labels=labels(language=says("en")))
    assert {make_target(partial, TOKENS, config, seeded(n)).active for n in range(20)} == {frozenset({"asr", "language"})}


@pytest.mark.parametrize("style", ["prompt", "activated"])
def test_ctc_never_learns_another_language(style: Any) -> None:
    config = TargetsConfig(style=style, tasks=("asr",), translate=1)
    spanish = Annotation((Mark("hola", language="es"),), "somebody")
    with_source = make_target(LabelledUtterance("hello", labels(translation=spanish)), TOKENS, config, seeded())
    without = make_target(LabelledUtterance(None, labels(translation=spanish)), TOKENS, config, seeded())
    assert with_source.ctc is not None
    assert (TOKENS.decode(with_source.ctc), without.ctc) == ("hello", None)
    for target in (with_source, without):
        assert target.text is not None
        assert (TOKENS.decode(target.text), target.translates, target.prompt[-1]) == ("hola", True, TOKENS.translate_to("es"))


def test_a_translation_has_no_inline_tokens_and_its_tasks_are_inactive() -> None:
    both = labels(
        language=says("en"), speaker_change=says(), endpoint=says(), translation=Annotation((Mark("hola", language="es"),), "x")
    )
    target = make_target(LabelledUtterance("hello", both), TOKENS, ALL.model_copy(update={"translate": 1}), seeded())
    assert target.text is not None
    assert target.active == {"asr", "language"}
    for learnt, text in ((target.text, "hola"), (target.ctc, "hello")):
        assert learnt is not None
        assert (shown(learnt[:1]), TOKENS.decode(learnt), len(learnt)) == ("<|en|>", text, 1 + len(TOKENS.encode(text)))


def test_what_teaches_nothing_says_so() -> None:
    assert not make_target(LabelledUtterance(None, labels()), TOKENS, PROMPT, seeded()).teaches
    assert make_target(LabelledUtterance(None, labels(gender=says())), TOKENS, PROMPT, seeded()).teaches


def test_an_unknown_label_is_an_error_with_its_name() -> None:
    with pytest.raises(UnknownTokenError, match="'tlh'"):
        make_target(LabelledUtterance("hi", labels(language=says("tlh"))), TOKENS, PROMPT, seeded())


def test_a_packed_document_is_read_back() -> None:
    one = sample(recording("talk"), 0, 1)
    utterance = read_utterance(read_document(document_bytes(one)))
    assert utterance.text == TEXT
    assert utterance.labels.language == Annotation((Mark("zh"),), "consensus")
    assert (utterance.labels.sound_events, utterance.labels.age) == (Annotation((), "tagger"), None)
    assert utterance.words == one.hypotheses[0].words
    unvouched = read_utterance(read_document(document_bytes(replace(one, selection=replace(one.selection, tier="unlabelled")))))
    assert (unvouched.text, unvouched.words) == (None, None)


def test_what_recognisers_dispute_is_read_and_not_learnt() -> None:
    def heard(*words: str | None) -> Slot:
        return Slot(words, words[0], len(set(words)) > 1)

    slots = (heard("hello", "yellow"), heard("there", "there"), heard(None, "up"), heard("hi", "hi"), heard(None, "hi"))
    disputed = LabelledUtterance("Hello, there hi", labels(), disputed=stretches("Hello, there hi", slots))
    skip = TargetsConfig(tasks=("asr",), disputed="skip")
    learnt, whole = (make_target(disputed, TOKENS, config, seeded()) for config in (skip, TargetsConfig(tasks=("asr",))))
    first, second, third = (TOKENS.encode(text) for text in ("Hello,", "there", "hi"))
    assert learnt.text == whole.text == (*first, *second, *third)
    assert (learnt.ctc, whole.ctc) == ((STAR, *second, STAR, *third, STAR), whole.text)
    prompt = len(learnt.prompt) - 1
    read, said = learnt.decoder(TOKENS[EOT])
    assert read == whole.decoder(TOKENS[EOT])[0]
    assert said[prompt:] == [*(IGNORE for _ in first), *second, IGNORE, *third[1:], IGNORE]
    backwards = learnt.decoder(TOKENS[EOT], backwards=True)[1][prompt:]
    assert backwards == [IGNORE, *third[-2::-1], IGNORE, *second[-2::-1], *(IGNORE for _ in first), TOKENS[EOT]]


def test_what_is_not_disputed_is_learnt_as_ever() -> None:
    agreed = (
        Slot(("twenty", "twenty"), "twenty", False),
        Slot(("one", "one"), "one", False),
        Slot(("a", "a", "b"), "a", False),
    )
    assert stretches("21 a", agreed) == ()
    unsure = (*agreed, Slot(("bee", "sea"), "bee", True))
    assert [one.doubtful for one in stretches("21 a b c", unsure)] == [False, False, True, True, False]
    document = read_document(document_bytes(sample(recording("talk"), 0, 1)))
    assert read_utterance(document, doubts=True).disputed == ()
    document["consensus"]["slots"][1]["words"] = ["thank", "tank"]
    found = read_utterance(document, doubts=True).disputed
    assert [TEXT[one.start : one.end] for one in found if one.doubtful] == [" thank"]
    assert read_utterance(document).disputed == ()
    with pytest.raises(ValueError, match="leave it at `learn`"):
        TargetsConfig(style="activated", disputed="skip")


def test_labels_keep_their_places_under_the_rules_of_the_text() -> None:
    text = "Hello — there, HI!"
    words = (Word("Hello", 0, 80), Word("there,", 100, 180), Word("HI!", 200, 280))
    both = labels(speaker_change=Annotation((Mark("", start=190),), "x"), named_entities=Annotation((Mark("there"),), "x"))
    config = TargetsConfig(style="activated", tasks=("asr", "speaker_change", "named_entities"), deactivate=0, text=BARE)
    target = make_target(LabelledUtterance(text, both, words), TOKENS, config, seeded())
    assert target.text is not None
    spelt = tuple(replace(word, text=said) for said, word in zip(("hello", "there", "hi"), words, strict=True))
    plain = LabelledUtterance("hello there hi", both, spelt)
    assert target == make_target(plain, TOKENS, config.model_copy(update={"text": TextRules()}), seeded())
    assert shown(i for i in target.text if not TOKENS.is_subword(i)) == "[NE] [/NE] [SCD]"


def test_what_is_disputed_stays_so_under_the_rules_of_the_text() -> None:
    def heard(*words: str | None) -> Slot:
        return Slot(words, words[0], len(set(words)) > 1)

    slots = (heard("hello", "yellow"), heard("there", "there"), heard(None, "up"), heard("hi", "hi"))
    disputed = LabelledUtterance("Hello, — there HI!", labels(), disputed=stretches("Hello, — there HI!", slots))
    skip = TargetsConfig(tasks=("asr",), disputed="skip", text=BARE)
    learnt = make_target(disputed, TOKENS, skip, seeded())
    first, second, third = (TOKENS.encode(text) for text in ("hello", "there", "hi"))
    assert learnt.text == (*first, *second, *third)
    assert learnt.ctc == (STAR, *second, STAR, *third)
    assert (learnt.doubtful, learnt.gaps) == (frozenset(range(len(first))), frozenset({len(first) + len(second)}))


@pytest.mark.parametrize("style", ["prompt", "activated"])
def test_transcript_and_translation_are_learnt_under_the_rules(style: Any) -> None:
    spanish = Annotation((Mark("¡Hola, TÚ!", language="es"),), "somebody")
    config = TargetsConfig(style=style, tasks=("asr",), translate=1, text=BARE)
    target = make_target(LabelledUtterance("Hello, YOU.", labels(translation=spanish)), TOKENS, config, seeded())
    assert target.ctc is not None
    assert target.text is not None
    assert (TOKENS.decode(target.ctc), TOKENS.decode(target.text)) == ("hello you", "hola tú")
