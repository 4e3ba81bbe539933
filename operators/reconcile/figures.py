"""Spoken forms of plain figures: signed, ordinal, fractions, groups of digits. The base of the other written forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import regex
import yaml

from voxmill.operators.reconcile import unit_names as measures
from voxmill.operators.reconcile.numbers import LONGEST, Numbers, numbers
from voxmill.operators.reconcile.readings import Piece, Reading, readings
from voxmill.operators.reconcile.scripts import one_form
from voxmill.operators.reconcile.tokenize import units

Plain = Callable[[str], Sequence[str]]
"""Cuts text without figures or signs into units."""

_NUMBER = r"\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])|\d{1,3}(?:[.,'](?:\d{3}))+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_SPACED = r"\d{1,3}(?:\x20\d{3})+(?!\d)(?:,\d+)?"
_THOUSANDS = r"\d{1,3}(?:\x20\d{3})*\x20000(?!\d)"
SEVERAL = 400
"""Most readings of one piece."""


@lru_cache(1)
def table() -> dict[str, dict[str, Any]]:
    """The data of `spoken.yaml`, by language."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("spoken.yaml").read_text(encoding="utf-8"))
    return loaded


class SpokenFigures:
    """Spoken forms of figures in one language. A method `_<kind>` takes an expression of that kind and gives pieces.

    `plain` cuts running text into units; spoken forms are cut by it too, so that both compare.
    """

    def __init__(self, language: str | None, plain: Plain) -> None:
        self.language = language or ""
        self.numbers: Numbers | None = numbers(self.language) if self.language else None
        self.row = table().get(self.language, {})
        self._plain = plain
        self.comma = measures.decimal_sign(self.language) == "," if self.language else False
        self.symbols: dict[str, list[str]] = self.row.get("symbols", {})
        self._figure = f"(?:{_SPACED if self.comma else _THOUSANDS}|{_NUMBER})"

    def _say(self, texts: Iterable[str], written: str) -> Piece:
        """One piece with these spoken forms; without any, it stays as written."""
        said = [self.words(text) for text in texts]
        said = [one for one in dict.fromkeys(said) if one]
        return readings(*said[:SEVERAL]) if said else readings(units(written.casefold()))

    def words(self, text: str) -> Reading:
        """Spoken text in units."""
        return tuple(self._plain(one_form(text)))

    def integer(self, string: str) -> list[str]:
        """All spoken forms of a string of digits, the usual one first."""
        return self.numbers.integer(string) if self.numbers else []

    def value(self, string: str) -> list[str]:
        """All spoken forms of a written number with separators."""
        if self.numbers is None:
            return []
        whole, part = self.parts(string)
        if len(whole) + len(part or "") > LONGEST:
            return []
        if part is None:
            return self.integer(whole)
        halves = list(self.row.get("halves", {}).get(string, []))
        if part.rstrip("0") == "5" and len(whole) < 7 and int(whole or 0):
            halves += self._and_half(int(whole))
        return [*self.numbers.decimal(whole or "0", part), *halves]

    def _and_half(self, whole: int) -> list[str]:
        """`zweieinhalb`, `deux et demi`."""
        assert self.numbers is not None
        return [way.format(h=one) for way in self.row.get("and_half", ()) for one in self.numbers.cardinal(whole)]

    def quantity(self, string: str) -> list[str]:
        """Spoken forms of a counted number: neither a year nor digit by digit (`220` dollars are not `two twenty`)."""
        whole, part = self.parts(string)
        if self.numbers is None or part is not None or len(whole) > 15 or (len(whole) > 1 and whole[0] == "0"):
            return self.value(string)
        return list(self.numbers.cardinal(int(whole)))

    def parts(self, string: str) -> tuple[str, str | None]:
        """Digits before and after the decimal sign, without separators of thousands."""
        string = string.replace(" ", "").replace("'", "")
        signs = regex.findall(r"[.,]", string)
        if not signs:
            return string, None
        whole, last, part = string.rpartition(signs[-1])
        thousands = len(part) == 3 and whole and len(whole) <= 3 and not whole.startswith("0")
        grouped = last == ("." if self.comma else ",")
        if (len(set(signs)) == 1 and len(signs) > 1) or (thousands and grouped):
            return regex.sub("[.,]", "", string), None
        return regex.sub("[.,]", "", whole), part

    def _number(self, said: str) -> list[Piece]:
        sign, rest = (said[0], said[1:]) if said[0] in "-−+±" else ("", said)
        return [*self._sign(sign), self._say(self.value(rest), rest)]

    def _counted_number(self, said: str) -> list[Piece]:
        sign, rest = (said[0], said[1:]) if said[0] in "-−+±" else ("", said)
        return [*self._sign(sign), self._say(self.quantity(rest), rest)]

    def _sign(self, sign: str) -> list[Piece]:
        if not sign:
            return []
        if sign in "-−":
            known = self.row.get("minus") or (self.numbers.minus() if self.numbers else ())
            return [self._say(known, "-")]
        return [self._symbol_piece(sign)]

    def _symbol_piece(self, symbol: str) -> Piece:
        if symbol == "/":
            return readings((), *(tuple(self._plain(word)) for word in self.row.get("slash", ())))
        return self._say(self.symbols.get(symbol, ()), symbol)

    def _symbol(self, said: str) -> list[Piece]:
        return [self._symbol_piece(said)]

    def _groups(self, said: str) -> list[Piece]:
        """Digits with dashes between: a telephone number, a score, a range."""
        parts = regex.findall(r"\d+", said)
        telephone = len(parts) > 2 or sum(map(len, parts)) > 6 or said.startswith(("+", "("))
        found: list[Piece] = [self._symbol_piece("+")] if said.startswith("+") else []
        between = [tuple(self._plain(word)) for word in self.row.get("range", ())] or [()]
        for k, part in enumerate(parts):
            if k:
                either = telephone or parts[0] == part  # 50-50
                found.append(readings((), *between) if either else readings(*between))
            several = self.integer(part)
            if telephone and len(part) == 2 and self.numbers:
                several = [*several, *self.numbers.digits(part)]
            found.append(self._say(several, part))
        return [piece for piece in found if piece != ()]

    def _dotted(self, said: str) -> list[Piece]:
        """A version or IP address; in languages that group digits with full stops, also a large number."""
        if self.comma and regex.fullmatch(r"\d{1,3}(?:\.\d{3})+", said):
            return self._number(said)
        dots: list[str] = [*(self.numbers.point() if self.numbers else ()), *self.row.get("dot", ["dot"])]
        found: list[Piece] = []
        for k, part in enumerate(said.split(".")):
            if k:
                found.append(self._say(dots, "."))
            found.append(self._say([*self.integer(part), *(self.numbers.digits(part) if self.numbers else ())], part))
        return found

    def _ratio(self, said: str) -> list[Piece]:
        """A ratio such as `3:1`: times have two digits after the colon."""
        one, two = said.split(":")
        between = [self.words(word) for word in self.row.get("ratio", ())]
        return [self._say(self.integer(one), one), readings((), *between), self._say(self.integer(two), two)]

    def _power(self, said: str) -> list[Piece]:
        exponent = said[1:].lstrip("-")
        known = self.row.get("powers", {})
        texts = list(known.get(int(said[1:]), ())) if len(exponent) < 4 else []
        if self.numbers and len(exponent) < 4:
            minus = next(iter(self.row.get("minus") or self.numbers.minus()), "minus") if "-" in said else ""
            for one in known.get("n", ("{n}",)):
                texts += [one.format(n=f"{minus} {n}") for n in self.numbers.cardinal(int(exponent))]
            for one in known.get("nth", ()):
                texts += [one.format(n=f"{minus} {n}") for n in self.numbers.ordinal(int(exponent))]
        return [self._say(texts, said[1:])]

    def _ordinal(self, said: str) -> list[Piece]:
        digits = regex.match(r"\d+", said)
        assert digits is not None
        if self.numbers is None or len(digits[0]) > 9:
            return [readings((said.casefold(),))]
        found = list(self.numbers.ordinal(int(digits[0])))
        if said.endswith("."):  # or a sentence ends
            found += self.numbers.integer(digits[0])
        return [self._say(found or self.integer(digits[0]), said.casefold())]

    def _fraction(self, said: str) -> list[Piece]:
        *whole, top, bottom = regex.findall(r"\d+", said)
        texts = self.fraction(int(top), int(bottom)) if len(top) < 4 and len(bottom) < 4 else []
        if not texts:
            return [
                *(self._say(self.integer(one), one) for one in whole),
                self._say(self.integer(top), top), self._symbol_piece("/"), self._say(self.integer(bottom), bottom),
            ]  # fmt: skip
        if whole:
            heads = self.integer(whole[0])[:2]
            joins = self.symbols.get("&", [""])[:1]
            texts = [f"{head} {join} {text}" for head in heads for join in [*joins, ""] for text in texts]
            if (top, bottom) == ("1", "2") and len(whole[0]) < 7:
                texts += self._and_half(int(whole[0]))
        return [self._say(texts, said)]

    def fraction(self, top: int, bottom: int) -> list[str]:
        """All spoken forms of a fraction."""
        if self.numbers is not None and "parts" in self.row:
            return [str(self.row["parts"]).format(top=self.numbers.cardinal(top)[0], bottom=self.numbers.cardinal(bottom)[0])]
        known: dict[int, list[str]] = self.row.get("fractions", {})
        if self.numbers is None or bottom not in known:
            return []
        return [f"{count} {name}" for count in self.numbers.cardinal(top) for name in known[bottom]] + (
            known[bottom] if top == 1 else []
        )
