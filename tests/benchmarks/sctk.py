"""NIST SCTK's `rover` as an oracle, and random cases for it: what several systems make of one sentence.

Two things about the tool shape its input. It cuts its files wherever all systems pause, so every word here lasts long enough to
overlap all others; and it loses a last utterance of one word, so an extra one is written behind. It folds the case of ASCII letters
only, and it holds confidences in single precision: `fold` and `confidences` do the same to what we are given.
"""

from __future__ import annotations

import random
import shutil
import string
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

GET = "NIST SCTK's rover is not installed: `apt-get install sctk` (Debian, Ubuntu), or build github.com/usnistgov/SCTK"

Case = list[list[str]]
"""One sequence of words per system."""
Confidences = list[list[float]]

LATIN = [a + b for a in ("the", "Wa", "co", "mé", "STR", "l'", "x") for b in ("", "n", "ter", "ça", "-ing", "2")]
HAN = [chr(0x4E00 + 97 * k) for k in range(60)]
SCRIPTS = {"Latin": LATIN, "Chinese": HAN, "mixed": LATIN[:20] + HAN[:40]}

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def rover_binary() -> str | None:
    """Debian keeps SCTK's programs off the path."""
    return shutil.which("rover") or shutil.which("/usr/lib/sctk/bin/rover")


def fold(case: Case) -> Case:
    return [[word.translate(_LOWER) for word in words] for words in case]


def random_cases(seed: int, script: str, systems: int, count: int, longest: int = 40) -> list[Case]:
    """Sentences of 1 to `longest` words as each system heard them, from nearly clean to pure noise; small vocabularies make ties."""
    rng = random.Random(f"{seed} {script} {systems}")
    cases = []
    for _ in range(count):
        vocabulary = rng.sample(SCRIPTS[script], rng.choice((3, 8, 40)))
        sentence = rng.choices(vocabulary, k=rng.randint(1, longest))
        cases.append([_misheard(rng, sentence, vocabulary, rng.choice((0.02, 0.1, 0.3, 0.6, 1.0))) for _ in range(systems)])
    return cases


def _misheard(rng: random.Random, sentence: Sequence[str], vocabulary: Sequence[str], noise: float) -> list[str]:
    heard = []
    for word in sentence:
        fate = rng.random() / noise
        if fate < 0.25:
            continue
        heard.append(rng.choice(vocabulary) if fate < 0.75 else word)
        if fate > 1.0 - 0.25 and rng.random() < noise * 0.3:
            heard.append(rng.choice(vocabulary))
    return heard or [rng.choice(vocabulary)]  # SCTK cannot say that a system heard nothing in one utterance of many


def random_confidences(seed: int, cases: Sequence[Case]) -> list[Confidences]:
    """Half of them from a coarse grid, so that scores tie."""
    rng = random.Random(seed)
    return [
        [[float(np.float32(rng.choice((0.5, 0.8, round(rng.random(), 3))))) for _ in words] for words in case] for case in cases
    ]


def sctk_rover(
    cases: Sequence[Case],
    confidences: Sequence[Confidences] | None = None,
    method: str = "meth1",
    alpha: float = 1.0,
    null_confidence: float = 0.0,
) -> list[list[str]]:
    """The words that SCTK's rover chooses for each case, all in one process. Raises RuntimeError where it fails or is absent."""
    binary = rover_binary()
    if binary is None:
        raise RuntimeError(GET)
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "-m", method, "-a", repr(alpha), "-c", repr(null_confidence), "-f", "0", "-o", f"{folder}/out"]
        for system in range(len(cases[0])):
            path = Path(folder, f"{system}.ctm")
            path.write_text("".join(_ctm(cases, confidences, system)), encoding="utf-8")
            command += ["-h", str(path), "ctm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"rover ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
        chosen: list[list[str]] = [[] for _ in range(len(cases) + 1)]
        for line in Path(folder, "out").read_text(encoding="utf-8").splitlines():
            utterance, _, _, _, word, *_ = line.split()
            chosen[int(utterance[1:])].append(word)
    return chosen[:-1]


def _ctm(cases: Sequence[Case], confidences: Sequence[Confidences] | None, system: int) -> list[str]:
    lines = []
    for number, case in enumerate(cases):
        for place, word in enumerate(case[system]):
            confidence = confidences[number][system][place] if confidences else 0.5
            lines.append(f"u{number:06d} A {place * 0.01:.2f} 100.00 {word} {confidence:.9g}\n")
    lines += [f"u{len(cases):06d} A {place * 0.01:.2f} 100.00 end 0.5\n" for place in range(2)]
    return lines
