"""Sentences in English and what they are in Spanish: a small grammar in which every sentence has exactly one translation.

The words are few, so that they are learnt; the order is not that of English (adjectives follow, `please` comes last) and endings
agree with the noun's gender, so that a translation is more than one word for another.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

VERBS = {
    "open": "abre", "close": "cierra", "bring": "trae", "clean": "limpia", "paint": "pinta", "take": "toma", "hide": "esconde",
}  # fmt: skip
NOUNS = {
    "door": ("puerta", "f"), "window": ("ventana", "f"), "table": ("mesa", "f"), "box": ("caja", "f"),
    "book": ("libro", "m"), "car": ("coche", "m"), "hat": ("sombrero", "m"), "boat": ("barco", "m"),
}  # fmt: skip
ADJECTIVES = {
    "red": "rojo", "yellow": "amarillo", "small": "pequeño", "old": "viejo", "new": "nuevo", "white": "blanco", "black": "negro",
}  # fmt: skip
"""In the masculine; the feminine ends in -a."""
NUMBERS = {
    "two": "dos", "three": "tres", "four": "cuatro", "five": "cinco", "six": "seis", "seven": "siete", "eight": "ocho", "nine": "nueve",
}  # fmt: skip
PLACES = {"in the kitchen": "en la cocina", "in the garden": "en el jardín", "at the station": "en la estación"}
TIMES = {"today": "hoy", "tomorrow": "mañana", "at noon": "a mediodía", "tonight": "esta noche"}


@dataclass(frozen=True, slots=True)
class Pair:
    english: str
    spanish: str


def pairs(count: int, seed: int) -> list[Pair]:
    """That many, the same for a seed on every machine."""
    draw = random.Random(seed)
    return [draw.choice((_request, _request, _statement, _question))(draw) for _ in range(count)]


def thing(noun: str, adjective: str) -> Pair:
    """
    >>> thing("door", "red"), thing("boat", "red")
    (Pair(english='the red door', spanish='la puerta roja'), Pair(english='the red boat', spanish='el barco rojo'))
    """
    name, gender = NOUNS[noun]
    spoken = ADJECTIVES[adjective]
    agreeing = (f"la {name} {spoken[:-1]}a") if gender == "f" else f"el {name} {spoken}"
    return Pair(f"the {adjective} {noun}", agreeing)


def _thing(draw: random.Random) -> Pair:
    return thing(draw.choice(list(NOUNS)), draw.choice(list(ADJECTIVES)))


def counted(count: int, seed: int) -> list[Pair]:
    """Phrases of three words, for minutes instead of hours."""
    draw = random.Random(seed)
    return [several(*(draw.choice(list(words)) for words in (NUMBERS, NOUNS, ADJECTIVES))) for _ in range(count)]


def several(number: str, noun: str, adjective: str) -> Pair:
    """
    >>> several("two", "box", "red"), several("nine", "boat", "old")
    (Pair(english='two red boxes', spanish='dos cajas rojas'), Pair(english='nine old boats', spanish='nueve barcos viejos'))
    """
    _, name, agreeing = thing(noun, adjective).spanish.split()
    return Pair(f"{number} {adjective} {noun}{'es' if noun.endswith('x') else 's'}", f"{NUMBERS[number]} {name}s {agreeing}s")


def _request(draw: random.Random) -> Pair:
    verb, what = draw.choice(list(VERBS)), _thing(draw)
    when = draw.choice(list(TIMES))
    if draw.random() < 0.5:
        return Pair(f"please {verb} {what.english} {when}", f"{VERBS[verb]} {what.spanish} {TIMES[when]} por favor")
    return Pair(f"{verb} {what.english} {when}", f"{VERBS[verb]} {what.spanish} {TIMES[when]}")


def _statement(draw: random.Random) -> Pair:
    what, where = _thing(draw), draw.choice(list(PLACES))
    return Pair(f"{what.english} is {where}", f"{what.spanish} está {PLACES[where]}")


def _question(draw: random.Random) -> Pair:
    what, when = _thing(draw), draw.choice(list(TIMES))
    return Pair(f"where is {what.english} {when}", f"dónde está {what.spanish} {TIMES[when]}")
