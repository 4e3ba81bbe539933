"""What can be heard on the demo's site: real speech, from the prompts where apt is usable, from installed packages otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from speech import noise
from speech.debian import PackagesUnavailable
from speech.packaged import TWO_CITIES, TWO_CITIES_SAID, cut
from speech.prompts import ATTRIBUTION, LICENCE, Prompt, prompts
from speech.waves import RATE, Pcm, join, read_wave

SEED = 20_261_121
SECONDS = 36.0
"""How much speech a recording joined from prompts holds, at least (s)."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """The site's distinct recordings. `note` says where they came from when not from the usual place."""

    talk: Pcm
    episodes: tuple[Pcm, Pcm]
    radio: Pcm
    reading: Pcm
    market: Pcm
    """Speech in a crowd that comes and goes, from 18 dB below it to 2 dB above it and back every ten seconds."""
    telephone: Pcm
    members: Pcm
    licence: str
    """Of all but `reading`."""
    attribution: str
    note: str | None = None


def recordings() -> Recordings:
    """Deterministic; about five and a half minutes."""
    try:
        english = prompts("en")
    except PackagesUnavailable as error:
        return _packaged(str(error).splitlines()[0])
    rng = np.random.default_rng(SEED)
    long = [prompt for prompt in english if 1.8 <= prompt.seconds <= 12]
    named = {prompt.id.removeprefix("en_"): prompt for prompt in english}
    market, spoken = _reel(_family(long, "conf-"), rng)
    crowd = [[read_wave(p.path) for p in _family(long, family)] for family in ("vm-", "confbridge-", "queue-", "dir-")]
    return Recordings(
        talk=_reel([named["demo-congrats"], named["demo-moreinfo"]], rng)[0],
        episodes=(_reel(_family(long, "confbridge-"), rng)[0], _reel(_family(long, "vm-"), rng)[0]),
        radio=_reel([named[f"demo-{part}"] for part in ("echotest", "abouttotry", "nogo", "thanks")], rng)[0],
        reading=TWO_CITIES.samples(),
        market=_crowded(market, spoken, noise.babble(crowd, len(market), rng)),
        telephone=_reel(_family(long, "queue-") + _family(long, "followme_") + _family(long, "agent-"), rng)[0],
        members=_reel(_family(long, "tt-"), rng)[0],
        licence=LICENCE,
        attribution=ATTRIBUTION,
    )


def _family(clips: list[Prompt], prefix: str) -> list[Prompt]:
    """The clips of one subject; of those that say the same in another tone, the first."""
    family = (clip for clip in clips if clip.id.startswith(f"en_{prefix}"))
    return list({re.sub(r"\W+", " ", clip.text).strip().lower(): clip for clip in reversed(list(family))}.values())[::-1]


def _reel(clips: list[Prompt], rng: np.random.Generator) -> tuple[Pcm, list[tuple[int, int]]]:
    """Clips in order, with pauses of 0.5 to 1.2 s, until they hold `SECONDS` of speech; and where each clip lies."""
    lengths = np.cumsum([clip.seconds for clip in clips])
    taken = clips[: int(np.searchsorted(lengths, SECONDS)) + 1]
    pauses = rng.integers(RATE // 2, RATE * 6 // 5, len(taken) + 1).tolist()
    return join([read_wave(clip.path) for clip in taken], pauses)


def _crowded(speech: Pcm, spoken: list[tuple[int, int]], crowd: noise.Wave) -> Pcm:
    return noise.add_noise(speech, spoken, crowd, 8 + 10 * np.cos(2 * np.pi * np.arange(len(speech)) / (10 * RATE)))


def _packaged(why: str) -> Recordings:
    """One reader's phrases in ever new orders: the same site, fewer words, and a licence that is known."""
    rng = np.random.default_rng(SEED)
    phrases = [samples for _, samples, _ in cut(TWO_CITIES, TWO_CITIES_SAID)]

    def reel() -> tuple[Pcm, list[tuple[int, int]]]:
        return join(
            [phrases[i] for i in rng.permutation(len(phrases))], rng.integers(RATE // 2, RATE, len(phrases) + 1).tolist()
        )

    market, spoken = reel()
    return Recordings(
        talk=reel()[0],
        episodes=(reel()[0], reel()[0]),
        radio=reel()[0],
        reading=TWO_CITIES.samples(),
        market=_crowded(market, spoken, noise.babble([phrases] * 4, len(market), rng)),
        telephone=reel()[0],
        members=reel()[0],
        licence=TWO_CITIES.licence,
        attribution=TWO_CITIES.attribution,
        note=f"the recorded prompts are not to be had ({why}), so one packaged reading stands in for them",
    )
