"""What is said: commands, dates and numbers of a small grammar, each sentence with the places of its slots.

Small, because two cores have to learn it: about a hundred words, each of them heard often. Texts are in the form that engines'
normalised texts have too: lower case, no punctuation, numbers in words.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ROOMS = ("kitchen", "bedroom", "garden", "office", "hall")
THINGS = ("light", "heating", "radio", "fan", "music")
PEOPLE = ("anna", "peter", "maria", "thomas")


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of a sentence that means something, `[start, end)` in characters."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    slots: tuple[Slot, ...] = ()


Part = str | tuple[str, str]
"""Words, or (kind of slot, words)."""


def sentence(*parts: Part) -> Sentence:
    """
    >>> sentence("call", ("person", "anna"))
    Sentence(text='call anna', slots=(Slot(kind='person', start=5, end=9),))
    """
    text, slots = "", []
    for part in parts:
        words = part if isinstance(part, str) else part[1]
        text = f"{text} {words}" if text else words
        if not isinstance(part, str):
            slots.append(Slot(part[0], len(text) - len(words), len(text)))
    return Sentence(text, tuple(slots))


def sentences(count: int, seed: int, kinds: Sequence[str] = ("command", "date", "number")) -> list[Sentence]:
    """That many, of the kinds in turn; the same for a seed, on every machine."""
    draw = random.Random(seed)
    return [KINDS[kinds[index % len(kinds)]](draw) for index in range(count)]


def _command(draw: random.Random) -> Sentence:
    room, thing = ("room", draw.choice(ROOMS)), draw.choice(THINGS)
    return draw.choice(
        (
            sentence("turn", draw.choice(("on", "off")), "the", room, thing),
            sentence("set the", room, thing, "to", ("number", _below_hundred(draw))),
            sentence("call", ("person", draw.choice(PEOPLE)), "on", ("date", draw.choice(DAYS))),
            sentence("tell", ("person", draw.choice(PEOPLE)), "the", room, thing, "is", draw.choice(("on", "off"))),
        )
    )


def _date(draw: random.Random) -> Sentence:
    day, month = draw.choice(ORDINALS), draw.choice(MONTHS)
    return draw.choice(
        (
            sentence(("date", f"{draw.choice(DAYS)} the {day} of {month}")),
            sentence("call", ("person", draw.choice(PEOPLE)), "on the", ("date", f"{day} of {month}")),
            sentence(("date", f"{month} the {day}"), "is a", ("date", draw.choice(DAYS))),
        )
    )


def _number(draw: random.Random) -> Sentence:
    if draw.random() < 0.5:
        return sentence(("number", " ".join(draw.choice(DIGITS) for _ in range(draw.randint(3, 6)))))
    return sentence(("number", f"{draw.choice(DIGITS[1:])} hundred and {_below_hundred(draw)}"))


def _below_hundred(draw: random.Random) -> str:
    """
    >>> _below_hundred(random.Random(1))
    'thirty nine'
    """
    tens, ones = draw.choice(TENS), draw.choice(DIGITS[1:])
    return tens if draw.random() < 0.2 else f"{tens} {ones}"


KINDS: dict[str, Callable[[random.Random], Sentence]] = {"command": _command, "date": _date, "number": _number}
