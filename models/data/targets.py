"""What one utterance teaches: the token sequences a model is trained to say, from the labels that the utterance has.

Two formats, because a label may be missing in two ways of handling it (papers differ, so it is a switch):

`prompt`     `<|sot|> LANGUAGE GENDER AGE EMOTION EVENT… TASK text <|eot|>`; where nobody labelled a class, the decoder reads
             `<|na|>` and learns nothing from that place. After Whisper, OWSM and SenseVoice.
`activated`  `<|sot|> TASK` and then only the tokens of tasks that are active, classes first, others inside the text. A task
             without a label is inactive, and its vector is not added to the sound (see `task_vectors.py`). After TokenVerse++.

In both, *not labelled* (None) and *labelled: nothing there* (no marks) are two different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Annotation, Labels, Mark, Word
from voxmill.manifests.schema import from_plain
from voxmill.models.common.seeds import Generator, choice, uniform
from voxmill.models.common.tasks import IGNORE, INLINE_TOKENS, Task
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
from voxmill.models.data.label_positions import PlacedToken, cut, place_entities, place_moments, timed_spans


class TargetsConfig(Settings):
    """What the model learns to say of a sample."""

    style: Literal["prompt", "activated"] = "prompt"
    """How it is told which tasks are wanted: by a `prompt` of tokens, or by task vectors (`activated`, with `model.tasks`)."""
    tasks: tuple[Task, ...] = ("asr", *CLASSES)
    """The tasks this model is for; labels of others are not looked at. Inline tasks need `activated`."""
    deactivate: float = Field(default=0.3, ge=0, le=1)
    """`activated`, and every task labelled: probability to switch each one but `asr` off, so that the switch means something."""
    translate: float = Field(default=0.5, ge=0, le=1)
    """Probability to learn the translation of an utterance that has one."""


@dataclass(frozen=True, slots=True)
class LabelledUtterance:
    """What is known of a sample, as its shard says."""

    text: str | None
    """None: no transcript that anyone vouches for. Empty: somebody listened, and nothing is said."""
    labels: Labels
    words: tuple[Word, ...] | None = None
    """Those of an engine that says exactly `text`, with times."""


@dataclass(frozen=True, slots=True)
class Target:
    prompt: tuple[int, ...]
    """What the decoder reads before the text."""
    learnt: tuple[bool, ...]
    """For each token of the prompt, whether the decoder learns to say it."""
    text: tuple[int, ...] | None
    """What it says then, without the end; None where there is no text to learn."""
    ctc: tuple[int, ...] | None
    """What CTC and transducer heads learn; None: nothing. Never a text in another language than the sound."""
    active: frozenset[Task]
    translates: bool = False

    @property
    def teaches(self) -> bool:
        """False where nobody labelled anything that this model is for."""
        return bool(self.active) or self.translates

    def decoder(self, end: int, *, backwards: bool = False) -> tuple[list[int], list[int]]:
        """(what the decoder reads, what it should say next), of equal length; the text can be read from its end."""
        said = [token if learn else IGNORE for token, learn in zip(self.prompt, self.learnt, strict=True)][1:]
        if self.text is None:
            return list(self.prompt[:-1]), said
        text = list(self.text[::-1] if backwards else self.text)
        return [*self.prompt, *text], [*said, *text, end]


def read_utterance(document: Mapping[str, Any]) -> LabelledUtterance:
    """From a shard's JSON. Raises KeyError where it is not one of ours."""
    text, key = document["text"], document["key"]
    labels = from_plain(document["labels"], Labels) if document["labels"] else Labels(key)
    if labels.language is None and document["language"]:
        stated = Annotation((Mark(document["language"]),), "consensus")
        labels = replace(labels, language=stated)
    agreeing = (h["words"] for h in document["hypotheses"] if h["text"] == text and h["words"])
    words = next(agreeing, None)
    return LabelledUtterance(text, labels, tuple(from_plain(word, Word) for word in words) if words else None)


def make_target(utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator) -> Target:
    """One of the things this utterance can teach; the generator chooses. Raises UnknownTokenError."""
    return (_activated if config.style == "activated" else _prompted)(utterance, tokens, config, generator)


def _prompted(utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator) -> Target:
    prompt, learnt = [tokens[SOT]], [False]
    active: set[Task] = set()
    for kind in CLASSES:
        label = _label(utterance, kind) if kind in config.tasks else None
        said = [tokens[NOT_KNOWN]] if label is None else _values(label, kind, tokens) or [tokens[NONE]]
        prompt += said
        learnt += [label is not None] * len(said)
        active |= {kind} if label is not None else set()
    task, text, translates = _task(utterance, tokens, config, generator)
    prompt.append(task)
    learnt.append("sound_events" in active)  # the task closes the list of events
    spoken = None if utterance.text is None else tuple(tokens.encode(utterance.text))
    active |= {"asr"} if spoken is not None else set()
    said_text = None if text is None else tuple(tokens.encode(text))
    return Target(tuple(prompt), tuple(learnt), said_text, spoken, frozenset(active), translates)


def _activated(utterance: LabelledUtterance, tokens: Tokenizer, config: TargetsConfig, generator: Generator) -> Target:
    inline = _placed(utterance)
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
    if (
        translates
    ):  # its words have no times: where inline tokens stand cannot be told, and no head may learn that there are none
        known = [t for t in known if t not in INLINE_TOKENS]
    spoken: list[int] = []
    if "asr" in known:
        spoken = _encode_inline(utterance.text or "", [p for t in known for p in inline.get(t, ())], tokens)
    said = tokens.encode(text or "") if translates else spoken
    ctc = None if translates and utterance.text is None else (*leading, *spoken)
    return Target((tokens[SOT], task), (False, False), (*leading, *said), ctc, frozenset(known), translates)


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
    """The tokens of a label's marks; of an exclusive class only the first."""
    marks = label.marks if kind == "sound_events" else label.marks[:1]
    return [tokens.of_class(kind, mark.value) for mark in marks]


def _placed(utterance: LabelledUtterance) -> dict[Task, list[PlacedToken]]:
    """The inline labels that are there and whose places in the text can be told."""
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
    return {task: placed for task, placed in found.items() if placed is not None}


def _encode_inline(text: str, placed: list[PlacedToken], tokens: Tokenizer) -> list[int]:
    ids: list[int] = []
    start = True
    for stretch, token in cut(text, placed):
        ids += tokens.encode(stretch, start=start)
        start = start and not stretch
        ids += [tokens[token]] if token else []
    return ids
