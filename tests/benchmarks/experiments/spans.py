"""Real speech for a student: spans that the line found, by speaker, with what both recognisers said there and what was really said.

They are those of the recordings that `remembered.py` keeps: acted dialogue as it is, and the mixture, clean and spoilt in nine ways. So no
recogniser has to run for labels. Speakers are divided, never their spans: what is tested and what settings are chosen on was said by
people of the play whom nobody else heard. Its hero, who says half of it, the voice of the mixture and its two packaged recordings are
for training. Who says what in a scene without names is not known; such lines are in no part. One caution: the play states its persons, not its
actors, and an actor may have given voice to several.
"""

from __future__ import annotations

import re
import wave
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.together import together as at_once
from benchmarks.heard import Heard
from benchmarks.mixed import Mixed, Spoken
from benchmarks.mixture import mixture
from benchmarks.played import played
from benchmarks.remembered import recall
from benchmarks.words import english
from speech.acted import HERO, lines
from speech.cache import cache_root, made_once
from speech.debian import unpack
from speech.waves import RATE
from voxmill.manifests.ids import digest
from voxmill.manifests.records import Consensus, Segment

Part = Literal["train", "dev", "test"]
NUM_TEST, NUM_DEV = 10, 5
"""Speakers, by the hash of their names; the others are for training."""
LEAST_MINUTES = 1.0
"""Of a speaker of the test or of dev: who says less says little of a rate."""
LONGEST = 26.0
"""Of a span (s): Whisper's encoder hears 30 s, and a training slows speech down to 0.9 of its speed."""
WORDS = "wamerican"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one speaker in a recording."""

    key: str
    recording: Mixed
    start: int
    num_samples: int
    speaker: str
    truth: str
    heard: tuple[str, ...]
    """What each engine said, in the order of `heard.ENGINES`."""
    label: Consensus
    """What reconciliation made of it."""

    @property
    def minutes(self) -> float:
        return self.num_samples / RATE / 60

    @property
    def words(self) -> tuple[str, ...]:
        return english(self.truth)

    def audio(self) -> NDArray[np.int16]:
        """Samples at 16 kHz."""
        with wave.open(str(self.recording.path), "rb") as source:
            source.setpos(self.start)
            return np.frombuffer(source.readframes(self.num_samples), "<i2").astype(np.int16)


@dataclass(frozen=True)
class Speech:
    """All spans whose truth can be told, and why the others are not here."""

    spans: tuple[Span, ...]
    dropped: Mapping[str, int]

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """The part of each speaker."""
        return parts(self.spans)

    def of(self, part: Part) -> list[Span]:
        return [one for one in self.spans if self.parts[one.speaker] == part]

    @property
    def hash(self) -> str:
        return digest(repr((one.key, one.recording.pcm_sha256, one.speaker, one.truth, one.heard)) for one in self.spans)


def speech() -> Speech:
    """The spans of the mixture and of the play, built once."""
    at_once([partial(mixture, full=True), played])
    recordings = [*mixture(full=True)[0], *played()[0]]
    said_by = {line.id: line.speaker for line in lines()}
    spans, dropped = list[Span](), defaultdict[str, int](int)
    for one in recall(recordings):
        for segment in one.segments:
            found = _span(one, segment, said_by, english_words())
            if isinstance(found, Span):
                spans.append(found)
            else:
                dropped[found] += 1
    return Speech(tuple(spans), dict(dropped))


def _span(one: Heard, segment: Segment, said_by: Mapping[str, str | None], known: Collection[str]) -> Span | str:
    clips = [clip for clip in one.mixed.spoken if clip.start < segment.end and segment.start < clip.end]
    home = [clip for clip in clips if segment.start <= clip.midpoint < segment.end]
    if not clips:
        return "nothing is said in it"
    if segment.seconds > LONGEST:
        return "too long"
    if clips != home or any(_reaches(clip, one, segment) for clip in clips):
        return "a line is cut"
    speakers = {_speaker(one.mixed, clip, said_by) for clip in clips}
    (speaker,) = speakers if len(speakers) == 1 else ("",)
    if not speaker:
        return "several speakers" if len(speakers) > 1 else "speaker not known"
    truth = " ".join(clip.text.strip() for clip in clips)
    if is_gibberish(truth, known):
        return "gibberish"
    heard = tuple(said[segment.id].text for said in one.hypotheses.values())
    return Span(segment.id, one.mixed, segment.start, segment.num_samples, speaker, truth, heard, one.consensus[segment.id])


def _reaches(clip: Spoken, one: Heard, segment: Segment) -> bool:
    """Whether a clip is in another segment too, by more than 0.1 s."""
    others = (other for other in one.segments if other.id != segment.id and other.rejection is None)
    return any(min(clip.end, other.end) - max(clip.start, other.start) > RATE // 10 for other in others)


def _speaker(mixed: Mixed, clip: Spoken, said_by: Mapping[str, str | None]) -> str | None:
    """A person of the play; of the mixture the recording that the clip is from (`en_…` is the voice of the prompts)."""
    return said_by.get(clip.id) if mixed.condition == "acted" else re.split(r"[_-]", clip.id)[0]


def is_gibberish(reference: str, known: Collection[str]) -> bool:
    """Whether more than a third of a reference's words are no words of English. A reference without any is gibberish too.

    >>> words = {"uh", "i", "am", "a", "doctor"}
    >>> is_gibberish("Uh, unga oop!", words), is_gibberish("I'm Doctor Frankovich...", words), is_gibberish("...", words)
    (True, False, True)
    """
    words = english(reference)
    strange = [word for word in words if not any(map(str.isdigit, word)) and word.removesuffix("'s") not in known]
    return not words or 3 * len(strange) > len(words)


@cache
def english_words() -> frozenset[str]:
    """The words of Debian's list of American English (SCOWL), in lower case."""
    home = made_once(cache_root() / "speech" / WORDS, lambda work: unpack([WORDS], work))
    listed = (home / "usr/share/dict/american-english").read_text(encoding="utf8").casefold().split()
    return frozenset(listed)


def parts(spans: Iterable[Span]) -> dict[str, Part]:
    """Which part each speaker is in."""
    minutes, acted = defaultdict[str, float](float), set[str]()
    for one in spans:
        minutes[one.speaker] += one.minutes
        acted |= {one.speaker} if one.recording.condition == "acted" else set()
    able = (name for name in acted if name != HERO and minutes[name] >= LEAST_MINUTES)
    order = sorted(able, key=lambda name: digest(["student", name]))
    found: dict[str, Part] = dict.fromkeys(minutes, "train")
    for place, name in enumerate(order[: NUM_TEST + NUM_DEV]):
        found[name] = "test" if place < NUM_TEST else "dev"
    return found


def few(spans: Sequence[Span], minutes: float, name: str) -> list[Span]:
    """So many minutes of them, in a drawn order, that each is as likely as another; all, where there are fewer."""
    taken, left = [], minutes
    for one in sorted(spans, key=lambda one: digest(["few", name, one.key])):
        if left < one.minutes:
            continue
        taken.append(one)
        left -= one.minutes
    return sorted(taken, key=lambda one: one.key)
