"""The fixed mixture on which quality is measured: real English speech with its words, clean and spoiled in nine ways.

Clips (Asterisk's prompts, and the packaged recordings whose words are known) are made equally loud and joined into recordings with
pauses; each recording has one condition. Everything follows from `SEED`; the hash over samples and references says whether two
machines measured the same thing.

    python tests/benchmarks/mixture.py [--full]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks.mixed import Made, Mixed, Piece, joined, kept
from speech import noise
from speech.cache import cache_root
from speech.packaged import PYANNOTE_SAMPLE, TWO_CITIES, TWO_CITIES_SAID, cut, pyannote_said
from speech.prompts import prompts
from speech.waves import RATE, Pcm, read_wave

SEED = 20_261_121
VERSION = 3
"""Raise it with any change of what is mixed."""
SHORTEST, LONGEST = 1.2, 15.0
"""Clips between these lengths are used (s): shorter ones are single digits and letters, longer ones would not fit one segment."""
LOUDNESS = 2000.0
"""Root mean square of every clip (of 32768), so that a signal-to-noise ratio means the same for each."""
REDUCED = 820.0
"""How much of each condition the reduced form has, at least (s): the beginning of what the full form has, which says every clip in
every condition. Below some 750 s a curve's left end is a few errors of single segments."""
MISSPELT = {"represenatives": "representatives", "un-indentified": "unidentified"}
"""Slips of the pen in the published transcripts: what is said is the right word."""
CONDITIONS = ("clean", *(f"{kind}_{snr}" for kind in ("white", "babble") for snr in (20, 10, 5, 0)), "band_limited")


def mixture(full: bool = False, cache_dir: Path | None = None) -> tuple[list[Mixed], str]:
    """The recordings, and the hash of all their samples and references. Built once, read afterwards."""
    home = (cache_dir or cache_root()) / "mixture" / f"v{VERSION}-{SEED}-{'full' if full else f'{REDUCED:.0f}s'}"
    return kept(home, partial(_make, full))


def _make(full: bool) -> Iterator[Made]:
    pieces = sorted(_pieces())
    order = np.random.default_rng(SEED).permutation(len(pieces))
    crowd = _crowd()
    for rank, condition in enumerate(CONDITIONS):
        turned = np.roll(order, -(rank * len(pieces) // len(CONDITIONS)))  # so that conditions begin with other clips
        said = joined([pieces[i] for i in turned], None if full else REDUCED, np.random.default_rng([SEED, rank]))
        for number, (samples, spoken) in enumerate(said):
            noisy = spoil(samples, [(clip.start, clip.end) for clip in spoken], condition, crowd, [SEED, rank, number])
            yield f"{condition}-{number:03d}", condition, noisy, spoken


def _pieces() -> Iterator[Piece]:
    """Every clip whose words are known, equally loud."""
    known = [
        *((prompt.id, read_wave(prompt.path), prompt.text) for prompt in prompts("en")),
        *cut(TWO_CITIES, TWO_CITIES_SAID),
        *cut(PYANNOTE_SAMPLE, pyannote_said()),
    ]
    for name, samples, text in known:
        if SHORTEST * RATE <= len(samples) <= LONGEST * RATE:
            for wrong, right in MISSPELT.items():
                text = text.replace(wrong, right)
            yield name, noise.to_pcm(samples * (LOUDNESS / np.sqrt(noise.power(samples)))), text


def _crowd() -> list[list[Pcm]]:
    """Six talkers of three other languages, so that no word of the noise is a word of the reference."""
    voices = []
    for language in ("es", "fr", "it"):
        clips = [read_wave(prompt.path) for prompt in prompts(language) if 3 <= prompt.seconds <= 12]
        voices += [clips[0:60:2], clips[1:60:2]]
    return voices


def spoil(samples: Pcm, speech: list[tuple[int, int]], condition: str, crowd: list[list[Pcm]], seed: list[int]) -> Pcm:
    """The recording under a condition; noise fills its pauses too."""
    kind, _, snr = condition.partition("_")
    rng = np.random.default_rng(seed)
    if kind == "white":
        return noise.add_noise(samples, speech, noise.white(len(samples), rng), float(snr))
    if kind == "babble":
        return noise.add_noise(samples, speech, noise.babble(crowd, len(samples), rng), float(snr))
    return noise.band_limit(samples) if kind == "band" else samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    recordings, digest = mixture(parser.parse_args().full)
    print(f"{'condition':14} recordings  clips  words  minutes")
    for condition in CONDITIONS:
        mine = [recording for recording in recordings if recording.condition == condition]
        clips = [clip for recording in mine for clip in recording.spoken]
        words, minutes = sum(len(clip.text.split()) for clip in clips), sum(r.num_samples for r in mine) / RATE / 60
        print(f"{condition:14} {len(mine):10} {len(clips):6} {words:6} {minutes:8.1f}")
    print(f"seed {SEED}  sha256 {digest}  {recordings[0].path.parent}")


if __name__ == "__main__":
    main()
