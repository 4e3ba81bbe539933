"""By whom it is said: voices of eSpeak NG, a formant synthesiser, under noise or through a telephone.

A voice is an accent with one of eSpeak's variants of the vocal tract; variants held out for the test are never heard in training. All
of them share one engine: what is held out is a voice, not a synthesiser, and no claim about human voices rests on it.
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from speech import noise
from speech.waves import RATE, Pcm
from voxmill.manifests.ids import digest

TRAIN_VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f4", "Andy", "Alex", "Alicia", "Andrea", "Annie", "antonio", "benjamin",
    "boris", "caleb", "david", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "iven", "Jacky", "linda", "marcelo", "Marco", "max",
    "michel", "Mike", "Nguyen", "pablo", "paul", "quincy", "rob", "steph", "zac", "victor", "sandro", "shelby", "travis",
)  # fmt: skip
TEST_VARIANTS = ("m6", "m8", "f3", "f5", "adam", "belinda", "edward", "Lee", "Mario", "Michael", "miguel", "pedro")
"""Names of files: eSpeak answers to an unknown one with its plain voice, and without a word."""
ACCENTS = {
    "en": ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029"),
    "es": ("es", "es-419"),
    "fr": ("fr", "fr-be"),
    "it": ("it",),
    "de": ("de",),
}


@dataclass(frozen=True, slots=True)
class Voice:
    accent: str
    variant: str
    pitch: int = 50
    """eSpeak's 0 to 99."""
    rate: int = 170
    """Words per minute."""


@dataclass(frozen=True, slots=True)
class Room:
    """What lies between mouth and microphone."""

    snr_db: float | None = None
    """White noise this far below the speech; None: none."""
    narrow: bool = False
    """Through a telephone: sampled at 8 kHz in the 8 bits of G.711's mu-law, 300 to 3,400 Hz."""


CLEAR = Room()


def draw_voice(draw: random.Random, split: str, language: str = "en") -> Voice:
    variants = TEST_VARIANTS if split == "test" else TRAIN_VARIANTS
    return Voice(draw.choice(ACCENTS[language]), draw.choice(variants), draw.randint(35, 65), draw.randint(150, 190))


def synthesiser() -> str:
    """Path of the program. Ends the run where it is not installed: only who makes a corpus needs it."""
    missing = "espeak-ng is not installed, and the corpus is not in the cache: apt-get install espeak-ng"
    return shutil.which("espeak-ng") or sys.exit(missing)


def synthesise(text: str, voice: Voice) -> Pcm:
    """Clean speech at 16 kHz, with the synthesiser's own short silences around it."""
    import soundfile
    import torch

    from voxmill.models.data.augment import resample

    settings = ["-v", f"{voice.accent}+{voice.variant}", "-p", str(voice.pitch), "-s", str(voice.rate)]
    spoken = subprocess.run([synthesiser(), *settings, "--stdout", text], capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(_with_length(spoken)), dtype="float64")
    wave_S = resample(torch.from_numpy(samples), round(len(samples) * RATE / rate))
    return noise.to_pcm(wave_S.numpy() * 32767.0)


def heard_in(room: Room, samples: Pcm, seed: str) -> Pcm:
    """The same speech in that room; the noise follows from `seed`."""
    if room.snr_db is not None:
        rng = np.random.default_rng(int(digest([seed])[:15], 16))
        samples = noise.add_noise(samples, [(0, len(samples))], noise.white(len(samples), rng), room.snr_db)
    return _telephoned(samples) if room.narrow else samples


def _telephoned(samples: Pcm) -> Pcm:
    import torch

    from voxmill.models.data.augment import telephone

    line_S = torch.from_numpy(noise.band_limit(samples).astype(np.float64))
    return noise.to_pcm(32768.0 * telephone(line_S / 32768.0, mu_law=True).numpy())


def _with_length(wave: bytes) -> bytes:
    """eSpeak writes to a pipe before it knows how long the file will be: both lengths of the header are filled in."""
    size = len(wave) - 44
    return wave[:4] + (size + 36).to_bytes(4, "little") + wave[8:40] + size.to_bytes(4, "little") + wave[44:]
