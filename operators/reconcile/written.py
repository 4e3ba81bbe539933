"""Finds what is written otherwise than it is spoken, and lists what may be said for it: numbers, times, money, units, symbols, initials.

One scanner for every language; what differs is in `spoken.yaml`, in CLDR, and for English in `english.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import regex
import yaml

from voxmill.operators.reconcile import measures
from voxmill.operators.reconcile.numbers import LONGEST, Numbers, numbers
from voxmill.operators.reconcile.readings import Piece, Reading, readings
from voxmill.operators.reconcile.roman import CLASS, value
from voxmill.operators.reconcile.scripts import lower, one_form
from voxmill.operators.reconcile.units import units

Plain = Callable[[str], Sequence[str]]
"""Cuts text without figures and signs into its units."""

_NUMBER = r"\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])|\d{1,3}(?:[.,'](?:\d{3}))+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_SPACED = r"\d{1,3}(?:\x20\d{3})+(?!\d)(?:,\d+)?"
_MONEY = r"(?:US|A|C|R|HK|NZ)?\$|[€£¥₹₩₽₺₪฿₴₫]"
_ENDINGS = "com|org|net|edu|gov|io|info|js|py|exe|pdf|zip"
_SCALES = ("million", "billion", "trillion", "thousand", "hundred")
_WORD = regex.compile(r"\S+")
SIGNS = r"[\d&+=@#%°×÷±§€£¥₹₩₽₺₪฿$<>№/]|\p{L}[-‐‑]\p{L}|\p{Lu}\p{Lu}|\p{L}\.\p{L}|(?<!\p{L})\p{L}\.|zł\b|\bI(?:er|re)\b"
_SUSPICIOUS = regex.compile(SIGNS)
_AROUND = 3
SEVERAL = 400
"""Most readings of one piece."""


@lru_cache(1)
def table() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("spoken.yaml").read_text(encoding="utf-8"))
    return loaded


class Writing:
    """How one language writes. `plain` cuts running text; the readings given are cut by it too, so both compare."""

    def __init__(self, language: str | None, plain: Plain) -> None:
        self.language = language or ""
        self.numbers: Numbers | None = numbers(self.language) if self.language else None
        self.row = table().get(self.language, {})
        self._plain = plain
        self.comma = measures.decimal_sign(self.language) == "," if self.language else False
        self.months = measures.months(self.language) if self.language else {}
        self.symbols: dict[str, list[str]] = self.row.get("symbols", {})
        self._units = {*measures.UNITS, *self.row.get("units", {}), *self.row.get("aliases", {})}
        self._counted = self._names()
        self._starts = tuple({name.split()[0] for name in self.row.get("abbreviations", ())})
        self._scan = self._scanner()
        self._signs = self._signs_of()
        self.written = lru_cache(1 << 14)(self._written)

    def _scanner(self) -> regex.Pattern[str]:
        number = f"(?:{_SPACED}|{_NUMBER})" if self.comma else f"(?:{_NUMBER})"
        symbols = "|".join(sorted(map(regex.escape, self._units), key=len, reverse=True))
        ordinal = self.row.get("ordinal")
        abbreviated = "|".join(sorted(map(regex.escape, self.row.get("abbreviations", ())), key=len, reverse=True))
        codes = "|".join(measures.CODES)
        money = "|".join(
            ("zł", *measures.CODES, *(regex.escape(name) for name in self.row.get("money", ()) if name[0].isalpha()))
        )
        after = "".join(rf"|(?i:\b{word}\s)" for word in self.row.get("roman_after", ()))
        ended = self.row.get("roman_ordinal")
        counted = "|".join(self.row.get("roman_before", ()))
        ended = "|".join(
            filter(None, (f"(?:{ended})(?!\\p{{L}})" if ended else "", rf"(?=\s(?:{counted}))" if counted else ""))
        )
        self._scales = "|".join((*_SCALES, *self.row.get("scales", ())))
        scaled = rf"(?:\s*(?:{self._scales})s?\b)?"
        self._amount = regex.compile(number)
        kinds = {
            "web": r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
            rf"|(?<![\w.])(?:[\w-]+\.)*[\w-]*\.(?i:{_ENDINGS})(?![\w])",
            **({"abbreviation": rf"(?<![\p{{L}}.])(?:{abbreviated})(?!\p{{L}})"} if abbreviated else {}),
            "moneyrange": rf"(?:{_MONEY})\s?(?:{number})\s?[-–—]\s?(?:{_MONEY})?\s?(?:{number})(?![\d-])",
            "date": r"(?<![\d/.-])(?:\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}/\d{1,2}/\d{4}|\d{1,2}\.\d{1,2}\.\d{4})(?![\d/-])",
            "dotted": r"(?<![\d.,])\d{1,3}(?:\.\d{1,3}){2,}(?!\d|[.,]\d)",
            "dash": r"(?<=\d[:h]\d{2}|[%‰°]|\d\s?[ap]\.?m\.?)\s?[-–—]\s?(?=[$€£]?\d)",
            "ratio": r"(?<![\d:.,])(?:\d{1,4}:\d|\d:\d{3,4})(?![\d:]|[.,]\d)",
            "time": r"(?<![\d:.,])\d{1,2}[:h]\d{2}(?::\d{2})?(?![\d:])(?:\s*(?:Uhr|uhr|uur)\b)?",
            "money": rf"[-−]?(?:(?:{_MONEY}|(?<!\p{{L}})(?:{codes}))\s?{number}|{number}\s?(?:(?:{_MONEY})|(?:{money})(?!\p{{L}}))){scaled}"
            rf"|[-−]?{number}\s(?:{self._scales})s?\s(?:{_MONEY}|(?:{codes})(?!\p{{L}}))",
            "fraction": r"(?<![\d/.,])(?:\d+\s+)?\d+\s?[/⁄]\s?\d+(?![\d/]|[.,]\d)",
            **({"ordinal": rf"(?<![\d.,])\d+(?:'?(?:{ordinal}))(?!\p{{L}})"} if ordinal else {}),
            "groups": r"(?<![\d.,\p{L}-])(?:\+|\(\d+\)\s?)?\d+(?:\s?[-–—]\s?\d+)+(?![\d]|[.,]\d)",
            "measure": rf"(?:(?<![\w)\]])[-−+±])?{number}\s?(?i:{symbols})(?:/(?i:{symbols})(?![\p{{L}}\d])|(?![\p{{L}}\d]))",
            "number": rf"(?:(?<![\w)\]])[-−+±])?(?:{number}|(?<![\d\w])\.\d+)",
            **({"romanth": rf"(?<!\p{{L}}){CLASS}(?:{ended})"} if ended else {}),
            "power": r"\^-?\d+",
            "roman": rf"(?<=\p{{Lu}}[\p{{L}}']*\s{after}){CLASS}(?!\p{{L}}|')",
            "initials": r"(?<![\p{L}.])(?:\p{L}\.\s?){2,}(?:\p{L}\b)?|(?<!\p{L})\p{Lu}+(?:&\p{Lu}+)+(?!\p{L})",
            "spelt": r"(?<![\p{L}'])\p{Latin}(?:[ -]\p{Latin}(?![\p{L}'\d]))+",
            "capitals": r"(?<![\p{L}'])\p{Lu}{2,6}(?=s?(?![\p{L}']))",
            "compound": r"(?<![\p{L}-])\p{L}+(?:[-‐‑]\p{L}+)+(?![\p{L}])",
            "language": r"(?<!\p{L})[CF](?:\+\+|#)",
            "symbol": r"[&+=@#%°×÷±§€£¥₹₩₽₺₪฿]|\$|(?<=\p{L})/(?=\p{L})|[<>](?=\s?\d)",
        }
        kinds = self._more(kinds)
        return regex.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in kinds.items()))

    def _names(self) -> frozenset[str]:
        """Words of which numbers are counted: units and currencies."""
        if not self.language:
            return frozenset()
        units_ = [
            after for symbol in measures.UNITS for _, after in measures.unit(symbol, self.language) if symbol not in ("m", "in")
        ]
        money = [name for symbol in ("$", "€", "£", "¥") for name in self.currency(symbol)]
        cents = [name for names in self.row.get("cents", {}).values() for name in names]
        return frozenset(name.casefold() for name in (*units_, *money, *cents) if len(name) > 2 and " " not in name)

    def _more(self, kinds: dict[str, str]) -> dict[str, str]:
        """A language's own expressions may be put before, between or after."""
        return kinds

    def pieces(self, text: str) -> list[Piece]:
        """The text, in order: its words, and readings for what is not written as it is said."""
        found: list[Piece] = []
        at = 0
        for start, end in self._places(text):
            for match in self._scan.finditer(text, start, end):
                if match.start() > at:
                    found.extend(self._plain(text[at : match.start()]))
                found.extend(self.expression(match, found, text))
                at = match.end()
        if at < len(text):
            found.extend(self._plain(text[at:]))
        return found

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Where the slow scanner has to look: words with a sign, a figure or a capital within, and a few words around them."""
        if self._signs.search(text) is None:
            return []
        words = [(word.start(), word.end()) for word in _WORD.finditer(text)]
        found: list[tuple[int, int]] = []
        last = -1
        for k, (start, end) in enumerate(words):
            before = text[slice(*words[k - 1])] if k else ""
            if not self._suspicious(text[start:end], before):
                continue
            first = max(k - _AROUND, 0)
            if found and first <= last + 1:
                found[-1] = (found[-1][0], words[min(k + _AROUND, len(words) - 1)][1])
            else:
                found.append((words[first][0], words[min(k + _AROUND, len(words) - 1)][1]))
            last = k + _AROUND
        return found

    def _signs_of(self) -> regex.Pattern[str]:
        """Finds nothing in most texts, which are plain words."""
        more = "".join(rf"|(?<!\p{{L}}){regex.escape(name)}" for name in self.row.get("abbreviations", ()))
        return regex.compile(SIGNS + r"|(?<!\S)\p{L}(?!\S)|(?<=\p{Lu}\p{L}*\s)[IVX]\b" + more)

    def _suspicious(self, word: str, before: str) -> bool:
        if (len(word) == 1 and word.isalpha()) or _SUSPICIOUS.search(word) is not None:
            return True
        return any(word.startswith(part) for part in self._starts)

    def expression(self, match: regex.Match[str], before: Sequence[Piece], text: str) -> Sequence[Piece]:
        kind = match.lastgroup
        assert kind is not None
        if kind == "number" and self._before_unit(match, text):
            return self.written("counted", match[0], False)
        beside_month = kind in ("number", "ordinal") and self._beside_month(match, text)
        return self.written(kind, match[0], beside_month)

    def _before_unit(self, match: regex.Match[str], text: str) -> bool:
        """Whether a name of money or a measure follows."""
        word = regex.match(r"\s*(\p{L}+)", text[match.end() : match.end() + 24])
        return word is not None and word[1].casefold() in self._counted

    def _beside_month(self, match: regex.Match[str], text: str) -> bool:
        words = regex.findall(r"\p{L}+", text[max(0, match.start() - 14) : match.start()])[-1:]
        words += regex.findall(r"\p{L}+", text[match.end() : match.end() + 20])[:2]
        counted = self.row.get("counted", ())
        return any(word.casefold() in self.months or word.casefold() in counted for word in words)

    def _written(self, kind: str, said: str, beside_month: bool) -> tuple[Piece, ...]:
        if kind == "number" and beside_month and said.isdigit() and len(said) < 3 and int(said) < 32 and self.numbers:
            return (self._say([*self.numbers.integer(said), *self.numbers.ordinal(int(said))], said),)
        if kind == "counted":
            return tuple(self._counted_number(said))
        return tuple(getattr(self, "_" + kind)(said))

    # What may be said. Each method takes what was found and gives pieces.

    def _say(self, texts: Iterable[str], written: str) -> Piece:
        """One piece that is said in any of these ways; where nobody knows how, it stays as it is written."""
        said = [self.words(text) for text in texts]
        said = [one for one in dict.fromkeys(said) if one]
        return readings(*said[:SEVERAL]) if said else readings(units(written.casefold()))

    def words(self, text: str) -> Reading:
        """Spoken text in units."""
        return tuple(self._plain(one_form(text)))

    def integer(self, string: str) -> list[str]:
        return self.numbers.integer(string) if self.numbers else []

    def value(self, string: str) -> list[str]:
        """All ways to say a written number, with its separators."""
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
        """A number of things that are counted, so neither a year nor digit by digit: `220` dollars are not `two twenty`."""
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

    def _language(self, said: str) -> list[Piece]:
        if said.endswith("++"):
            return [*self._plain(said[0]), self._symbol_piece("+"), self._symbol_piece("+")]
        return [*self._plain(said[0]), self._symbol_piece("#")]

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

    def _date(self, said: str) -> list[Piece]:
        parts = regex.findall(r"\d+", said)
        if len(parts[0]) == 4:
            year, month, day = parts
        elif self.language == "en" and "/" in said and int(parts[0]) < 13:
            month, day, year = parts
        else:
            day, month, year = parts
        if not 0 < int(month) < 13 or not 0 < int(day) < 32 or self.numbers is None or not (self.months or "date" in self.row):
            return [self._say(self.integer(part), part) for part in parts]
        if "date" in self.row:  # where the year comes first
            ways = [
                str(self.row["date"]).format(y=y, m=m, d=d)
                for y in self.integer(year) for m in self.numbers.cardinal(int(month))[:2] for d in self.numbers.cardinal(int(day))[:2]
            ]  # fmt: skip
            return [self._say(ways, said)]
        return [self.dated(int(day), measures.month_name(int(month), self.language)), self._say(self.integer(year), year)]

    def dated(self, day: int, month: str) -> Piece:
        assert self.numbers is not None
        days = [*self.numbers.ordinal(day), *self.numbers.cardinal(day)]
        return self._say([f"{one} {month}" for one in days], f"{day} {month}")

    def _time(self, said: str) -> list[Piece]:
        hour, minute, *rest = regex.findall(r"\d+", said)
        if self.numbers is None or int(minute) > 59:
            return [self._say(self.integer(part), part) for part in (hour, minute, *rest)]
        texts = list(dict.fromkeys(self.clock(int(hour), minute)))
        return [self._say(texts, said), *(self._say(self.integer(part), part) for part in rest)]

    def _dotted(self, said: str) -> list[Piece]:
        """A version, an address of a machine; in languages that group digits by full stops, a large number too."""
        if self.comma and regex.fullmatch(r"\d{1,3}(?:\.\d{3})+", said):
            return self._number(said)
        dots: list[str] = [*(self.numbers.point() if self.numbers else ()), *self.row.get("dot", ["dot"])]
        found: list[Piece] = []
        for k, part in enumerate(said.split(".")):
            if k:
                found.append(self._say(dots, "."))
            found.append(self._say([*self.integer(part), *(self.numbers.digits(part) if self.numbers else ())], part))
        return found

    def _dash(self, said: str) -> list[Piece]:
        """A range of times, or of what is no bare number: `3:30-4:30`, `5%-10%`."""
        between = [self.words(word) for word in self.row.get("range", ())]
        return [readings(*between)] if between else []

    def _ratio(self, said: str) -> list[Piece]:
        """`3:1`: no time has one digit behind its colon."""
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

    def clock(self, hour: int, minute: str) -> list[str]:
        """What is said for a time of day."""
        assert self.numbers is not None
        names = self.row.get("hour", {"at": ["{h} {m}"], "zero": ["{h}"]})
        hours, nexts = self.numbers.cardinal(hour), self.numbers.cardinal(hour % 12 + 1)
        if minute == "00":
            later = [f"{pm}{one}" for pm in names.get("pm", ()) if hour > 12 for one in self.clock(hour - 12, minute)]
            return [p.format(h=h) for p in names["zero"] for h in hours] + later
        minutes = list(self.numbers.cardinal(int(minute)))
        if minute[0] == "0":
            minutes += self.numbers.digits(minute)
        extra = {"30": names.get("half", ()), "15": names.get("quarter", ()), "45": names.get("to_quarter", ())}.get(minute, ())
        found = [p.format(h=h, m=m) for p in names["at"] for h in hours for m in minutes]
        on_dial = [*hours, *(self.numbers.cardinal(hour - 12) if hour > 12 else ())]
        found += [p.format(h=h, next=n) for p in extra for h in on_dial for n in nexts]
        if hour > 12:
            found += [f"{pm}{one}" for pm in names.get("pm", ()) for one in self.clock(hour - 12, minute)]
        if hour in (0, 12, 24):
            noon = names.get("noon" if hour == 12 else "midnight", ())
            found += [p.format(h=h, next=n) for p in extra if "{h}" in p for h in noon for n in nexts[:1]]
            found += [p.format(h=h, m=m) for p in names["at"][:1] for h in noon for m in minutes]
        if int(minute) > 30:
            left = self.numbers.cardinal(60 - int(minute))
            found += [p.format(m=m, next=n) for p in names.get("to", ()) for m in left for n in nexts]
        else:
            found += [p.format(m=m, h=h) for p in names.get("past", ()) for m in minutes for h in on_dial]
        return found

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
        if self.numbers is not None and "parts" in self.row:
            return [str(self.row["parts"]).format(top=self.numbers.cardinal(top)[0], bottom=self.numbers.cardinal(bottom)[0])]
        known: dict[int, list[str]] = self.row.get("fractions", {})
        if self.numbers is None or bottom not in known:
            return []
        return [f"{count} {name}" for count in self.numbers.cardinal(top) for name in known[bottom]] + (
            known[bottom] if top == 1 else []
        )

    def _money(self, said: str) -> list[Piece]:
        match = self._amount.search(said)
        assert match is not None
        scale = regex.search(rf"(?:{self._scales})s?\b", said[match.end() :])
        rest = said[match.end() :] if scale is None else said[match.end() :].replace(scale[0], " ", 1)
        symbol = regex.search(rf"{_MONEY}|\p{{L}}+\.?", said[: match.start()] + " " + rest)
        assert symbol is not None
        sign = (
            [self._say(self.row.get("minus") or (self.numbers.minus() if self.numbers else ()), "-")] if said[0] in "-−" else []
        )
        names = self.currency(symbol[0])
        texts = self.price(match[0], symbol[0], names, scale[0] if scale else "")
        return [*sign, self._say(texts, said)]

    def currency(self, symbol: str) -> list[str]:
        plain = {"US$": "$", "A$": "AUD", "C$": "CAD", "R$": "BRL", "HK$": "HKD", "NZ$": "NZD"}.get(symbol, symbol)
        own = list(self.row.get("money", {}).get(plain, ()))
        known = measures.currency(plain, self.language) if self.language else ()
        return list(dict.fromkeys([*own, *known[1:2], *known]))  # the plural first: most amounts are not 1

    def price(self, amount: str, symbol: str, names: Sequence[str], scale: str) -> list[str]:
        """A price: whole, as a decimal fraction, or as so many and so many cents."""
        if self.numbers is None or not names:
            return []
        whole, part = self.parts(amount)
        gap = f" {scale} " if scale else " "
        values = self.quantity(amount)
        if scale and whole == "1" and "one" in self.row:
            values = [*values, str(self.row["one"])]
        found = [f"{value}{gap}{name}" for value in values for name in names]
        found += [f"{value}{gap}{of}{name}" for of in self.row.get("of", ()) if scale for value in values for name in names]
        if whole == "1" and part is None and not scale:
            found += [f"{self.row['one']} {name}" for name in names if "one" in self.row]
        if part is not None and len(part) == 2 and not scale:
            head, rest = self.quantity(whole or "0")[:3], list(self.numbers.cardinal(int(part)))
            if part[0] == "0":
                rest += list(self.numbers.digits(part))
            cents = self.row.get("cents", {}).get(symbol, [])
            join = [*self.symbols.get("&", [])[:1], ""]
            if part == "00":
                return [f"{value} {name}" for value in head for name in names]
            for name in names:
                found += [f"{value} {name} {one}" for value in head for one in rest]
                found += [f"{value} {name} {j} {one} {cent}" for value in head for one in rest for j in join for cent in cents]
                found += [f"{value} {name} {j} {one}" for value in head for one in rest for j in self.row.get("with", ())]
                found += [
                    f"{value} {name} {j} {one} {cent}"
                    for value in head for one in rest for j in self.row.get("with", ()) for cent in cents
                ]  # fmt: skip
            if whole.strip("0") == "":
                found += [f"{one} {cent}" for one in rest for cent in cents]
        return found

    def _measure(self, said: str) -> list[Piece]:
        match = self._amount.search(said)
        assert match is not None
        symbol = said[match.end() :].strip()
        symbol = self.row.get("aliases", {}).get(symbol, symbol)
        own = self.row.get("units", {}).get(symbol, self.row.get("units", {}).get(symbol.casefold(), []))
        own = [*own, *self.symbols.get(symbol, [])] if symbol in "°%" else own
        if symbol.isalpha():
            own = [*own, symbol]  # some say it as it is written: `four g`
        around = [("", name) for name in own]
        around = [*(measures.unit(symbol, self.language) if self.language else ()), *around]
        sign = said[: match.start()].strip()
        value = self.quantity(match[0])
        if not around and "/" in symbol:
            return [*self._sign(sign), self._say(value, match[0]), self._say(self._each(symbol), symbol)]
        if not around:
            name = self.symbols.get(symbol)
            after = self._say(name, symbol) if name else self._say((), symbol)
            return [*self._sign(sign), self._say(value, match[0]), after]
        if not any(before for before, _ in around):
            afters = [after for _, after in around]
            if match[0] != "1":
                afters = [*afters[1:2], *afters]
            return [*self._sign(sign), self._say(value, match[0]), self._say(afters, symbol)]
        return [*self._sign(sign), self._say([f"{b} {one} {a}" for one in value for b, a in around], said)]

    def _each(self, symbol: str) -> list[str]:
        """`mg/dl` of two units that CLDR knows alone: milligrams per deciliter."""
        much, each = ([name for _, name in measures.unit(one, self.language)] for one in symbol.split("/", 1))
        return [f"{one} {per} {two}" for one in (*much[1:2], *much) for per in self.row.get("per", ()) for two in each[:1]]

    def _moneyrange(self, said: str) -> list[Piece]:
        """`$5-10`, `$5-$10`: the name of the money may be said once or twice."""
        first, second = (match[0] for match in self._amount.finditer(said))
        symbol = regex.search(_MONEY, said)
        assert symbol is not None
        names = [self.words(name) for name in self.currency(symbol[0])]
        between = [self.words(word) for word in self.row.get("range", ())] or [()]
        once = readings((), *names)
        return [
            self._say(self.quantity(first), first),
            once,
            readings(*between),
            self._say(self.quantity(second), second),
            readings(*names or [(symbol[0],)]),
        ]

    def _romanth(self, said: str) -> list[Piece]:
        """A Roman numeral with the ending of an ordinal: `XIXe`, `II.`."""
        numeral = regex.match(CLASS, said)
        number = value(numeral[0]) if numeral else None
        if number is None or self.numbers is None:
            return [readings((lower(said, self.language),))]
        return [self._say(self.numbers.ordinal(number), said.casefold())]

    def _roman(self, said: str) -> list[Piece]:
        number = value(said)
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
        """Letters said one by one or as a word."""
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
