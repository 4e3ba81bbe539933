"""Removes bracketed annotations of a recogniser that were not spoken: `[Music]`, `(laughs)`, `（笑）`."""

from __future__ import annotations

import regex

_SQUARE = regex.compile(r"(?P<before>[\p{L}\p{N}])?[<\[【〔](?P<in>[^<>\[\]【】〔〕]*)[>\]】〕](?P<after>[\p{L}\p{N}])?")
_ROUND = regex.compile(r"\((?P<in>[^()]*)\)|（(?P<in2>[^（）]*)）|\*(?P<in3>[^*\s][^*]*)\*")
_SOUNDS = regex.compile(
    r"""(?ix)
    \b(?:music\w*|musik\w*|musique|música|musica|laugh\w*|lach\w*|rires?|risas?|risate|risos|chuckl\w*|giggl\w*|applau\w*|aplausos?|applaus|clap\w*|
    sing(?:s|ing)?|cough\w*|sigh\w*|sob\w*|cry(?:ing)?|cries|cheer\w*|inaudible|unintelligible|indistinct|incomprehensible|crosstalk|cross\ talk|
    silen\w*|pause\w*|nois\w*|beep\w*|bleep\w*|bells?|ring\w*|foreign(?:\ language)?|speak\w*|whisper\w*|gasp\w*|groan\w*|sneez\w*|sniff\w*|breath\w*|
    static|blank_audio|blank|unk|spn|nsn|sil|sound\w*|audio|video|captions?|subtitles?|footsteps?|knock\w*|door\w*|bark\w*|wind|engine\w*|crowd|audience|
    scream\w*|shout\w*|yell\w*|hum(?:s|ming)?|clears?\ throat|throat|phone|typing|click\w*|speaker\s?\w*|background|instrumental|jingle|outro|intro|
    bip|bruit|toux|soupir|gelächter|seufz\w*|husten|geräusch\w*|rauschen|stille|tos|suspiro|ruido|silencio|тишина|музыка|смех|аплодисменты|кашель|шум)\b
    |笑|掌声|音乐|音樂|鼓掌|咳|叹气|嘆氣|哭|噪音|静音|铃声|拍手|音楽|ノイズ|拍手|무음|음악|웃음|박수|موسيقى|ضحك|תצחוק|צחוק|מוזיקה|संगीत|müzik|gülüşmeler|alkış
    """
)


def remove_sounds(text: str) -> str:
    """The text without bracketed sounds. Other words in round brackets are kept; square brackets are removed unless they touch a word.

    >>> remove_sounds("(laughs) I do (not) know [Music]"), remove_sounds("(不)好"), remove_sounds("（笑）好的")
    ('  I do  not  know  ', ' 不 好', ' 好的')
    """
    if not _BRACKET.search(text):
        return text
    text = _SQUARE.sub(_square, text)
    return str(
        _ROUND.sub(
            lambda m: " " if _sound(m["in"] or m["in2"] or m["in3"] or "") else f" {m['in'] or m['in2'] or m['in3'] or ''} ",
            text,
        )
    )


_BRACKET = regex.compile(r"[<\[【〔(（*]")


def _sound(text: str) -> bool:
    return _SOUNDS.search(text.replace("_", "_ ").replace("_ ", "_")) is not None and len(text.split()) < 7


def _square(match: regex.Match[str]) -> str:
    """Removes a remark in square brackets; a single lower-case word that names no sound is kept (`[not] guilty`)."""
    inside, before, after = match["in"].strip(), match["before"] or "", match["after"] or ""
    chinese = regex.fullmatch(r"\p{Han}{1,2}", inside) is not None and bool(before or after)
    if (chinese or (inside.isalpha() and inside.islower())) and not _sound(inside):
        return f"{before}{match['in']}{after}"
    return f"{before} {after}"
