"""Acted dialogue as recordings: the scenes of a play by many voices, each line with its words.

Beside the mixture, which is one studio voice spoiled in known ways, this is speech that differs in voice, mood and loudness from line to
line, and every line of it is another one. Nothing is added and nothing is made equally loud.

    python tests/benchmarks/played.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks.mixed import Made, Mixed, Piece, joined, kept
from speech.acted import Line, lines
from speech.cache import cache_root
from speech.waves import RATE

SEED = 20_261_122
VERSION = 1
"""Raise it with any change of what is joined."""
SHORTEST, LONGEST = 0.4, 15.0
"""Lines between these lengths are used (s)."""
PAUSE = (0.3, 0.8)
"""Shortest and longest silence around a line (s): people who talk to each other wait less than who reads a list."""


def played() -> tuple[list[Mixed], str]:
    """The recordings, scene by scene in a drawn order, and the hash of all their samples and references."""
    return kept(cache_root() / "played" / f"v{VERSION}-{SEED}-full", _make)


def _make() -> Iterator[Made]:
    scenes = [list(scene) for _, scene in groupby(lines(), key=lambda line: line.scene)]
    rng = np.random.default_rng(SEED)
    for place in rng.permutation(len(scenes)):
        for number, (samples, spoken) in enumerate(joined([*_pieces(scenes[place])], None, rng, PAUSE)):
            yield f"{scenes[place][0].scene}-{number:03d}", "acted", samples, spoken


def _pieces(scene: list[Line]) -> Iterator[Piece]:
    for line in scene:
        samples = line.samples()
        if SHORTEST * RATE <= len(samples) <= LONGEST * RATE:
            yield line.id, samples, line.text


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    recordings, digest = played()
    clips = [clip for recording in recordings for clip in recording.spoken]
    words, found = sum(len(clip.text.split()) for clip in clips), sum(r.num_samples for r in recordings) / RATE / 60
    print(f"{len(recordings)} recordings, {len(clips)} lines, {words} words, {found:.1f} minutes")
    print(f"seed {SEED}  sha256 {digest}  {recordings[0].path.parent}")


if __name__ == "__main__":
    main()
