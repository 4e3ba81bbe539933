"""Spelling variants of a script that do not change a word: width, case, vowel marks, native digits, invisible characters."""

from __future__ import annotations

import unicodedata

import regex

APOSTROPHES = str.maketrans("’‘ʼ＇`´ʹ′", "''''''''")
_FRACTION = regex.compile(r"(\d)?([¼½¾⅐-⅞])")
_POWERS = str.maketrans({"²": "^2", "³": "^3", "º": "o", "ª": "a"})
_GROUP_SPACE = regex.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Variation_Selector}]")
_VOWELS = regex.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0640]"
)
"""Hebrew points and accents; Arabic vowel signs, and the stroke that only lengthens a line."""
_ARABIC = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ی": "ي", "ک": "ك", "ھ": "ه", "ە": "ه", "٫": ".", "٬": ",", "٪": "%", "،": ","}
)
_NUKTA = regex.compile("(?<![\u0921\u0922])\u093c")
"""Devanagari; after ड and ढ it makes another letter."""
_DIGIT = regex.compile(r"(?![0-9])\p{Nd}")
_LETTERS = str.maketrans({"œ": "oe", "Œ": "OE", "ŀ": "l", "ǆ": "dž", "ĳ": "ij", "Ĳ": "IJ"})
_COMMA = str.maketrans("şţ", "șț")
_LATIN = str.maketrans(
    dict(zip("абвгдђежзијклмнопрстћуфхцчш", "abvgdđežzijklmnoprstćufhcčš", strict=True)) | {"љ": "lj", "њ": "nj", "џ": "dž"}
)
"""Serbian is written in either script."""
_NASAL = regex.compile(
    "\u0919\u094d(?=[\u0915-\u0918])|\u091e\u094d(?=[\u091a-\u091d])|\u0923\u094d(?=[\u091f-\u0922])"
    "|\u0928\u094d(?=[\u0924-\u0927])|\u092e\u094d(?=[\u092a-\u092d])"
)
"""Devanagari's nasals before a stop of their own place, which anusvara may stand for: हिन्दी is हिंदी, अन्न stays."""
_JOINER = regex.compile(r"(?<=\p{Arabic})\u200c(?=\p{Arabic})")
"""Persian writes prefixes and endings apart, joined by nothing or by a space."""
_DOTTED = str.maketrans({"I": "ı", "İ": "i"})
TURKIC = frozenset(("tr", "az", "crh"))


def one_form(text: str) -> str:
    """The text with one form per character; case and signs stay.

    >>> one_form("٣ كُتُب"), one_form("5½ m²")
    ('3 كتب', '5 1/2 m^2')
    """
    text = _GROUP_SPACE.sub("", text.translate(APOSTROPHES))
    text = _FRACTION.sub(lambda m: f"{m[1] + ' ' if m[1] else ''}{unicodedata.normalize('NFKC', m[2]).replace('⁄', '/')}", text)
    text = unicodedata.normalize("NFKC", text.translate(_POWERS)).translate(APOSTROPHES)
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", _JOINER.sub(" ", text))
    text = _VOWELS.sub("", text).translate(_ARABIC).translate(_LETTERS)
    text = unicodedata.normalize("NFC", _NUKTA.sub("", text)).replace("ँ", "ं")
    return str(_DIGIT.sub(lambda m: str(unicodedata.decimal(m[0])), text))


def lower(text: str, language: str | None) -> str:
    """The text in lower case by the rules of the language: Turkish has a dotted and a dotless i.

    >>> lower("İstanbul", "tr"), lower("Isparta", "tr"), lower("İstanbul", None)
    ('istanbul', 'ısparta', 'istanbul')
    """
    if language in TURKIC:
        text = text.translate(_DOTTED)
    text = text.casefold().replace("i\u0307", "i")
    if text.isascii():
        return text
    if language == "ru":
        return text.replace("ё", "е")
    if language == "ro":
        return text.translate(_COMMA)  # the cedilla is a makeshift of old keyboards
    if language in ("sr", "bs"):
        return text.translate(_LATIN)
    if language in ("hi", "mr", "ne"):
        return str(_NASAL.sub("\u0902", text))
    if language == "nl":
        return text.replace("éé", "ee")
    if language == "ja":
        text = _V.sub(lambda sound: _B[sound[1]], text.replace("〇", "零"))
        return str(_JAPANESE_POINT.sub("点", text))
    if language == "ko":
        return text.replace("유월", "육월").replace("시월", "십월")  # months are said so
    if language == "ar":
        return text.replace("مئة", "مائة")
    return str(_OPEN_SYLLABLE.sub(_later, text)) if language == "vi" else text


_JAPANESE_POINT = regex.compile(r"(?<=[零一二三四五六七八九十百千])・(?=[零一二三四五六七八九])")
_V = regex.compile("ヴ([ァィェォ]?)")
_B = {"ァ": "バ", "ィ": "ビ", "": "ブ", "ェ": "ベ", "ォ": "ボ"}
"""Foreign `v`, which most say as `b`: ヴァイオリン, バイオリン."""
_TONES = "\u0300\u0301\u0303\u0309\u0323"
_OPEN_SYLLABLE = regex.compile(r"([òóõỏọùúũủụ])([aey])(?!\p{L})")


def _later(match: regex.Match[str]) -> str:
    """Vietnamese puts the tone of `hòa` on either vowel."""
    letter = unicodedata.normalize("NFD", match[1])
    tone = next(mark for mark in letter if mark in _TONES)
    return unicodedata.normalize("NFC", letter.replace(tone, "") + match[2] + tone)
