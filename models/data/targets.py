"""Training targets: the token sequences that an utterance teaches, made from the labels that it has.

Two formats, which treat missing labels differently:

`prompt`     `<|sot|> LANGUAGE GENDER AGE EMOTION EVENT… TASK text <|eot|>`; for a class that is not labelled the decoder
             reads `<|na|>`, and that position is left out of the loss. After Whisper, OWSM and SenseVoice. With a pretrained
             decoder, classes that are not learnt are left out.
`activated`  `<|sot|> TASK` and then the tokens of active tasks only, classes first, others inside the text. A task without a
             label is inactive, and its vector is not added to the sound (`task_vectors.py`). After TokenVerse++
             (arXiv 2508.19856).

In both, "not labelled" (None) differs from "labelled: there is none" (no marks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Annotation, Labels, Mark, Slot, Word
from voxmill.manifests.schema import from_plain
from voxmill.models.common.seeds import Generator, choice, uniform
from voxmill.models.common.tasks import IGNORE, INLINE_TOKENS, STAR, Task
from voxmill.models.common.text_rules import TextRules, ruled
from voxmill.models.common.tokenizer import (
    CLASSES,
    ENDPOINT,
    ENTITY,
    ENTITY_END,
    NONE,
    NOT_KNOWN,
    SOT,
    SPEAKER_CHANGE,
    TRANSCRIBE,
    Class,
    Tokenizer,
)
from voxmill.models.data.disputed import TextStretch, stretches
from voxmill.models.data.label_positions import PlacedToken, cut, place_entities, place_moments, timed_spans


class TargetsConfig(Settings):
    """Which tasks the model learns, and in which format."""

    style: Literal["prompt", "activated"] = "prompt"
    """How the model is told which tasks are wanted: by a `prompt` of tokens, or by task vectors (`activated`, with
    `model.tasks`)."""
    text: TextRules = TextRules()
    tasks: tuple[Task, ...] = ("asr", *CLASSES)
    """The tasks to learn; labels of others are ignored. Tasks with tokens inside the text need `activated`."""
    deactivate: float = Field(default=0.3, ge=0, le=1)
    """With `activated`, for an utterance labelled for every task: probability to switch each task but `asr` off, so that the
    model learns what the vectors mean."""
    translate: float = Field(default=0.5, ge=0, le=1)
    """Probability that an utterance with a translation teaches that instead of its transcript."""
    disputed: Literal["learn", "skip"] = "learn"
    """Words for which the recognisers had no majority, and places where one of them heard a word more: `learn` what the transcript has
    there, or `skip` it: the decoders read such words and do not learn them, for CTC a star stands there, which is any sound
    (`train.loss.star`). With style `prompt`, and without a transducer."""

    @model_validator(mode="after")
    def _skipped_by_a_decoder(self) -> TargetsConfig:
        if self.disputed == "skip" and self.style != "prompt":
            raise ValueError("disputed: skip works with style `prompt`: leave it at `learn` with task vectors")
        return self


@dataclass(frozen=True, slots=True)
class LabelledUtterance:
    """Transcript and labels of a sample, as stored in its shard."""

    text: str | None
    """The transcript. None: there is none to be trusted. Empty: nobody speaks."""
    labels: Labels
    words: tuple[Word, ...] | None = None
    """Words with times, from an engine whose transcript is exactly `text`; None if there is none."""
    disputed: tuple[TextStretch, ...] = ()
    """`text` cut at its words, with what is in doubt; empty: nothing is."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the heads of the model learn from one utterance."""

    prompt: tuple[int, ...]
    """Tokens that the decoder reads before the text."""
    learnt: tuple[bool, ...]
    """For each token of the prompt, whether the decoder is trained to predict it."""
    text: tuple[int, ...] | None
    """Tokens of the text, without the end token; None if there is no text to learn."""
    ctc: tuple[int, ...] | None
    """Target of CTC and transducer, None if there is none. Never a translation, whose words are not in the sound. `tasks.STAR`: words that are
    not known."""
    active: frozenset[Task]
    """Tasks that this target holds labels of."""
    translates: bool = False
    doubtful: frozenset[int] = frozenset()
    """Places of tokens of the text that are read and not learnt."""
    gaps: frozenset[int] = frozenset()
    """Places of tokens of the text, or its end, before which a word may be missing."""

    @property
    def teaches(self) -> bool:
        """False if the utterance is labelled for none of the tasks."""
        return bool(self.active) or self.translates

    def decoder(self, end: int, *, backwards: bool = False) -> tuple[list[int], list[int]]:
        """(input tokens, target tokens) of the decoder, of equal length, `end` last. `backwards`: with the text reversed, for
        the second decoder of U2++."""
        said = [token if learn else IGNORE for token, learn in zip(self.prompt, self.learnt, strict=True)][1:]
        if self.text is None:
            return list(self.prompt[:-1]), said
        text = list(self.text[::-1] if backwards else self.text)
        learnt = [IGNORE if self._unsure(place, backwards) else token for place, token in enumerate([*text, end])]
        return [*self.prompt, *text], [*said, *learnt]

    def _unsure(self, place: int, backwards: bool) -> bool:
        """Whether it is not known what follows the first `place` tokens that are said."""
        if not backwards:
            return place in self.doubtful or place in self.gaps
        size = len(self.text or ())
        return size - 1 - place in self.doubtful or size - place in self.gaps


def read_utterance(document: Mapping[str, Any], *, doubts: bool = False) -> LabelledUtterance:
    """Transcript and labels from the JSON of a sample; `doubts`: with what is in doubt. Raises KeyError if it lacks a field."""
    text, key = document["text"], document["key"]
    labels = from_plain(document["labels"], Labels) if document["labels"] else Labels(key)
    if labels.language is None and document["language"]:
        stated = Annotation((Mark(document["language"]),), "consensus")
        labels = replace(labels, language=stated)
    agreeing = (h["words"] for h in document["hypotheses"] if h["text"] == text and h["words"])
    words = next(agreeing, None)
    slots = [from_plain(slot, Slot) for slot in document["consensus"]["slots"]] if doubts and text else []
    timed = tuple(from_plain(word, Word) for word in words) if words else None
    return LabelledUtterance(text, labels, timed, stretches(text, slots) if text and slots else ())


def make_target(utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator) -> Target:
    """The target of an utterance; the generator draws whether it is a translation, and which tasks are active.

    Raises UnknownTokenError.
    """
    return (_activated if config.style == "activated" else _prompted)(utterance, tokens, config, generator)


def _under_rules(utterance: LabelledUtterance, rules: TextRules) -> LabelledUtterance:
    """The utterance with its text, what is in doubt there, and its translations as the model learns them."""
    if rules == TextRules():
        return utterance
    offers = utterance.labels.translation
    if offers is not None:
        offers = replace(offers, marks=tuple(replace(mark, value=ruled(mark.value, rules).text) for mark in offers.marks))
    labels = replace(utterance.labels, translation=offers)
    if utterance.text is None:
        return replace(utterance, labels=labels)
    said = ruled(utterance.text, rules)
    disputed = tuple(replace(one, start=said.places[one.start], end=said.places[one.end]) for one in utterance.disputed)
    return replace(utterance, text=said.text, labels=labels, disputed=disputed)


def _prompted(utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator) -> Target:
    utterance = _under_rules(utterance, config.text)
    prompt, learnt = [tokens[SOT]], [False]
    active: set[Task] = set()
    for kind in tokens.prompted(config.tasks):
        label = _label(utterance, kind) if kind in config.tasks else None
        said = [tokens[NOT_KNOWN]] if label is None else _values(label, kind, tokens) or [tokens[NONE]]
        prompt += said
        learnt += [label is not None] * len(said)
        active |= {kind} if label is not None else set()
    task, text, translates = _task(utterance, tokens, config, generator)
    prompt += [task, *tokens.after_task]
    learnt += ["sound_events" in active, *(False for _ in tokens.after_task)]  # the task closes the list of events
    spoken = None if utterance.text is None else tuple(tokens.encode(utterance.text))
    active |= {"asr"} if spoken is not None else set()
    said_text = None if text is None else tuple(tokens.encode(text))
    target = Target(tuple(prompt), tuple(learnt), said_text, spoken, frozenset(active), translates)
    return _doubted(target, utterance, tokens) if config.disputed == "skip" and utterance.disputed else target


def _doubted(target: Target, utterance: LabelledUtterance, tokens: Tokenizer) -> Target:
    """The target without what is in doubt. A translation has no slots: it stays as it is."""
    ids, ctc, doubtful, gaps = list[int](), list[int](), set[int](), set[int]()
    for one in utterance.disputed:
        said = tokens.encode((utterance.text or "")[one.start : one.end], start=not one.start)
        doubtful |= set(range(len(ids), len(ids) + len(said))) if one.doubtful else set()
        gaps |= {len(ids)} if one.after_gap else set()
        if (one.after_gap or (one.doubtful and said)) and ctc[-1:] != [STAR]:  # a dash that the rules removed is no sound
            ctc.append(STAR)
        ctc += [] if one.doubtful else said
        ids += said
    if target.translates:
        return replace(target, ctc=tuple(ctc))
    return replace(target, text=tuple(ids), ctc=tuple(ctc), doubtful=frozenset(doubtful), gaps=frozenset(gaps))


def _activated(utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator) -> Target:
    inline = _placed(utterance, config.text)
    utterance = _under_rules(utterance, config.text)
    known: list[Task] = [t for t in config.tasks if t in inline or (t in CLASSES and _label(utterance, t) is not None)]
    if utterance.text is not None and "asr" in config.tasks:
        known.insert(0, "asr")
    if set(known) == set(config.tasks):
        known = [t for t in known if t == "asr" or uniform(generator) >= config.deactivate]
    leading: list[int] = []
    for kind in CLASSES:
        label = _label(utterance, kind)
        leading += _values(label, kind, tokens) if kind in known and label is not None else []
    task, text, translates = _task(utterance, tokens, config, generator)
    if translates:  # where inline tokens stand in a translation is not known, and the model must not learn that there are none
        known = [t for t in known if t not in INLINE_TOKENS]
    spoken: list[int] = []
    if "asr" in known:
        spoken = _encode_inline(utterance.text or "", [p for t in known for p in inline.get(t, ())], tokens)
    said = tokens.encode(text or "") if translates else spoken
    ctc = None if translates and utterance.text is None else (*leading, *spoken)
    prompt = (tokens[SOT], task, *tokens.after_task)
    return Target(prompt, (False,) * len(prompt), (*leading, *said), ctc, frozenset(known), translates)


def _task(
    utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator
) -> tuple[int, str | None, bool]:
    """(task token, text to say, whether that is a translation)."""
    offers = utterance.labels.translation.marks if utterance.labels.translation else ()
    if offers and uniform(generator) < config.translate:
        mark = offers[choice(generator, [1.0] * len(offers))]
        return tokens.translate_to(mark.language or ""), mark.value, True
    return tokens[TRANSCRIBE], utterance.text, False


def _label(utterance: LabelledUtterance, kind: Class) -> Annotation | None:
    label: Annotation | None = getattr(utterance.labels, kind)
    return label


def _values(label: Annotation, kind: Class, tokens: Tokenizer) -> list[int]:
    """The tokens of a label's marks; only the first, unless there may be several (sound events)."""
    marks = label.marks if kind == "sound_events" else label.marks[:1]
    return [tokens.of_class(kind, mark.value) for mark in marks]


def _placed(utterance: LabelledUtterance, rules: TextRules) -> dict[Task, list[PlacedToken]]:
    """The inline labels whose positions in the text are known, as tokens to insert into the text under the rules."""
    if utterance.text is None:
        return {}
    text, labels = utterance.text, utterance.labels
    spans = timed_spans(text, utterance.words)
    found: dict[Task, list[PlacedToken] | None] = {}
    if labels.speaker_change is not None:
        found["speaker_change"] = place_moments(labels.speaker_change, text, spans, SPEAKER_CHANGE, 2)
    if labels.named_entities is not None:
        found["named_entities"] = place_entities(labels.named_entities, text, spans, ENTITY, ENTITY_END)
    if labels.endpoint is not None:
        found["endpoint"] = place_moments(labels.endpoint, text, spans, ENDPOINT, 1)
    places = ruled(text, rules).places
    return {
        task: [replace(one, offset=places[one.offset]) for one in placed]
        for task, placed in found.items()
        if placed is not None
    }


def _encode_inline(text: str, placed: list[PlacedToken], tokens: Tokenizer) -> list[int]:
    ids: list[int] = []
    start = True
    for stretch, token in cut(text, placed):
        ids += tokens.encode(stretch, start=start)
        start = start and not stretch
        ids += [tokens[token]] if token else []
    return ids
