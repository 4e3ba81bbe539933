"""Which of a file's streams of sound is heard: the one in the source's language, made for everybody, else what the file calls its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from av.container import InputContainer
from av.stream import Disposition

UNKNOWN = frozenset({"", "und", "mis", "mul", "zxx", "qaa", "qad", "unk"})
"""Codes that name no language: undetermined, several, none; `qaa` and `qad` are broadcasters' for the original and for description."""

ASIDE = re.compile(
    r"\b(comment|descri|kommentar|director|audiodesk|karaoke|instrumental|isolated|score|music only|m&e)", re.IGNORECASE
)
"""Titles of streams that are beside the film: commentaries, descriptions for the blind, music without the voices."""

PROGRAM = re.compile(r"handler|media|gpac|bento|l-smash|google|apple|\bmp4|^(mono|stereo|surround)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Track:
    """What a file says of one stream of sound. The language is as it is written there."""

    language: str = ""
    default: bool = False
    aside: tuple[str, ...] = ()
    """What it is instead of the plain programme: `comment`, `visual_impaired`, …"""
    title: str = ""
    playable: bool = True
    best: bool = False
    """libavformat would take it."""

    def __str__(self) -> str:
        """
        >>> str(Track("ger", default=True)), str(Track(aside=("comment",), title="Director's cut"))
        ('ger default', "und comment: Director's cut")
        """
        words = [self.language or "und", *(["default"] if self.default else []), *self.aside]
        return " ".join(words) + (f": {self.title}" if self.title else "")


_ASIDE = {
    Disposition.comment: "comment",
    Disposition.visual_impaired: "visual_impaired",
    Disposition.descriptions: "descriptions",
    Disposition.lyrics: "lyrics",
    Disposition.karaoke: "karaoke",
    Disposition.clean_effects: "clean_effects",
    Disposition.non_diegetic: "non_diegetic",
    Disposition.dependent: "dependent",
    Disposition.hearing_impaired: "hearing_impaired",
    Disposition.dub: "dub",
}
"""What a stream may be instead of the programme. The last two are the programme still, for others or by others."""

_MILD = ("hearing_impaired", "dub")


def tracks_of(container: InputContainer) -> tuple[Track, ...]:
    best = container.streams.best("audio")
    found = []
    for stream in container.streams.audio:
        codec, says = stream.codec_context, {key.lower(): value for key, value in stream.metadata.items()}
        found.append(
            Track(
                language=_clean(says.get("language", ""), 16),
                default=bool(stream.disposition & Disposition.default),
                aside=tuple(name for flag, name in _ASIDE.items() if stream.disposition & flag),
                title=_title(says),
                playable=codec is not None and codec.sample_rate > 0,
                best=best is not None and stream.index == best.index,
            )
        )
    return tuple(found)


def choose(tracks: Sequence[Track], language: str | None) -> int:
    """The number, from 1, of the stream that is heard.

    >>> film = Track("ger", default=True), Track("eng", aside=("comment",)), Track("eng"), Track("fre", best=True)
    >>> choose(film, "en-GB"), choose(film, "de"), choose(film, "ja"), choose(film, None)
    (3, 1, 1, 1)
    """

    def rank(number: int) -> tuple[int, ...]:
        track = tracks[number - 1]
        aside = 2 if set(track.aside) - set(_MILD) or ASIDE.search(track.title) else 1 if track.aside else 0
        return not track.playable, _distance(track, language), aside, not track.default, not track.best, number

    return min(range(1, len(tracks) + 1), key=rank)


def alike(tracks: Sequence[Track], chosen: Track, number: int) -> int | None:
    """The number of the stream that goes on with the chosen one after a cut of the file, where streams may be in another order.

    >>> alike((Track("eng"), Track("ger")), Track("ger"), 1), alike((Track("eng"), Track("eng")), Track("eng"), 2)
    (2, 2)
    >>> alike((Track(), Track()), Track("eng"), 2), alike((Track(),), Track("eng"), 2)
    (2, None)
    """
    same = [n for n, track in enumerate(tracks, 1) if (track.language, track.aside) == (chosen.language, chosen.aside)]
    if number in same or not same:
        return number if number <= len(tracks) else None
    return same[0]


def contradicts(tracks: Sequence[Track], number: int, language: str | None) -> bool:
    """Whether the file says of the chosen stream that it is in another language than `language`, in which it has none."""
    return bool(language) and _distance(tracks[number - 1], language) == 2


def _distance(track: Track, language: str | None) -> int:
    """0: in that language, or none is asked for; 1: nobody says; 2: in another."""
    wanted, said = _code(language or ""), _code(track.language)
    return 0 if wanted is None or said == wanted else 1 if said is None else 2


def _code(tag: str) -> str | None:
    """One code for a language, whichever of ISO 639-1, -2/B, -2/T, -3 and BCP 47 it is written in.

    >>> _code("ger"), _code("de-AT"), _code("chi"), _code("cmn-Hans"), _code("und"), _code("eng\\0"), _code("English")
    ('de', 'de', 'zh', 'zh', None, 'en', None)
    """
    tag = tag.strip("\0 \t").replace("_", "-")
    if tag.lower() in UNKNOWN:
        return None
    import langcodes

    try:
        code: str | None = langcodes.Language.get(langcodes.standardize_tag(tag, macro=True)).language
        return code
    except ValueError:  # LanguageTagError: no tag at all
        return None


def _title(says: Mapping[str, str]) -> str:
    """MP4 has a place for the name of a program, and some put a title there."""
    named = _clean(says.get("title") or says.get("name") or says.get("handler_name", ""), 60)
    return "" if PROGRAM.search(named) else named


def _clean(text: str, most: int) -> str:
    """Text of a file that a record can hold on one line."""
    plain = text.encode("utf-8", "replace").decode().replace("\0", "")
    return " ".join(plain.split())[:most]
