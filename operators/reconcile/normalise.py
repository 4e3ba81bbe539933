"""Text normalisation for comparison: spellings that sound alike become equal. The raw text is kept elsewhere.

| language | what is made equal | by |
|---|---|---|
| all | width, case, punctuation, white space, vowel marks, digits of any script, sounds in brackets, fillers | unicodedata, regex |
| 60 of CLDR | numbers, decimals, times, money, units, percentages, dates by month, initials, compounds | unicode-rbnf, babel |
| zh, yue, … | Traditional to Simplified, erhua, numbers, dates, units and money | wetext |
| en | also contractions, spelling, titles, halves and quarters, years, Roman numerals | whisper_normalizer |

The result is spoken words. What can be spoken in several ways (`1871`, `10:30`, `Dr.`) has several readings; texts compared
`together` each get the readings that bring them closest to the others: `21` equals `twenty one`, not `two one`. In a language
whose numbers no library knows, digits stay, and `unread` says so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import regex

from voxmill.manifests.config_base import Settings
from voxmill.operators.reconcile.bracketed import remove_sounds
from voxmill.operators.reconcile.readings import Piece, shared_readings, usual_reading
from voxmill.operators.reconcile.scripts import lower, one_form
from voxmill.operators.reconcile.tokenize import CHINESE, join, units
from voxmill.operators.reconcile.written import Writing

REVISION = 5
"""Raise it when the rules change: results of different revisions are not comparable."""

_PUNCTUATION = regex.compile(r"[\p{P}\p{S}\p{C}\p{Z}]+")
_APOSTROPHE = regex.compile(r"(?<=\p{L})'(?=\p{L})")
_LONE_MARK = regex.compile(r"(?<![\p{L}\p{M}\p{N}])\p{M}+")
_LETTER_HYPHEN_DIGIT = regex.compile(r"(?<=[A-Za-z])-(?=\d)")
_SPELLED = regex.compile(r"(?<![a-z])[a-z](?: [a-z](?![a-z]))+")
_SAME_NUMERAL = str.maketrans("两〇幺", "二零一")
_KANA, _HANGUL = regex.compile(r"[\p{Hiragana}\p{Katakana}]"), regex.compile(r"\p{Hangul}")


def _installed(name: str) -> str:
    try:
        return f"{name}-{version(name)}"
    except PackageNotFoundError:
        return f"{name}-absent"


_LIBRARIES = ("wetext", "whisper_normalizer", "unicode-rbnf", "babel", "regex")
NORMALISER = "+".join((str(REVISION), *map(_installed, _LIBRARIES), f"unicode-{unicodedata.unidata_version}"))
"""Version of the rules and their libraries; stored with every consensus."""
UNREAD = "digits-as-written"
"""Appended to the version where a text keeps digits because the numbers of its language are unknown."""


class NormaliserConfig(Settings):
    """Which differences between texts are ignored."""

    fillers: dict[str, tuple[str, ...]] = {
        "zh": ("呃", "啊", "嗯"),
        "en": ("uh", "um", "er", "erm", "ah", "hm", "hmm", "mm", "mmm", "mhm"),
    }
    """Filler words by language (`zh` for all Chinese languages), left out of the comparison."""
    remove_erhua: bool = True
    """Chinese: 哪儿 = 哪 (but not 女儿 = 女)."""
    cache: int = 20_000
    """Texts remembered per worker: engines often write the same."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A normalised text. `text` joins `units`, with spaces only between words."""

    text: str
    units: tuple[str, ...]


class Normaliser:
    """`Normaliser(config)(text, language)`; loads its rules once. Raises ImportError without the `text` extra."""

    def __init__(self, config: NormaliserConfig | None = None) -> None:
        import babel
        import unicode_rbnf  # noqa: F401  both are loaded when the first number is read
        from wetext import Normalizer as ChineseNormalizer
        from wetext.utils import preprocess

        from voxmill.operators.reconcile.chinese import Chinese
        from voxmill.operators.reconcile.english import English, Words

        assert babel
        self.config = config or NormaliserConfig()
        chinese = ChineseNormalizer(lang="zh", operator="tn", remove_erhua=self.config.remove_erhua)
        self._writings: dict[str | None, Writing] = {
            "en": English("en", Words()),
            "zh": Chinese(preprocess, _around(chinese.normalize), _plain_chinese),
        }
        self._fillers = {language: frozenset(words) for language, words in self.config.fillers.items()}
        self._pieces = lru_cache(maxsize=self.config.cache)(self._cut)

    def __call__(self, text: str, language: str | None) -> Normalised:
        """The text in its usual reading. `language` is a primary subtag; None: the script decides, where it can."""
        return _normalised(usual_reading(self._pieces(text, language)))

    def together(self, texts: Sequence[str], language: str | None) -> list[Normalised]:
        """Texts to be compared, each in the reading closest to the others; their order does not matter."""
        return [_normalised(said) for said in shared_readings([self._pieces(text, language) for text in texts])]

    def unread(self, language: str | None, texts: Sequence[str]) -> bool:
        """Whether the texts have digits in a language whose numbers no library can spell out."""
        if not any(map(_has_digit, texts)):
            return False
        return any(self._writing(_rules(text, language)).numbers is None for text in texts if _has_digit(text))

    def _cut(self, text: str, language: str | None) -> tuple[Piece, ...]:
        text = remove_sounds(one_form(text))
        rules = _rules(text, language)
        if rules == "zh":
            text = _LETTER_HYPHEN_DIGIT.sub(" ", text)  # `gpt-4` holds no minus
        fillers = self._fillers.get(rules or "", frozenset())
        return tuple(piece for piece in self._writing(rules).pieces(text) if piece not in fillers)

    def _writing(self, rules: str | None) -> Writing:
        if rules not in self._writings:
            self._writings[rules] = Writing(rules, lambda text: _plain(text, rules))
        return self._writings[rules]


@lru_cache(maxsize=1 << 12)
def _normalised(said: tuple[str, ...]) -> Normalised:
    return Normalised(join(said), said)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _plain(text: str, language: str | None) -> list[str]:
    """Units of running text, in any language."""
    return units(_LONE_MARK.sub("", _PUNCTUATION.sub(" ", _APOSTROPHE.sub("", lower(text, language)))))


def _plain_chinese(text: str) -> list[str]:
    text = _LONE_MARK.sub("", _PUNCTUATION.sub(" ", _APOSTROPHE.sub("", lower(text, "zh")))).translate(_SAME_NUMERAL)
    return units(_SPELLED.sub(lambda letters: letters[0].replace(" ", ""), text))


def _around(normalize: Callable[[str], str]) -> Callable[[str], str]:
    """Keeps the space around a text, which the library strips."""
    return lambda text: f"{text[: len(text) - len(text.lstrip())]}{normalize(text)}{text[len(text.rstrip()) :]}"


def _rules(text: str, language: str | None) -> str | None:
    if language in CHINESE:
        return "zh"
    if language is None:
        if _KANA.search(text):
            return "ja"
        if regex.search(r"\p{Han}", text):
            return "zh"
        return "ko" if _HANGUL.search(text) else None
    return language


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """The normalisation of a single token: width, case and punctuation."""
    return " ".join(_PUNCTUATION.sub(" ", _APOSTROPHE.sub("", lower(one_form(text), None))).split())
