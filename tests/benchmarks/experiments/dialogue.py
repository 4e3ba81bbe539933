"""Short exchanges in English or Spanish, in one voice or two, with people and cities in them: what TokenVerse's tasks are about.

In every place where a name can stand, a word that is no name can stand too; and an exchange of two sentences is as often one voice as
two. So a model has to hear who is named, and who speaks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from benchmarks.experiments.grammar import Sentence, sentence

NAME = "name"
"""The slots of these sentences: a person or a city."""


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
