"""Spoken forms of English that other languages lack: years, halves, `oh`, dates, titles, contractions."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice, product

import regex

from voxmill.operators.reconcile import unit_names as measures
from voxmill.operators.reconcile.figures import SEVERAL
from voxmill.operators.reconcile.readings import Piece, Reading, readings
from voxmill.operators.reconcile.tokenize import units
from voxmill.operators.reconcile.written import SIGNS, Writing

SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
ABBREVIATIONS = {
    "dr": "doctor|drive", "st": "saint|street", "mr": "mister", "mrs": "missus|missis", "ms": "miss|miz|ms", "prof": "professor",
    "vs": "versus", "v": "versus|v", "etc": "et cetera", "no": "number", "nos": "numbers", "inc": "incorporated|inc", "ltd": "limited|ltd",
    "co": "company|co", "corp": "corporation|corp", "ave": "avenue", "blvd": "boulevard", "rd": "road", "mt": "mount", "ft": "fort|feet|foot",
    "dept": "department", "govt": "government", "approx": "approximately", "gen": "general", "sgt": "sergeant", "lt": "lieutenant",
    "col": "colonel", "capt": "captain", "gov": "governor", "sen": "senator", "rep": "representative", "rev": "reverend", "hon": "honorable",
    "jr": "junior", "sr": "senior", "fig": "figure", "p": "page", "vol": "volume", "ch": "chapter", "pp": "pages", "ed": "edition|editor", "est": "established|estimated",
    "max": "maximum|max", "min": "minimum|min", "tel": "telephone", "ext": "extension", "apt": "apartment", "cf": "compare|c f", "al": "al",
    "ver": "version", "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thurs": "thursday", "fri": "friday",
    "sat": "saturday", "sun": "sunday", "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june", "jul": "july",
    "aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november", "dec": "december", "cmdr": "commander",
    "pres": "president", "asst": "assistant", "assoc": "associate|association", "bros": "brothers", "univ": "university", "hwy": "highway",
}  # fmt: skip
"""Abbreviations without their full stop, to spoken forms separated by `|`."""
_LATIN = {
    "e.g.": "for example|e g|for instance",
    "i.e.": "that is|i e",
    "a.k.a.": "a k a|also known as",
    "p.s.": "p s",
    "n.b.": "n b",
}
_BARE = {
    "vs": "versus", "mr": "mister", "mrs": "missus|missis", "dr": "doctor|drive", "st": "saint|street", "prof": "professor", "etc": "et cetera",
    "ok": "okay|o k", "tv": "t v", "jr": "junior", "sr": "senior", "no": "", "ft": "", "in": "",
}  # fmt: skip
"""Abbreviations also written without a full stop."""
SAME = {
    "cannot": ("can", "not"), "percent": ("percent",), "naught": ("zero",), "nought": ("zero",), "etcetera": ("et", "cetera"),
    "alright": ("all", "right"), "okay": ("ok",), "ok": ("ok",), "oclock": ("o", "clock"), "till": ("until",), "til": ("until",),
    "grey": ("gray",), "whilst": ("while",), "amongst": ("among",), "gramme": ("gram",), "grammes": ("grams",), "celcius": ("celsius",),
    "tonne": ("ton",), "tonnes": ("tons",), "missis": ("missus",), "hallo": ("hello",), "mum": ("mom",), "mums": ("moms",),
}  # fmt: skip
"""Spelling variants that whisper_normalizer does not know."""
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_SMALL = f"{_ONES}|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|{_TENS}"
_STEMS = (
    "four fif six seven eigh nin ten eleven twelf thirteen fourteen fifteen sixteen seventeen eighteen nineteen twentie thirtie fortie fiftie "
    "sixtie seventie eightie ninetie"
)
_NUMERALS = frozenset(f"zero|oh|o|hundred|thousand|million|billion|trillion|{_SMALL}".split("|"))
_ORDINALS = frozenset(f"first|second|third|{'|'.join(f'{stem}th' for stem in _STEMS.split())}|hundredth|thousandth".split("|"))
_MULTIPLES = frozenset(("hundred", "thousand", "million", "billion", "trillion"))
_HYPHENS = regex.compile(
    rf"(?i)(?<=\b(?:{_SMALL}|hundred|thousand|million|and))[-‐‑](?=(?:{_SMALL}|{'|'.join(sorted(_ORDINALS))}|hundred|thousand|million|and|half|quarter)s?\b)"
)
_MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
_MONTHS = rf"(?:{_MONTH}|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_DAY = r"(?:\d{1,2})(?:st|nd|rd|th)?(?![\d:.,]*\d)(?!\s*[:%°$])"
_FIRSTS = frozenset(
    regex.findall(
        r"\w+",
        "War Part Act Scene Chapter Book Volume Type Class Phase Title Article Elizabeth Charles George James William Napoleon Francis Nicholas "
        "Alexander Peter Richard Edward Philip Leopold Frederick Wilhelm Otto Louis Pius Paul Mary Catherine Ramses Henry John Level Stage Mark",
    )
)
"""Words that a Roman numeral of one letter may follow; elsewhere `I` is the pronoun."""
_DECADE = regex.compile(r"(?:ies|y)$")


class English(Writing):
    """The scanner for English, with its own kinds of expressions."""

    def _more(self, kinds: dict[str, str]) -> dict[str, str]:
        dotted = "|".join(sorted(ABBREVIATIONS, key=len, reverse=True))
        bare = "|".join(word for word, said in _BARE.items() if said)
        return {
            "day": rf"(?i:\b(?:{_MONTHS})\s+{_DAY}(?=[\s,.;:!?)]|$)|(?<![\d.,$€£-])\b{_DAY}\s+(?:of\s+)?(?:{_MONTHS})(?!\p{{L}}))",
            "title": rf"(?i:\b(?:{dotted})\.(?=\s|,|$)|\bp\.(?=\s?\d)|\b(?:e\.g\.|i\.e\.|a\.k\.a\.|n\.b\.|p\.s\.)|\b(?:{bare})\b(?!['’]))",
            "degree": r"(?<![\p{L}.])(?=\p{Lu}?\p{Lu}\p{Ll}\.|\p{Lu}\.\s?\p{Lu}\p{Ll}\.)(?:\p{Lu}\p{Ll}?\.\s?)+(?:\p{Lu}\p{Ll}?\b)?(?!\p{L})",
            "meridiem": r"(?i:(?<=\d\s?)[ap]\.?\s?m\b\.?)",
            "decade": r"(?<![\d.,$€£])'?\d{1,4}0'?s\b",
            "height": r"\b\d{1,2}'\s?\d{1,2}(?:\"|'')?(?!\d)",
            "short": r"(?<![\w.])[$€£]?\d+(?:\.\d+)?\s?(?:k|K|m|M|mn|bn|b|B|tn)\b(?!\s?[\^/])",
            "scaled": r"(?<![\w.$€£])\d[\d,]*(?:\.\d+)?\s+(?:hundred|thousand|million|billion|trillion)\b(?!\s(?:[A-Z]{3}\b|[$€£]))",
            "numbersign": r"(?i:(?:#|№|\bno\.?)\s?(?=\d))",
            "spaced": r"(?<![\d.,:/-])(?<!\d )\d{1,3}(?: (?!000)\d{3})+(?!\s?\d|[.,:/-]\d)",
            "version": r"(?<![\w.])[vV]\.?(?=\d)",
            "between": r"(?<!\w)[A-GMPTV]2[A-GMPSVX](?!\w)",
            "fold": r"(?<=\d)[x×](?!\w|\s?\d)",
            "times": r"(?<=\d)\s?[x×]\s?(?=\d)",
            "feet": r"(?<!['\"]\S*\s?.*)(?<![\w.])\d{1,3}(?:'|\")(?![\w'\"])",
            "fractionth": r"(?<![\d/.,])\d+/\d+(?:th|rd|nd|st)s?\b",
            "andn": r"(?<=\w\s)'?n'(?=\s\w)",
            **kinds,
        }

    def pieces(self, text: str) -> list[Piece]:
        """See `Writing.pieces`."""
        return one_spoken_form(super().pieces(_HYPHENS.sub(" ", text)))

    def expression(self, match: regex.Match[str], before: Sequence[Piece], text: str) -> Sequence[Piece]:
        """See `Writing.expression`."""
        if match.lastgroup == "roman":
            word = text[: match.start()].split()[-1]
            numbered = match[0] != "I" and word.casefold() in self.row["roman_after"]
            certain = len(match[0]) > 1 or word in _FIRSTS or numbered
            return self._roman(match[0]) if certain else self._plain(match[0])
        if match.lastgroup == "capitals" and _shouted(text):
            return self._plain(match[0])
        return super().expression(match, before, text)

    def _signs_of(self) -> regex.Pattern[str]:
        bare = "|".join(word for word, said in _BARE.items() if said)
        single = r"(?<!\S)[^\W\daiAI](?!\S)|(?<!\S)[aiAI]\s[aiAI](?!\S)"
        return regex.compile(
            rf"{SIGNS}|{single}|(?<!\S)'?n'(?!\S)|(?i:\b(?:{bare})\b)|(?i:\b(?:{'|'.join(ABBREVIATIONS)})\.)|\b(?:{'|'.join(_FIRSTS)})\s[IVX]\b"
        )

    def _suspicious(self, word: str, before: str) -> bool:
        if word in ("a", "A", "I", "i"):
            return before in _FIRSTS or (len(before) == 1 and before.isalpha())
        if super()._suspicious(word, before) or word in ("'n'", "n'"):
            return True
        bare = word.casefold().strip('.,;:!?"()')
        return bare in _BARE or (bare in ABBREVIATIONS and "." in word)

    def words(self, text: str) -> Reading:
        """See `SpokenFigures.words`; contractions and spelling variants in one form."""
        return canonical(super().words(text))

    def integer(self, string: str) -> list[str]:
        """See `SpokenFigures.integer`; also `nineteen hundred`, `two and a half million`."""
        found = super().integer(string)
        if len(string) > 15 or (len(string) > 1 and string[0] == "0"):
            return found
        number = int(string)
        if 1000 <= number < 10_000 and number % 100 == 0 and number % 1000:
            found.append(f"{self.integer(str(number // 100))[0]} hundred")
        for name, scale in SCALES.items():
            if number >= scale // 4 and number % (scale // 4) == 0 and number % scale:
                count, rest = divmod(number, scale)
                found += _quarters(self.integer(str(count))[0] if count else "", rest * 4 // scale, name)
            if number >= scale and number % scale and number * 100 % scale == 0:
                whole, _, part = str(number / scale).partition(".")
                found += [f"{one} {name}" for one in self.value(f"{whole}.{part}")[:2]]
        return found

    def quantity(self, string: str) -> list[str]:
        """See `SpokenFigures.quantity`; years and digit strings are left out."""
        whole, part = self.parts(string)
        if self.numbers is None or part is not None or len(whole) > 15 or (len(whole) > 1 and whole[0] == "0"):
            return self.value(string)
        unsaid = {*self.numbers.pairs(whole), *self.numbers.digits(whole)} if len(whole) > 2 else set()
        return [one for one in self.integer(whole) if one not in unsaid and "-" + one not in unsaid]

    def value(self, string: str) -> list[str]:
        """See `SpokenFigures.value`; also `two and a half`, `point five`."""
        found = super().value(string)
        whole, part = self.parts(string)
        if found and part is not None and part.rstrip("0") in ("5", "25", "75") and int(whole or 0):
            found += _quarters(self.integer(whole)[0], {"5": 2, "25": 1, "75": 3}[part.rstrip("0")], "")
        if found and part is not None and part.rstrip("0") == "5" and not int(whole or 0):
            found += ["half", "half a", "half an", "a half", "one half"]
        if found and part is not None and whole in ("", "0") and self.numbers:
            found += [f"point {one}" for one in self.numbers.digits(part)]
        return found

    def fraction(self, top: int, bottom: int) -> list[str]:
        """See `SpokenFigures.fraction`; also `half`, `over`, `out of`."""
        if self.numbers is None or not bottom:
            return []
        count, over = self.numbers.cardinal(top)[0], self.numbers.cardinal(bottom)[0]
        names = {2: ["half"], 4: ["quarter", "fourth"]}.get(bottom, list(self.numbers.ordinal(bottom)) if bottom > 2 else [])
        if top == 1:
            found = [f"{one} {name}" for name in names for one in ("one", "a")]
            found += [name for name in names if name.startswith("one ")]  # one hundredth
            found += {2: ["half", "half a", "half an"], 4: ["quarter"]}.get(bottom, [])
        else:
            found = [f"{count} {'halves' if name == 'half' else name + 's'}" for name in names]
        if top >= bottom:  # 24/7, 50/50
            found.append(f"{count} {over}")
        if top < bottom and top < 13 and 6 < bottom < 32:  # 9/11
            found += [f"{count} {over}", f"{measures.month_name(top, 'en')} {self.numbers.ordinal(bottom)[0]}"]
        found += [f"{one} of {a}" for one in tuple(found) if bottom > 1 for a in ("a", "an", "the")] if top < bottom else []
        return [*found, f"{count} over {over}", f"{count} out of {over}", f"{count} slash {over}", f"{count} of {over}"]

    def _fraction(self, said: str) -> list[Piece]:
        *whole, top, bottom = map(int, regex.findall(r"\d+", said))
        if whole and top < bottom and bottom < 1000:
            head = self.integer(str(whole[0]))[0]
            return [self._say([f"{head} and {one}" for one in self.fraction(top, bottom)], said)]
        return super()._fraction(said)

    def clock(self, hour: int, minute: str) -> list[str]:
        """See `Amounts.clock`; also `half past`, `quarter to`."""
        assert self.numbers is not None
        name, after = self.numbers.cardinal(hour)[0], self.numbers.cardinal(hour % 12 + 1)[0]
        m = int(minute)
        said = self.numbers.cardinal(m)[0]
        if m == 0:
            named = {0: ["midnight"], 12: ["noon", "midnight"], 24: ["midnight"]}.get(hour, [])
            return [name, f"{name} o clock", f"{name} hundred", f"{name} hundred hours", f"{name} zero zero", *named]
        found = [f"{name} zero {said}", f"{name} {said}"] if m < 10 else [f"{name} {said}"]
        found += [f"{said} {p} {name}" for p in ("past", "minutes past", "minute past", "after", "minutes after")]
        if m == 30:
            found += [f"half past {name}", f"half {name}"]
        elif m == 15:
            found += [f"{a}quarter {p} {name}" for a in ("", "a ") for p in ("past", "after")]
        elif m == 45:
            found += [f"{a}quarter {p} {after}" for a in ("", "a ") for p in ("to", "till", "of")]
        if m > 30:
            left = self.numbers.cardinal(60 - m)[0]
            found += [f"{left} {p} {after}" for p in ("to", "minutes to", "till")]
        return found

    def _day(self, said: str) -> list[Piece]:
        """As scanned: `June 3rd`, `3 June`."""
        number, name = regex.search(r"\d+", said), regex.search(rf"(?i){_MONTHS}", said)
        assert number is not None
        assert name is not None
        if not 0 < int(number[0]) < 32:
            return [*self._plain(said[: number.start()]), *self._number(number[0]), *self._plain(said[number.end() :])]
        return [self.dated(int(number[0]), name[0])]

    def dated(self, day: int, month: str) -> Piece:
        """See `Amounts.dated`."""
        assert self.numbers is not None
        name = measures.month_name(self.months[month.casefold().rstrip(".")[:3]], "en")
        nth, count = self.numbers.ordinal(day)[0], self.numbers.cardinal(day)[0]
        ways = (
            f"{name} {nth}",
            f"{name} {count}",
            f"the {nth} of {name}",
            f"{nth} of {name}",
            f"{name} the {nth}",
            f"{nth} {name}",
            f"{count} {name}",
        )
        return self._say(ways, f"{month} {day}")

    def _title(self, said: str) -> list[Piece]:
        known = _LATIN.get(said.casefold()) or (ABBREVIATIONS if said.endswith(".") else _BARE)[said.casefold().rstrip(".")]
        plain = self.words(regex.sub(r"\.", "", said))
        return [readings(*(self.words(one) for one in known.split("|")), plain)]

    def _meridiem(self, said: str) -> list[Piece]:
        return [readings((said[0].casefold() + "m",), (said[0].casefold(), "m"))]

    def _numbersign(self, said: str) -> list[Piece]:
        if said.strip() == "#":
            return [self._symbol_piece("#")]
        return [readings(("number",), ("no",))]

    def _times(self, said: str) -> list[Piece]:
        return [self._say(("by", "times", "x"), said)]

    def _degree(self, said: str) -> list[Piece]:
        """`Ph.D.`: with its stops a letter or two each, without them one word."""
        parts = regex.findall(r"\p{L}+", said.casefold())
        return [readings(("".join(parts),), tuple(parts), tuple("".join(parts)))]

    def _spaced(self, said: str) -> list[Piece]:
        """`12 500`: numbers one after the other, or one number."""
        parts = [self.integer(part) for part in said.split()]
        apart = [" ".join(one) for one in islice(product(*parts), SEVERAL // 2)]
        return [self._say([*apart, *self.value(said)], said)]

    def _version(self, said: str) -> list[Piece]:
        return [readings(("v",), ("version",))]

    def _between(self, said: str) -> list[Piece]:
        """`B2B`: `to`, or the figure."""
        first, second = said[0].casefold(), said[-1].casefold()
        return [first, readings(("two",), ("to",)), second]

    def _fold(self, said: str) -> list[Piece]:
        return [readings(("x",), ("times",))]

    def _feet(self, said: str) -> list[Piece]:
        """`5'`, `5"`: feet and inches, or minutes and seconds."""
        names = ("feet", "foot", "minutes", "minute") if said.endswith("'") else ("inches", "inch", "seconds", "second")
        return [self._say(self.quantity(said[:-1]), said[:-1]), self._say(names, said[-1])]

    def _fractionth(self, said: str) -> list[Piece]:
        return self._fraction(regex.sub(r"\p{L}", "", said))

    def _andn(self, said: str) -> list[Piece]:
        return [readings(("and",), ("n",))]

    def _decade(self, said: str) -> list[Piece]:
        digits = regex.sub(r"\D", "", said)
        found = []
        for one in self.integer(digits):
            head, _, last = one.replace("-", " ").rpartition(" ")
            found.append(
                f"{head} {_DECADE.sub('ies', last) if last.endswith('y') else last + ('es' if last.endswith('x') else 's')}"
            )
        return [self._say(found, said)]

    def _height(self, said: str) -> list[Piece]:
        feet, inches = (self.integer(one)[0] for one in regex.findall(r"\d+", said))
        return [
            self._say(
                [f"{feet} {f} {inches}{i}" for f in ("foot", "feet") for i in ("", " inches", " inch")] + [f"{feet} {inches}"],
                said,
            )
        ]

    def _short(self, said: str) -> list[Piece]:
        """`5k`, `$2.5m`: thousands and millions, or what else the letter stands for."""
        match = regex.match(r"([$€£]?)([\d.]+)\s?(\p{L}+)", said)
        assert match is not None
        scale = _SHORT[match[3].casefold()]
        if match[1]:
            names = self.currency(match[1])
            return [self._say([f"{one} {scale} {name}" for one in self.value(match[2]) for name in names], said)]
        own = self.row.get("units", {}).get(match[3].casefold(), [])
        around = [after for _, after in measures.unit(match[3], "en")] if match[3] == match[3].casefold() else []
        return [self._say(self.value(match[2]), match[2]), self._say([scale, match[3], *own, *around], match[3])]

    def _scaled(self, said: str) -> list[Piece]:
        amount, scale = said.split()
        found = [f"{one} {scale}" for one in self.value(amount)]
        whole, part = self.parts(amount)
        if not found or len(whole) + len(part or "") > 15:
            return [self._say(found, said)]
        exact = int(whole + (part or "")) * {**SCALES, "hundred": 100}[scale]
        if exact % 10 ** len(part or "") == 0:
            found += self.integer(str(exact // 10 ** len(part or "")))
        if part is not None and part.rstrip("0") in ("5", "25", "75"):
            found += _quarters(
                self.integer(whole)[0] if int(whole) else "", {"5": 2, "25": 1, "75": 3}[part.rstrip("0")], scale
            )
        return [self._say(found, said)]

    def price(self, amount: str, symbol: str, names: Sequence[str], scale: str) -> list[str]:
        """See `Amounts.price`; also `two and a half million dollars`."""
        found = super().price(amount, symbol, names, scale)
        if scale:
            _, part = self.parts(amount)
            if part is not None or scale in SCALES:
                found += [
                    f"{one} {name}"
                    for piece in self._scaled(f"{amount} {scale.rstrip('s')}")
                    for one in _spelt(piece)
                    for name in names
                ]
        return found

    def _capitals(self, said: str) -> list[Piece]:
        if said == "US":  # its small letters are another word
            return [readings(("u", "s"))]
        plain = self._plain(said)
        return [readings(tuple(plain), tuple(said.casefold()))]

    def letters(self, letters: Sequence[str]) -> Piece:
        """See `Letters.letters`; `US` is always spelt out."""
        if tuple(letters) == ("u", "s"):
            return readings(("u", "s"))
        return super().letters(letters)


def _spelt(piece: Piece) -> list[str]:
    return [piece] if isinstance(piece, str) else [" ".join(one) for one in piece]


def _quarters(whole: str, quarters: int, scale: str) -> list[str]:
    """`two and a half million`, `half a million`, `three quarters of a million`."""
    name = f" {scale}" if scale else ""
    if whole:
        ways = {1: ["a quarter", "one quarter"], 2: ["a half", "one half"], 3: ["three quarters"]}[quarters]
        return [f"{whole} and {way}{name}" for way in ways]
    if not scale:
        return []
    return {
        1: [f"a quarter of a {scale}", f"a quarter {scale}", f"quarter of a {scale}"],
        2: [f"half a {scale}", f"a half {scale}", f"one half {scale}"],
        3: [f"three quarters of a {scale}"],
    }[quarters]


def _shouted(text: str) -> bool:
    """Whether a text has no lower-case letters, so that capitals carry no meaning."""
    return not any(map(str.islower, text))


def canonical(words: Sequence[str]) -> Reading:
    """Words in one form; see `one_spoken_form`."""
    return tuple(word for word in one_spoken_form(words) if isinstance(word, str))


def one_spoken_form(pieces: Sequence[Piece]) -> list[Piece]:
    """Spoken numbers in one form: no `and` inside, `a hundred` as `one hundred`, `oh` as `zero`, `double five` as `five five`."""
    found: list[Piece] = []
    skip = False
    for k, word in enumerate(pieces):
        if skip:
            skip = False
            continue
        if not isinstance(word, str):
            found.append(word)
            continue
        before = pieces[k - 1] if k else None
        after = pieces[k + 1] if k + 1 < len(pieces) else None
        if word == "and" and before in _MULTIPLES and (after in _NUMERALS or after in _ORDINALS):
            continue
        if word in ("a", "an") and after in _MULTIPLES and before not in ("half", "of", "quarter"):
            found.append("one")
        elif word in ("oh", "o") and (
            ((before in _NUMERALS or before == "point") and after != "clock") or (after in _NUMERALS and word == "oh")
        ):
            found.append("zero")
        elif word in ("double", "triple") and isinstance(after, str) and (after in _NUMERALS and after not in _MULTIPLES):
            digit = "zero" if after in ("oh", "o") else after
            found += [digit] * (2 if word == "double" else 3)
            skip = True
        elif word == "per" and after == "cent":
            found.append("percent")
            skip = True
        else:
            found.extend(SAME.get(word, (word,)))
    return found


class Words:
    """Cuts English text into compared words: contractions, spelling, accents, by whisper_normalizer without its numbers."""

    def __init__(self) -> None:
        from whisper_normalizer.english import EnglishTextNormalizer

        self._library = EnglishTextNormalizer()
        self._library.standardize_numbers = str  # numbers are read, not merged: `two one` is no 21
        for title in (
            "mr",
            "mrs",
            "st",
            "dr",
            "prof",
            "capt",
            "gov",
            "ald",
            "gen",
            "sen",
            "rep",
            "pres",
            "rev",
            "hon",
            "asst",
            "assoc",
            "lt",
            "col",
            "jr",
            "sr",
            "esq",
        ):
            self._library.replacers.pop(rf"\b{title}\b", None)
        self._remembered = lru_cache(1 << 14)(self._words)

    def __call__(self, text: str) -> tuple[str, ...]:
        return self._remembered(text) if len(text) < 24 else self._words(text)

    def _words(self, text: str) -> tuple[str, ...]:
        said = unicodedata.normalize("NFKC", self._library(text))
        return tuple(units(regex.sub(r"[^\p{L}\p{M}\p{N}]+", " ", said)))
