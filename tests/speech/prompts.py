"""Real recorded speech with transcripts, from Debian packages: Asterisk's telephone prompts.

One professional speaker a language, 16 kHz, some twenty minutes each, CC-BY-SA-3.0. The packages are downloaded, not installed.
Clips are short: join them with pauses to make recordings (`waves.join`).

    python tests/speech/prompts.py en es
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from speech.cache import cache_root, made_once
from speech.debian import unpack
from speech.waves import RATE, decode, write_wave

LICENCE = "cc-by-sa-3.0"
ATTRIBUTION = "Asterisk Core Sounds 1.6.1, Copyright 2003-2012 Digium, Inc. and the speakers"


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks a language, and what the package's prompts and transcripts hash to.

    The pin is on content: distributions rebuild the same upstream release into packages of other bytes.
    """

    folder: str
    credit: str
    sha256: str


VOICES = {
    "en": Voice("en_US_f_Allison", "Allison Smith", "7384174bfcc85622e14e275b2a2085304be1f5df8231ea11079a5428f12a3286"),
    "es": Voice("es_MX_f_Allison", "Allison Smith", "9267e69be8265c50a7f5be50bc191c351a0a84eee24197cd20d99af2babb0544"),
    "fr": Voice("fr_CA_f_June", "June Wallack", "53d7e0541450cb5ba978bbb9b08e484c073532ae369de9776ebe0302cd94f258"),
    "it": Voice("it_IT_m_Carlo", "Carlo Flora", "d5ebea1dad35e552b8a873eda2b3ff53d48cc3b3d9f5e3d22821967b07f8de88"),
}

GSM = {
    "es": "91edee5fab0212c0a70e075322e93c0b7e44c880a7d6ab705a09bb66933bc94f",
    "fr": "48ae3a7f2ecd87633cfbc6ef474ac6599597dcc405c76a23c2ef0b84c2dfbce8",
    "it": "e42960c57b6f95e1d1284f3556eb341f3f522382928cf369a1615630447f51ae",
}
"""What the same clips hash to as they are packaged for mobile telephones."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One clip: 16 kHz mono 16-bit wav at `path`, and the words spoken in it. The Spanish texts lack accents."""

    id: str
    language: str
    speaker: str
    text: str
    path: Path
    num_samples: int

    @property
    def seconds(self) -> float:
        return self.num_samples / RATE


def prompts(language: str, cache_dir: Path | None = None) -> list[Prompt]:
    """All usable prompts of a language, by id. The first call downloads 10 MB and decodes; later ones read a list.

    Raises PackagesUnavailable where apt cannot deliver, ValueError where the content is not the pinned release.
    """
    voice = VOICES[language]
    home = (cache_dir or cache_root()) / "speech" / f"asterisk-{voice.sha256[:12]}-{language}"
    made_once(home, lambda work: _make(language, work))
    rows = map(json.loads, (home / "prompts.jsonl").read_text(encoding="utf8").splitlines())
    return [Prompt(**{**row, "path": home / row["path"]}) for row in rows]


def narrow_band(language: str) -> dict[str, Path]:
    """The clips of a language as Asterisk has them for mobile telephones (GSM 06.10, 8 kHz), by a prompt's id, at 16 kHz again.

    Raises as `prompts` does.
    """
    home = made_once(cache_root() / "speech" / f"asterisk-gsm-{GSM[language][:12]}-{language}", partial(_make_narrow, language))
    return {f"{language}_{path.stem}": path for path in sorted(home.glob("*.wav"))}


def _make_narrow(language: str, work: Path) -> None:
    unpacked = work / "unpacked"
    unpacked.mkdir()
    unpack([f"asterisk-core-sounds-{language}-gsm"], unpacked)
    sounds = unpacked / "usr/share/asterisk/sounds" / VOICES[language].folder
    found = {path.relative_to(sounds).with_suffix("").as_posix(): path for path in sorted(sounds.rglob("*.gsm"))}
    lines = [f"{key}\t{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for key, path in found.items()]
    if (content := hashlib.sha256("".join(lines).encode()).hexdigest()) != GSM[language]:
        raise ValueError(f"Asterisk's {language} prompts for GSM hash to {content}, not to those of release 1.6.1")
    for key, path in found.items():
        write_wave(work / f"{key.replace('/', '_')}.wav", decode(path, container="gsm"))
    shutil.rmtree(unpacked)


def is_spoken(key: str, text: str) -> bool:
    """Whether a transcript says what is heard: not a tone, not silence, no stage direction, no symbol read out by name.

    >>> is_spoken("activated", "Activated."), is_spoken("beep", "[a beep]"), is_spoken("x", "press * to toggle")
    (True, False, False)
    """
    return bool(re.search(r"\w", text)) and not re.search(r"[][()<>@*#=+/$]", text) and not re.search(r"tone|silence|beep", key)


def _make(language: str, work: Path) -> None:
    """Downloads, checks, decodes; writes `work/<id>.wav` and `work/prompts.jsonl`."""
    voice = VOICES[language]
    unpacked = work / "unpacked"
    unpacked.mkdir()
    unpack([f"asterisk-core-sounds-{language}", f"asterisk-core-sounds-{language}-g722"], unpacked)
    texts = _transcripts(unpacked / f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz")
    sounds = unpacked / "usr/share/asterisk/sounds" / voice.folder
    found = {key: sounds / f"{key}.g722" for key in sorted(texts) if (sounds / f"{key}.g722").is_file()}
    content = hashlib.sha256()
    for key, path in found.items():
        content.update(f"{key}\t{texts[key]}\t{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    if content.hexdigest() != voice.sha256:
        raise ValueError(f"Asterisk's {language} prompts hash to {content.hexdigest()}, not to those of release 1.6.1")
    rows = []
    for key, path in found.items():
        if is_spoken(key, texts[key]):
            name = key.replace("/", "_")
            samples = decode(path, container="g722")
            write_wave(work / f"{name}.wav", samples)
            row = {"id": f"{language}_{name}", "language": language, "speaker": voice.folder, "text": texts[key]}
            rows.append(row | {"path": f"{name}.wav", "num_samples": len(samples)})
    shutil.rmtree(unpacked)
    listing = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (work / "prompts.jsonl").write_text(listing, encoding="utf8")


def _transcripts(path: Path) -> dict[str, str]:
    with gzip.open(path, "rt", encoding="utf-8-sig", errors="replace") as lines:
        matches = (re.match(r"([\w\-/]+):\s*(.+)", line.strip()) for line in lines)
        return {match[1]: re.sub(r"\s+", " ", match[2]) for match in matches if match}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", default=sorted(VOICES), metavar="language", help=" ".join(VOICES))
    for language in parser.parse_args().languages:
        clips = prompts(language)
        minutes = sum(clip.seconds for clip in clips) / 60
        print(f"{language}  {len(clips)} clips  {minutes:.1f} minutes  {clips[0].path.parent}")


if __name__ == "__main__":
    main()
