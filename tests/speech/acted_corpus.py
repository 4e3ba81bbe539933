"""The acted play as a team would get it: recordings that nobody transcribed, to learn from, and lines with their words, of other people, to be judged on.

    python tests/speech/acted_corpus.py FOLDER [--minutes 30]

`FOLDER/raw` has a recording for each person and scene, without a word of text; `FOLDER/test` a corpus in NeMo's layout, of ten people whom
`raw` does not have. What people are tested on follows from their names, so it never changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from speech.acted import HERO, Line, lines
from speech.waves import RATE, Pcm, join, write_wave
from voxmill.manifests.ids import digest

NUM_TEST, LEAST_MINUTES = 10, 1.0
"""People of the test, and what each of them says at least."""
PAUSE = RATE // 2


def tested(minutes: Mapping[str, float]) -> set[str]:
    """Who is tested, by how many minutes each person says."""
    able = (name for name, said in minutes.items() if name != HERO and said >= LEAST_MINUTES)
    return set(sorted(able, key=lambda name: digest(["speedrun", name]))[:NUM_TEST])


def write(folder: Path, minutes: float) -> tuple[float, float]:
    """Writes both parts; `minutes` to learn from, at most. Returns the minutes of each."""
    spoken = {line.id: (line, line.samples()) for line in lines() if line.speaker}
    by_person = defaultdict[str, float](float)
    for line, samples in spoken.values():
        by_person[str(line.speaker)] += len(samples) / RATE / 60
    test = tested(by_person)
    raw = _raw(folder / "raw", [(one, wave) for one, wave in spoken.values() if one.speaker not in test], minutes)
    judged = _test(folder / "test", [(one, wave) for one, wave in spoken.values() if one.speaker in test])
    return raw, judged


def _raw(folder: Path, spoken: Sequence[tuple[Line, Pcm]], minutes: float) -> float:
    """A recording for each person and scene, in a drawn order until there is enough."""
    scenes = defaultdict[str, list[Pcm]](list)
    for line, samples in spoken:
        scenes[f"{line.speaker}-{line.scene}".replace("/", "_")].append(samples)
    written = 0.0
    for name in sorted(scenes, key=lambda name: digest(["raw", name])):
        samples, _ = join(scenes[name], [PAUSE] * (len(scenes[name]) + 1))
        if written + len(samples) / RATE / 60 > minutes:
            break
        write_wave(folder / f"{name}.wav", samples)
        written += len(samples) / RATE / 60
    return written


def _test(folder: Path, spoken: Iterable[tuple[Line, Pcm]]) -> float:
    rows = []
    for line, samples in spoken:
        if not 0.4 * RATE <= len(samples) <= 26 * RATE:
            continue
        path = folder / "audio" / f"{line.id}.wav"
        write_wave(path, np.asarray(samples))
        rows.append(
            {
                "audio_filepath": f"audio/{path.name}",
                "duration": len(samples) / RATE,
                "text": line.text,
                "speaker": line.speaker,
            }
        )
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return sum(float(str(row["duration"])) for row in rows) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0, help="to learn from, at most (30)")
    options = parser.parse_args()
    raw, judged = write(options.folder, options.minutes)
    print(
        f"{raw:.1f} minutes to learn from in {options.folder / 'raw'}, {judged:.1f} minutes with words in {options.folder / 'test'}"
    )


if __name__ == "__main__":
    main()
