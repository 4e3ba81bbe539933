"""Spoken forms of letters that are no plain word: initials, capitals, Roman numerals, abbreviations, compounds, web addresses."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from voxmill.operators.reconcile.figures import SpokenFigures
from voxmill.operators.reconcile.readings import Piece, Reading, readings
from voxmill.operators.reconcile.scripts import lower
from voxmill.operators.reconcile.tokenize import units

ROMAN = r"(?:M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?<=[IVXLCDM])"
"""Pattern of a Roman numeral up to 3999."""

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


class Letters(SpokenFigures):
    """Spoken forms of letters: one by one, as a word, as a number, or as the words that they abbreviate."""

    def _romanth(self, said: str) -> list[Piece]:
        """A Roman numeral with the ending of an ordinal: `XIXe`, `II.`."""
        numeral = regex.match(ROMAN, said)
        number = roman_number(numeral[0]) if numeral else None
        if number is None or self.numbers is None:
            return [readings((lower(said, self.language),))]
        return [self._say(self.numbers.ordinal(number), said.casefold())]

    def _roman(self, said: str) -> list[Piece]:
        number = roman_number(said)
        literal = (lower(said, self.language),)
        if number is None or self.numbers is None:
            return [readings(literal, tuple(lower(said, self.language)))]
        counts, nths = self.numbers.cardinal(number), self.numbers.ordinal(number)
        articles = ["", *self.row.get("article", ())]
        said_as = [self.words(f"{article} {nth}") for nth in nths for article in articles]
        return [readings(literal, *(self.words(one) for one in counts), *said_as, tuple(lower(said, self.language)))]

    def _abbreviation(self, said: str) -> list[Piece]:
        known = self.row["abbreviations"][said]
        return [readings(*(self.words(one) for one in known.split("|")), self.words(said.replace(".", "")))]

    def _initials(self, said: str) -> list[Piece]:
        letters = [
            next(iter(self._plain(one))) if one != "&" else "&"
            for one in regex.findall(r"[\p{L}&]", said)
            if one == "&" or self._plain(one)
        ]
        if "&" in letters:
            names = tuple(self._plain((self.symbols.get("&") or ["&"])[0])) or ("&",)
            spelt = tuple(word for one in letters for word in (names if one == "&" else (one,)))
            return [readings(spelt, tuple(w for run in "".join(letters).split("&") for w in (run, *names))[: -len(names)])]
        return [self.letters(letters)]

    def letters(self, letters: Sequence[str]) -> Piece:
        """Letters read one by one or as a word."""
        return readings(units("".join(letters)), tuple(letters))

    def _capitals(self, said: str) -> list[Piece]:
        word = lower(said, self.language)
        return [readings((word,), tuple(word))]

    def _spelt(self, said: str) -> list[Piece]:
        letters = [one.casefold() for one in regex.findall(r"\p{L}", said)]
        ways = [tuple(letters), ("".join(letters),)]
        if letters[0] in "aio" and len(letters) > 2:  # a word of one letter before: `a p h d`
            ways.append((letters[0], "".join(letters[1:])))
        return [readings(*ways)]

    def _compound(self, said: str) -> list[Piece]:
        parts = [tuple(self._plain(part)) for part in regex.split(r"[-‐‑]", said)]
        apart: Reading = tuple(word for part in parts for word in part)
        together = tuple(self._plain("".join(regex.split(r"[-‐‑]", said))))
        return [readings(apart, together)] if apart else []

    def _language(self, said: str) -> list[Piece]:
        if said.endswith("++"):
            return [*self._plain(said[0]), self._symbol_piece("+"), self._symbol_piece("+")]
        return [*self._plain(said[0]), self._symbol_piece("#")]

    def _web(self, said: str) -> list[Piece]:
        found: list[Piece] = []
        for part in regex.findall(r"\p{L}+|\d+|[^\p{L}\d]", said.rstrip(".,;:!?")):
            if part.isdigit():
                found.append(self._say([*self.integer(part), *(self.numbers.digits(part) if self.numbers else ())], part))
            elif part.isalpha():
                whole = self.words(part)
                found.append(readings(whole, tuple("".join(whole))) if len(part) < 5 else readings(whole))
            else:
                names: dict[str, tuple[str, ...]] = {
                    ".": (*self.row.get("dot", ()), "dot"),
                    "/": ("slash",),
                    "-": ("dash", "hyphen"),
                    "_": ("underscore",),
                    ":": ("colon",),
                }
                found.append(self._say(self.symbols.get(part) or names.get(part, ()), part))
        return found


def roman_number(numeral: str) -> int | None:
    """The number of a Roman numeral; None where it is none.

    >>> roman_number("XIV"), roman_number("CIVIC")
    (14, None)
    """
    if not numeral or regex.fullmatch(ROMAN, numeral) is None:
        return None
    total = 0
    for one, after in zip(numeral, numeral[1:] + "I", strict=True):
        total += -_VALUES[one] if _VALUES[one] < _VALUES[after] else _VALUES[one]
    return total
