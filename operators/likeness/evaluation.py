"""The clips of an evaluation set: audio, text, or both; from a JSONL manifest, a folder of files, or a folder of shards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voxmill.manifests.ids import digest
from voxmill.manifests.mistakes import Mistake

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
AUDIO_KEYS = ("audio_filepath", "audio", "path", "wav")
TEXT_KEYS = ("text", "sentence", "transcript", "transcription")


class NoEvaluationSet(Mistake, ValueError):
    """An evaluation set that is not there, or holds nothing."""


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    audio: str | None
    """Path; None where only the text is known."""
    text: str | None
    language: str | None = None
    offset: int | None = None
    """Where the audio lies in the file, in bytes, and how many they are; None: the whole file."""
    size: int = 0


def clips(source: str) -> Iterator[Clip]:
    """In the order of the set. Raises NoEvaluationSet."""
    path = Path(source)
    if path.is_dir():
        found = [*_shards(path), *_folder(path)]
    elif path.exists():
        found = list(_manifest(path))
    else:
        raise NoEvaluationSet(f"no evaluation set at {source}: give a JSONL file, a folder of audio, or a folder of shards")
    if not found:
        raise NoEvaluationSet(
            f"{source} holds no clip: a JSONL file needs `audio_filepath` or `text` on each line, a folder audio"
        )
    yield from found


def sets_digest(sources: Iterable[str]) -> str:
    """What the sets hold now: other clips are another verdict. A set that is not there is known by its name."""
    parts = []
    for source in sources:
        for clip in clips(source) if Path(source).exists() else ():
            size = Path(clip.audio).stat().st_size if clip.audio and Path(clip.audio).exists() else 0
            parts += [source, clip.name, clip.text or "", str(size)]
    return digest(parts) if parts else ""


def _manifest(path: Path) -> Iterator[Clip]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            row = json.loads(line)
            audio = next((row[key] for key in AUDIO_KEYS if isinstance(row.get(key), str)), None)
            text = next((row[key] for key in TEXT_KEYS if isinstance(row.get(key), str)), None)
            if audio or text:
                name = str(row.get("id") or audio or number)
                yield Clip(name, str(path.parent / audio) if audio else None, text, row.get("lang") or row.get("language"))


def _folder(path: Path) -> Iterator[Clip]:
    for audio in sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO):
        words = audio.with_suffix(".txt")
        yield Clip(str(audio.relative_to(path)), str(audio), words.read_text(encoding="utf-8") if words.exists() else None)


def _shards(path: Path) -> Iterator[Clip]:
    """From the Parquet sidecars: text, and where in the tar the FLAC lies."""
    import pyarrow.parquet as pq

    for sidecar in sorted([*path.glob("__metadata__/*.parquet"), *path.glob("*.parquet")]):  # beside the tars until packer 3
        tar = path / f"{sidecar.stem}.tar"
        for row in pq.read_table(sidecar).to_pylist() if tar.exists() else ():
            place = (row["flac_offset"], row["flac_size"])
            yield Clip(row["key"], str(tar), row["text"], row["language"], *place)
