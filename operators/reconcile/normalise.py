"""Text normalised for comparison only: what two engines write differently and say alike comes out equal. The raw text stays.

| language | what is made equal | by |
|---|---|---|
| all | width and compatibility forms (NFKC), case, punctuation, white space, text in brackets, fillers | unicodedata, regex |
| zh, yue, … | Traditional to Simplified, erhua, numbers, dates, units and money to spoken Chinese (`25` to `二十五`) | wetext |
| en | numbers and money to figures (`twenty five` to `25`), contractions, titles, British spelling | whisper_normalizer |

Limits. A number means one reading: `2008` without 年 is a quantity, so `二零零八` differs from it; `一百二` differs from `120`.
Numbers are left alone in other languages, and so are English number words inside Chinese. `a hundred` and `100` differ by the article.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import regex

from voxmill.manifests.settings import Settings
from voxmill.operators.reconcile.units import CHINESE, join, units

REVISION = 1
"""Raised by hand when the rules below change: figures of different revisions are not comparable."""

_BRACKETS = regex.compile(r"[<\[【〔][^<>\[\]【】〔〕]*[>\]】〕]|\([^()]*\)")
_PUNCTUATION = regex.compile(r"[\p{P}\p{S}\p{C}\p{Z}]+")
_APOSTROPHE = regex.compile(r"(?<=\p{L})'(?=\p{L})")
_APOSTROPHES = str.maketrans("’‘ʼ＇`´", "''''''")
_LETTER_HYPHEN_DIGIT = regex.compile(r"(?<=[a-z])-(?=\d)")
_SPELLED = regex.compile(r"\b[a-z](?: [a-z]\b)+")
_INITIALS = regex.compile(r"\b(?:\p{L}\.){2,}")
_CLOCK = regex.compile(r"(?<=\d):(?=\d\d)")
_MINUS = regex.compile(r"(?<!\S)-(?=\d)")
_NO_WORD = regex.compile(r"(?<!\S)[^\p{L}\p{N}\s]+(?!\S)")
_SPOKEN_OTHERWISE = regex.compile(r".{0,4}[\d儿](?:.{0,8}[\d儿])*.{0,4}")
"""A digit or an erhua, with enough around it to be read: the transducers are slow, so they see no more of the text."""
_SAME_NUMERAL = str.maketrans("两〇幺", "二零一")


def _installed(name: str) -> str:
    try:
        return f"{name}-{version(name)}"
    except PackageNotFoundError:
        return f"{name}-absent"


NORMALISER = "+".join(
    (str(REVISION), *map(_installed, ("wetext", "whisper_normalizer", "regex")), f"unicode-{unicodedata.unidata_version}")
)
"""Names the rules and the libraries behind them; stored with every consensus."""


class NormaliserConfig(Settings):
    """What counts as the same text."""

    fillers: dict[str, tuple[str, ...]] = {
        "zh": ("呃", "啊", "嗯"),
        "en": ("uh", "um", "er", "erm", "ah", "hm", "hmm", "mm", "mmm", "mhm"),
    }
    """Units that carry no words, by language (`zh` serves every Chinese language); they are left out of the comparison."""
    remove_erhua: bool = True
    """Chinese: 哪儿 = 哪 (but not 女儿 = 女)."""
    cache: int = 20_000
    """Texts remembered per worker: engines often write the same."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text as it is compared. `text` joins `units`, with spaces only where both neighbours are words."""

    text: str
    units: tuple[str, ...]


class Normaliser:
    """Loads the rules once; then `normaliser(text, language)`. Raises ImportError without the `text` extra."""

    def __init__(self, config: NormaliserConfig | None = None) -> None:
        from wetext import Normalizer as ChineseNormalizer
        from wetext.utils import preprocess
        from whisper_normalizer.english import EnglishTextNormalizer

        self.config = config or NormaliserConfig()
        self._english = EnglishTextNormalizer()
        self._simplified = preprocess
        self._chinese = ChineseNormalizer(lang="zh", operator="tn", remove_erhua=self.config.remove_erhua)
        self._fillers = {language: frozenset(words) for language, words in self.config.fillers.items()}
        self._remembered = lru_cache(maxsize=self.config.cache)(self._normalise)

    def __call__(self, text: str, language: str | None) -> Normalised:
        """`language` is a primary subtag; None lets the script decide between Chinese and the rules for any language."""
        return self._remembered(text, language)

    def _normalise(self, text: str, language: str | None) -> Normalised:
        text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
        text = _BRACKETS.sub(" ", text)
        rules = _rules(text, language)
        if rules == "zh":
            text = self._spoken_chinese(text)
        elif rules == "en":
            text = self._figures_in_english(text)
        if rules != "en":
            text = _PUNCTUATION.sub(" ", _APOSTROPHE.sub("", text))
        if rules == "zh":
            text = _SPELLED.sub(lambda letters: letters[0].replace(" ", ""), text)
        fillers = self._fillers.get(rules, frozenset())
        kept = tuple(unit for unit in units(text) if unit not in fillers)
        return Normalised(join(kept), kept)

    def _figures_in_english(self, text: str) -> str:
        text = _INITIALS.sub(lambda initials: initials[0].replace(".", ""), text)
        text = unicodedata.normalize("NFKC", self._english(_MINUS.sub("minus ", _CLOCK.sub("", text))))
        return str(_NO_WORD.sub(" ", text))  # it leaves points and currency signs that belong to no figure

    def _spoken_chinese(self, text: str) -> str:
        text = self._simplified(_LETTER_HYPHEN_DIGIT.sub(" ", text), traditional_to_simple=True)  # `gpt-4` holds no minus
        return str(_SPOKEN_OTHERWISE.sub(lambda window: self._spoken_window(window[0]), text)).translate(_SAME_NUMERAL)

    def _spoken_window(self, text: str) -> str:
        said = self._chinese.normalize(text)  # strips
        return f"{text[: len(text) - len(text.lstrip())]}{said}{text[len(text.rstrip()) :]}"


def _rules(text: str, language: str | None) -> str:
    if language in CHINESE:
        return "zh"
    if language is None and regex.search(r"\p{Han}", text) and not regex.search(r"[\p{Hiragana}\p{Katakana}]", text):
        return "zh"
    return language or ""


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """The part of normalisation that looks at one token alone: width, case and punctuation."""
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    return " ".join(_PUNCTUATION.sub(" ", _APOSTROPHE.sub("", text)).split())
