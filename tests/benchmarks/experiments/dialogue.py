"""Short exchanges in one language, in one voice or two, with names in them: what TokenVerse's tasks are about.

In every place where a name can stand, a word that is no name can stand too; and after a turn another voice may take over. So a model
has to hear who is named, and who speaks. For a task that is learnt in minutes it is a high voice that takes over from a low one: that
is heard on either side of a pause, where two voices of any kind would have to be compared across it. A turn is a sentence or, still
shorter, a digit and a name; names are the same in all languages there, and it is the digits that tell them apart.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.experiments.corpus import Spoken
from benchmarks.experiments.grammar import Part, Sentence, sentence
from benchmarks.experiments.voices import Room, Voice, draw_voice

NAME = "name"
"""The slots of these sentences: a person or a city."""
HIGH = frozenset({"f1", "f2", "f3", "f4", "f5", "Alicia", "Andrea", "Annie", "belinda", "linda", "steph"})
"""Variants of the vocal tract with a high voice: at least 140 Hz where the others have some 80."""
LOW_PITCH, HIGH_PITCH = (25, 45), (55, 75)
"""eSpeak's, at least and at most, of a low and a high voice."""
Turn = Callable[[random.Random, str], Sentence]
"""What one speaker says, in that language."""


@dataclass(frozen=True, slots=True)
class Words:
    people: tuple[str, ...]
    others: tuple[str, ...]
    cities: tuple[str, ...]
    places: tuple[str, ...]
    days: tuple[str, ...]


WORDS = {
    "en": Words(
        people=("anna", "peter", "maria", "thomas"),
        others=("my brother", "my sister", "the doctor", "the driver"),
        cities=("paris", "london", "boston", "rome"),
        places=("the office", "the garden", "the kitchen", "the station"),
        days=("monday", "tuesday", "friday", "sunday"),
    ),
    "es": Words(
        people=("lucía", "pedro", "marta", "tomás"),
        others=("mi hermano", "mi abuela", "tu vecina", "tu primo"),
        cities=("lisboa", "londres", "madrid", "roma"),
        places=("la oficina", "la cocina", "la playa", "la plaza"),
        days=("lunes", "martes", "viernes", "domingo"),
    ),
}


ROW_DIGITS = {
    "en": ("one", "two", "three", "four", "five"),
    "es": ("uno", "dos", "tres", "cuatro", "cinco"),
    "fr": ("un", "deux", "trois", "quatre", "cinq"),
}
ROW_NAMES = ("anna", "maria", "paris", "london")


@dataclass(frozen=True, slots=True)
class Material:
    """What is said in an experiment of this kind, and in how much noise."""

    name: str
    turn: Turn
    languages: tuple[str, ...]
    turns: tuple[int, int]
    """In an exchange, at least and at most."""
    snr_db: tuple[float, float]


def exchanges(material: Material, train: int, test: int) -> list[Spoken]:
    """Languages alternate. `labels`: language; `changes`, after how many words; `names`, stretches [first, last) of words."""
    spoken = []
    for split, count in (("train", train), ("test", test)):
        draw = random.Random(f"{material.name} {split}")
        for index in range(count):
            language = material.languages[index % len(material.languages)]
            turns: list[tuple[Voice, str]] = []
            names: list[tuple[int, int]] = []
            changes: list[int] = []
            for voice in _speakers(draw, split, language, draw.randint(*material.turns)):
                one, before = material.turn(draw, language), sum(len(words.split()) for _, words in turns)
                changes += [before] if turns and turns[-1][0] != voice else []
                turns.append((voice, one.text))
                names += [_words(one.text, slot.start, slot.end, before) for slot in one.slots if slot.kind == NAME]
            labels = {"language": language, "changes": changes, "names": names}
            room = Room(round(draw.uniform(*material.snr_db), 1))
            spoken.append(Spoken(f"{split}-{index:05d}", split, tuple(turns), room, labels))
    return spoken


def _speakers(draw: random.Random, split: str, language: str, turns: int) -> list[Voice]:
    """One for each turn: the low voice begins, and the high one takes over after some turn, or after the last: never."""
    pair = [_drawn(draw, split, language, high) for high in (False, True)]
    over = draw.randint(1, turns)
    return [pair[turn >= over] for turn in range(turns)]


def _drawn(draw: random.Random, split: str, language: str, high: bool) -> Voice:
    while ((voice := draw_voice(draw, split, language)).variant in HIGH) != high:
        pass
    return replace(voice, pitch=draw.randint(*(HIGH_PITCH if high else LOW_PITCH)))


def _words(text: str, start: int, end: int, before: int) -> tuple[int, int]:
    """The words [first, last) of a slot, counted from the start of the exchange."""
    first = before + len(text[:start].split())
    return first, first + len(text[start:end].split())


def row(draw: random.Random, language: str) -> Sentence:
    """A digit, with a name before it or after it or without.

    >>> row(random.Random(3), "es")
    Sentence(text='dos maria', slots=(Slot(kind='name', start=4, end=9),))
    """
    digit: Part = draw.choice(ROW_DIGITS[language])
    name: Part = (NAME, draw.choice(ROW_NAMES))
    return sentence(*draw.choice(((digit,), (digit, name), (name, digit))))


def said(draw: random.Random, language: str) -> Sentence:
    """One sentence; its slots are the names in it.

    >>> said(random.Random(3), "en")
    Sentence(text='call peter on monday', slots=(Slot(kind='name', start=5, end=10),))
    """
    words = WORDS[language]
    who: str | tuple[str, str] = (NAME, draw.choice(words.people)) if draw.random() < 0.5 else draw.choice(words.others)
    where: str | tuple[str, str] = (NAME, draw.choice(words.cities)) if draw.random() < 0.5 else draw.choice(words.places)
    day = draw.choice(words.days)
    if language == "es":
        return draw.choice(
            (
                sentence("llama a", who, "el", day),
                sentence(who, "está en", where),
                sentence("viaja a", where, "con", who),
                sentence("busca a", who, "en", where),
            )
        )
    return draw.choice(
        (
            sentence("call", who, "on", day),
            sentence(who, "is in", where),
            sentence("drive to", where, "with", who),
            sentence("find", who, "in", where),
        )
    )


SENTENCES = Material("dialogue", said, ("en", "es"), (1, 2), (10.0, 30.0))
ROWS = Material("rows", row, ("en", "es", "fr"), (2, 2), (10.0, 30.0))
