"""Short exchanges in one language, in one voice or two, with names in them: what TokenVerse's tasks are about.

In every place where a name can stand, a word that is no name can stand too; and an exchange of two turns is as often one voice as
two. So a model has to hear who is named, and who speaks. A turn is a sentence, or, for a task that is learnt in a minute, a row of
digits and names; names are the same in all languages there, and it is the digits that tell them apart.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.experiments.corpus import Spoken
from benchmarks.experiments.grammar import Part, Sentence, sentence
from benchmarks.experiments.voices import TEST_VARIANTS, TRAIN_VARIANTS, Room, Voice, draw_voice

NAME = "name"
"""The slots of these sentences: a person or a city."""
REGISTERS = ((10, 30), (70, 90))
"""Pitches of a low voice and of a high one, of eSpeak's 0 to 99: two speakers of one exchange have one each."""
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
            for voice in _speakers(draw, split, language, draw.randint(*material.turns)):
                one, before = material.turn(draw, language), sum(len(words.split()) for _, words in turns)
                turns.append((voice, one.text))
                names += [_words(one.text, slot.start, slot.end, before) for slot in one.slots if slot.kind == NAME]
            changes = [len(turns[0][1].split())] if len({voice for voice, _ in turns}) == 2 else []
            labels = {"language": language, "changes": changes, "names": names}
            room = Room(round(draw.uniform(*material.snr_db), 1))
            spoken.append(Spoken(f"{split}-{index:05d}", split, tuple(turns), room, labels))
    return spoken


def _speakers(draw: random.Random, split: str, language: str, turns: int) -> tuple[Voice, ...]:
    """Of one turn or two; two are as often of one voice as of two of different registers and vocal tracts."""
    registers = list(REGISTERS)
    draw.shuffle(registers)
    low, high = registers[0]
    first = replace(draw_voice(draw, split, language), pitch=draw.randint(low, high))
    if turns == 1 or draw.random() < 0.5:
        return (first,) * turns
    variants = [one for one in (TEST_VARIANTS if split == "test" else TRAIN_VARIANTS) if one != first.variant]
    low, high = registers[1]
    return first, replace(draw_voice(draw, split, language), variant=draw.choice(variants), pitch=draw.randint(low, high))


def _words(text: str, start: int, end: int, before: int) -> tuple[int, int]:
    """The words [first, last) of a slot, counted from the start of the exchange."""
    first = before + len(text[:start].split())
    return first, first + len(text[start:end].split())


def row(draw: random.Random, language: str) -> Sentence:
    """Two or three digits and names; no two names side by side.

    >>> row(random.Random(3), "es")
    Sentence(text='dos berlin', slots=(Slot(kind='name', start=4, end=10),))
    """
    parts: list[Part] = []
    for _ in range(draw.randint(2, 3)):
        named = draw.random() < 0.5 and not (parts and isinstance(parts[-1], tuple))
        parts.append((NAME, draw.choice(ROW_NAMES)) if named else draw.choice(ROW_DIGITS[language]))
    return sentence(*parts)


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
ROWS = Material("rows", row, ("en", "es", "fr"), (2, 2), (5.0, 30.0))
