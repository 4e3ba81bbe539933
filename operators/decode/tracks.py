"""Which audio stream of a file is used: the one in the source's language, for the general audience, else the file's default."""

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
"""Titles of streams beside the main one: commentaries, audio description, music without voices."""

PROGRAM = re.compile(r"handler|media|gpac|bento|l-smash|google|apple|\bmp4|^(mono|stereo|surround)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Track:
    """What a file states of one audio stream. `language` is as written there."""

    language: str = ""
    default: bool = False
    aside: tuple[str, ...] = ()
    """Dispositions that say it is not the main programme: `comment`, `visual_impaired`, …"""
    title: str = ""
    playable: bool = True
    best: bool = False
    """libavformat would take it."""

    def __str__(self) -> str:
        """As records write it.

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
"""Dispositions other than the main programme; the last two (`_MILD`) still carry it."""

_MILD = ("hearing_impaired", "dub")


def tracks_of(container: InputContainer) -> tuple[Track, ...]:
    """The audio streams of a container, in order."""
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


def choose_track(tracks: Sequence[Track], language: str | None) -> int:
    """The number, from 1, of the stream to use.

    >>> film = Track("ger", default=True), Track("eng", aside=("comment",)), Track("eng"), Track("fre", best=True)
    >>> choose_track(film, "en-GB"), choose_track(film, "de"), choose_track(film, "ja"), choose_track(film, None)
    (3, 1, 1, 1)
    """

    def rank(number: int) -> tuple[int, ...]:
        track = tracks[number - 1]
        aside = 2 if set(track.aside) - set(_MILD) or ASIDE.search(track.title) else 1 if track.aside else 0
        return not track.playable, _distance(track, language), aside, not track.default, not track.best, number

    return min(range(1, len(tracks) + 1), key=rank)


def matching_track(tracks: Sequence[Track], chosen: Track, number: int) -> int | None:
    """The number of the stream that continues the chosen one in a later stretch, where the order may differ.

    >>> matching_track((Track("eng"), Track("ger")), Track("ger"), 1), matching_track((Track("eng"), Track("eng")), Track("eng"), 2)
    (2, 2)
    >>> matching_track((Track(), Track()), Track("eng"), 2), matching_track((Track(),), Track("eng"), 2)
    (2, None)
    """
    same = [n for n, track in enumerate(tracks, 1) if (track.language, track.aside) == (chosen.language, chosen.aside)]
    if number in same or not same:
        return number if number <= len(tracks) else None
    return same[0]


def language_contradicts(tracks: Sequence[Track], number: int, language: str | None) -> bool:
    """Whether the chosen stream is stated to be in another language than `language`, which no stream has."""
    return bool(language) and _distance(tracks[number - 1], language) == 2


def _distance(track: Track, language: str | None) -> int:
    """0: in that language, or none is asked for; 1: nobody says; 2: in another."""
    wanted, said = _code(language or ""), _code(track.language)
    return 0 if wanted is None or said == wanted else 1 if said is None else 2


def _code(tag: str) -> str | None:
    """One code per language, from ISO 639-1, -2/B, -2/T, -3 or BCP 47; None where it names none.

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
    """The title; MP4 may have it as handler name, which usually names a program."""
    named = _clean(says.get("title") or says.get("name") or says.get("handler_name", ""), 60)
    return "" if PROGRAM.search(named) else named


def _clean(text: str, most: int) -> str:
    """Text of a file that a record can hold on one line."""
    plain = text.encode("utf-8", "replace").decode().replace("\0", "")
    return " ".join(plain.split())[:most]
