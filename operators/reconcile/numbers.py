"""Spells out numbers in every form that Unicode CLDR knows (rule-based number formats, by unicode-rbnf).

A number has several: by gender and case (`un`, `une`), as a year (`eighteen seventy-one`), in groups of two digits, digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache

import regex

LARGEST = 10**15
"""Larger numbers are spelt digit by digit."""
LONGEST = 40
"""Longest string of digits that is spelt out; longer ones stay as written."""

_POINT = {
    "ar": ("فاصلة", "فاصل"), "es": ("coma", "punto"), "ja": ("点",), "ko": ("점",), "pt": ("vírgula", "ponto"), "ru": ("запятая", "и"),
    "th": ("จุด",), "yue": ("点",), "zh": ("点",),
}  # fmt: skip
"""Spoken decimal signs, where CLDR has only a sign or a single form."""
_SOFT = regex.compile("[\u00ad\u200b]")
_ONE_LEFT_OUT = {
    "de": regex.compile(r"^ein(?=hundert|tausend)"), "sv": regex.compile(r"^ett(?=hundra|tusen)"), "ru": regex.compile(r"^одна (?=тысяч)"),
    "uk": regex.compile(r"^одна (?=тисяч)"), "no": regex.compile(r"^(?:ett? ?)(?=hundre|tusen)"), "da": regex.compile(r"^(?:et ?)(?=hundrede|tusind)"),
}  # fmt: skip
"""Languages in which `one` before hundred or thousand may be left out."""


_ALSO_SAID = {
    "sr": (regex.compile(r"(?: и | i )"), " "), "hr": (regex.compile(" i "), " "), "bs": (regex.compile(" i "), " "),
    "bg": (regex.compile("^(?:двайсет|трийсет)"), lambda m: {"двайсет": "двадесет", "трийсет": "тридесет"}[m[0]]),
    "nl": (regex.compile(r"duizend(?=\p{L})"), "duizend "),
}  # fmt: skip
"""Another form of the same number: without the `and`, in full, with a space after the thousands."""
_REGIONS = {"fr": ("fr_BE", "fr_CH")}
"""Where a language is spoken with other names of numbers: septante, nonante, huitante."""


class Numbers:
    """Spells numbers out in one language. Raises ImportError without the `text` extra, KeyError where CLDR has no rules."""

    def __init__(self, language: str) -> None:
        from unicode_rbnf import RbnfEngine

        name = {"fil": "fil", "nb": "no", "iw": "he"}.get(language, language)
        if name not in RbnfEngine.get_supported_languages():
            raise KeyError(language)
        self.language = language
        self._engine = RbnfEngine.for_language(name)
        known = RbnfEngine.get_supported_languages()
        self._regions = [Numbers(region) for region in _REGIONS.get(language, ()) if region in known]
        rules = self._engine.rulesets.items()
        names = [
            n
            for n, rule in rules
            if n.startswith("spellout") and not rule.is_private and "financial" not in n and "days" not in n
        ]
        self._cardinals = tuple(rule for rule in names if "ordinal" not in rule and ("cardinal" in rule or "numbering" in rule))
        self._ordinals = tuple(rule for rule in names if "ordinal" in rule)
        self.cardinal = lru_cache(1 << 12)(self._cardinal)
        self.ordinal = lru_cache(1 << 12)(self._ordinal)

    def _spelt(self, number: int | Decimal, rules: Iterable[str]) -> Iterator[str]:
        for rule in rules:
            if "year" in rule and not (isinstance(number, int) and 1000 <= number < 10_000):
                continue
            try:
                said = self._engine.format_number(number, ruleset_names=[rule]).text
            except Exception:  # noqa: BLE001, S112  a rule that does not know this number says nothing
                continue
            if said and "ERROR" not in said and not any(map(str.isdigit, said)):
                yield _SOFT.sub("", said).strip()

    def _cardinal(self, number: int) -> tuple[str, ...]:
        found = list(self._spelt(number, self._cardinals))
        if self.language in _ONE_LEFT_OUT:
            found += [_ONE_LEFT_OUT[self.language].sub("", one) for one in found]
        if self.language in _ALSO_SAID:
            form, other = _ALSO_SAID[self.language]
            found += [form.sub(other, one) for one in found]
        found += [one for region in self._regions for one in region.cardinal(number)]
        if self.language == "ru" and 1000 <= number < 10_000:  # a year is an ordinal
            found += [form for one in self._ordinal(number) for form in (one, _ONE_LEFT_OUT["ru"].sub("", one))]
        return tuple(dict.fromkeys(found))

    def _ordinal(self, number: int) -> tuple[str, ...]:
        found = list(self._spelt(number, self._ordinals))
        if self.language == "de":  # CLDR leaves the ending off: der erste, am ersten
            found += [one + ending for one in found if one.endswith("te") for ending in ("r", "n", "s", "m")]
        return tuple(dict.fromkeys(found))

    @lru_cache(1 << 12)  # noqa: B019  there is one per language, kept as long as the process
    def point(self) -> tuple[str, ...]:
        """Spoken forms of the decimal sign."""
        if self.language in _POINT:
            return _POINT[self.language]
        said = next(iter(self._spelt(Decimal("2.5"), self._cardinals)), "")
        parts = said.split()
        return (parts[1],) if len(parts) == 3 else ()

    @lru_cache(1 << 12)  # noqa: B019
    def minus(self) -> tuple[str, ...]:
        """Spoken form of the minus sign."""
        found = []
        for number in (-5, -7):
            said = next(iter(self._spelt(number, self._cardinals)), "")
            plain = next(iter(self._spelt(-number, self._cardinals)), "")
            if plain and said.endswith(plain) and said != plain:
                found.append(said[: -len(plain)].strip())
        return tuple(dict.fromkeys(found))[:1]

    def digits(self, string: str) -> Iterator[str]:
        """Spoken forms digit by digit."""
        kinds = max((len(self.cardinal(int(one))) for one in string), default=0)
        for kind in range(min(kinds, 4)):
            yield " ".join(self.cardinal(int(one))[min(kind, len(self.cardinal(int(one))) - 1)] for one in string)

    def pairs(self, string: str) -> Iterator[str]:
        """Spoken forms two digits at a time, an odd one first: `10 30`, `3 50`; a leading zero is spoken."""
        at = len(string) % 2
        parts = [string[:at]] * bool(at) + [string[k : k + 2] for k in range(at, len(string), 2)]
        if len(parts) > 1 and string[0] != "0":
            said = [
                next(self.digits(part)) if part[0] == "0" and len(part) > 1 else self.cardinal(int(part))[0] for part in parts
            ]
            yield " ".join(said)

    def integer(self, string: str) -> list[str]:
        """All spoken forms of a string of digits, the usual one first."""
        zeros = len(string) > 1 and string[0] == "0"
        found: list[str] = []
        if len(string) > LONGEST:
            return found
        if not zeros and int(string) < LARGEST:
            found += self.cardinal(int(string))
        if zeros or len(string) > 2 or not found or (self.language == "ja" and len(string) == 2):
            found += self.digits(string)
        if not zeros and len(string) in (3, 4):
            found += self.pairs(string)
        return found

    def decimal(self, whole: str, part: str) -> list[str]:
        """All ways to say a decimal fraction: the part digit by digit, or as a number."""
        if len(whole) > LONGEST or len(part) > LONGEST:
            return []
        heads = [*self.cardinal(int(whole))] if int(whole) < LARGEST else [*self.digits(whole)]
        tails = [*self.digits(part)]
        if part[0] != "0" and len(part) < 4:
            tails += self.cardinal(int(part))
        elif part[0] == "0" and len(part) == 2:
            tails += [" ".join((self.cardinal(0)[0], one)) for one in self.cardinal(int(part[1]))]
        russian = (
            _russian_parts(self.cardinal(int(whole)), self.cardinal(int(part)), len(part)) if self.language == "ru" else []
        )
        return russian + [f"{head} {point} {tail}" for point in self.point() for head in heads for tail in tails]


def _russian_parts(heads: Iterable[str], tails: Iterable[str], places: int) -> list[str]:
    """`две целых пять десятых`"""
    names = {1: ("десятых", "десятая"), 2: ("сотых", "сотая"), 3: ("тысячных", "тысячная")}.get(places, ())
    tails = list(tails)
    return [
        f"{head} {whole} {tail} {name}" for head in heads for whole in ("целых", "целая") for tail in tails for name in names
    ]


@lru_cache(128)
def numbers(language: str) -> Numbers | None:
    """None where nothing is known of how the language says numbers."""
    try:
        return Numbers(language)
    except KeyError:
        return None
