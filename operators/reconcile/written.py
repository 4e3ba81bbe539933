"""Finds text that is written differently from how it is spoken: numbers, times, money, units, symbols, initials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import regex

from voxmill.operators.reconcile import unit_names as measures
from voxmill.operators.reconcile.amounts import MONEY, Amounts
from voxmill.operators.reconcile.figures import Plain
from voxmill.operators.reconcile.letters import ROMAN, Letters
from voxmill.operators.reconcile.readings import Piece

_ENDINGS = "com|org|net|edu|gov|io|info|js|py|exe|pdf|zip"
_WORD = regex.compile(r"\S+")
SIGNS = r"[\d&+=@#%°×÷±§€£¥₹₩₽₺₪฿$<>№/]|\p{L}[-‐‑]\p{L}|\p{Lu}\p{Lu}|\p{L}\.\p{L}|(?<!\p{L})\p{L}\.|zł\b|\bI(?:er|re)\b"
_SUSPICIOUS = regex.compile(SIGNS)
_AROUND = 3


class Writing(Amounts, Letters):
    """Scans text of one language into pieces, each with its possible spoken forms.

    One scanner serves all languages; differences come from `spoken.yaml`, from CLDR, and for English from `english.py`. The forms of
    an expression come from the method with the name of its kind, in `figures.py`, `amounts.py` or `letters.py`.
    """

    def __init__(self, language: str | None, plain: Plain) -> None:
        super().__init__(language, plain)
        self._units = {*measures.UNITS, *self.row.get("units", {}), *self.row.get("aliases", {})}
        self._counted = self._names()
        self._starts = tuple({name.split()[0] for name in self.row.get("abbreviations", ())})
        self._scan = self._scanner()
        self._signs = self._signs_of()
        self.written = lru_cache(1 << 14)(self._written)

    def _scanner(self) -> regex.Pattern[str]:
        number = self._figure
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
        scaled = rf"(?:\s*(?:{self._scales})s?\b)?"
        kinds = {
            "web": r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
            rf"|(?<![\w.])(?:[\w-]+\.)*[\w-]*\.(?i:{_ENDINGS})(?![\w])",
            **({"abbreviation": rf"(?<![\p{{L}}.])(?:{abbreviated})(?!\p{{L}})"} if abbreviated else {}),
            "moneyrange": rf"(?:{MONEY})\s?(?:{number})\s?[-–—]\s?(?:{MONEY})?\s?(?:{number})(?![\d-])",
            "date": r"(?<![\d/.-])(?:\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}/\d{1,2}/\d{4}|\d{1,2}\.\d{1,2}\.\d{4})(?![\d/-])",
            "dotted": r"(?<![\d.,])\d{1,3}(?:\.\d{1,3}){2,}(?!\d|[.,]\d)",
            "dash": r"(?<=\d[:h]\d{2}|[%‰°]|\d\s?[ap]\.?m\.?)\s?[-–—]\s?(?=[$€£]?\d)",
            "ratio": r"(?<![\d:.,])(?:\d{1,4}:\d|\d:\d{3,4})(?![\d:]|[.,]\d)",
            "time": r"(?<![\d:.,])\d{1,2}[:h]\d{2}(?::\d{2})?(?![\d:])(?:\s*(?:Uhr|uhr|uur)\b)?"
            r"|(?<![\d:.,])\d{1,2}\.\d{2}\s*(?:[Uu]hr|uur)\b|(?<=\b(?:kl\.?|klockan|klokken|klo)\s)\d{1,2}\.\d{2}(?![\d.,])"
            r"|(?<!\d)\d{1,2}\s?[時시]\s?\d{2}\s?[分분]",
            "money": rf"[-−]?(?:(?:{MONEY}|(?<!\p{{L}})(?:{codes}))\s?{number}|{number}\s?(?:(?:{MONEY})|(?:{money})(?!\p{{L}}))){scaled}"
            rf"|[-−]?{number}\s(?:{self._scales})s?\s(?:{MONEY}|(?:{codes})(?!\p{{L}}))",
            **({"halfscale": rf"(?<![\d.,])\d{{1,3}}[.,]5\s(?:{self._scales})s?\b"} if "scale_half" in self.row else {}),
            "fraction": r"(?<![\d/.,])(?:\d+\s+)?\d+\s?[/⁄]\s?\d+(?![\d/]|[.,]\d)",
            **({"ordinal": rf"(?<![\d.,])\d+(?:'?(?:{ordinal}))(?!\p{{L}})"} if ordinal else {}),
            "groups": r"(?<![\d.,\p{L}-])(?:\+|\(\d+\)\s?)?\d+(?:\s?[-–—]\s?\d+)+(?![\d]|[.,]\d)",
            "measure": rf"(?:(?<![\w)\]])[-−+±])?{number}\s?(?i:{symbols})(?:/(?i:{symbols})(?![\p{{L}}\d])|(?![\p{{L}}\d]|\.\s?\p{{L}}\.|\.\p{{L}}(?!\p{{L}})))",
            "number": rf"(?:(?<![\w)\]])[-−+±])?(?:{number}|(?<![\d\w])\.\d+)",
            **({"romanth": rf"(?<!\p{{L}}){ROMAN}(?:{ended})"} if ended else {}),
            "power": r"\^-?\d+",
            "roman": rf"(?<=\p{{Lu}}[\p{{L}}']*\s{after}){ROMAN}(?!\p{{L}}|')",
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
        """Names of units and currencies, in lower case."""
        if not self.language:
            return frozenset()
        units_ = [
            after for symbol in measures.UNITS for _, after in measures.unit(symbol, self.language) if symbol not in ("m", "in")
        ]
        money = [name for symbol in ("$", "€", "£", "¥") for name in self.currency(symbol)]
        cents = [name for names in self.row.get("cents", {}).values() for name in names]
        return frozenset(name.casefold() for name in (*units_, *money, *cents) if len(name) > 2 and " " not in name)

    def _more(self, kinds: dict[str, str]) -> dict[str, str]:
        """Hook: a language may add its own kinds of expressions."""
        return kinds

    def pieces(self, text: str) -> list[Piece]:
        """The text as pieces: its words, and readings for what is not written as spoken."""
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
        """Character ranges for the slow scanner: words with a sign, figure or capital, and a few words around them."""
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
        """A quick pattern that matches nothing in most texts."""
        more = "".join(rf"|(?<!\p{{L}}){regex.escape(name)}" for name in self.row.get("abbreviations", ()))
        return regex.compile(SIGNS + r"|(?<!\S)\p{L}(?!\S)|(?<=\p{Lu}\p{L}*\s)[IVX]\b" + more)

    def _suspicious(self, word: str, before: str) -> bool:
        if (len(word) == 1 and word.isalpha()) or _SUSPICIOUS.search(word) is not None:
            return True
        return any(word.startswith(part) for part in self._starts)

    def expression(self, match: regex.Match[str], before: Sequence[Piece], text: str) -> Sequence[Piece]:
        """Pieces for one match of the scanner; `before` are the pieces before it."""
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
