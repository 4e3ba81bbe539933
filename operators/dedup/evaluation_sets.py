"""Reads evaluation sets (audio, text, or both): a JSONL manifest, a folder of files, or a folder of shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voxmill.manifests.errors import UserError
from voxmill.manifests.ids import digest
from voxmill.manifests.user_input import json_lines, text

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
AUDIO_KEYS = ("audio_filepath", "audio", "path", "wav")
COLUMNS = ("key", "text", "language", "flac_offset", "flac_size")
WANTED = "a JSONL file needs `audio_filepath` or `text` on each line"
TEXT_KEYS = ("text", "sentence", "transcript", "transcription")


class NoEvaluationSet(UserError, ValueError):
    """The evaluation set does not exist, or holds nothing."""


@dataclass(frozen=True, slots=True)
class EvaluationClip:
    """One clip of an evaluation set."""

    name: str
    audio: str | None
    """Path; None where only the text is known."""
    text: str | None
    language: str | None = None
    offset: int | None = None
    """Byte offset of the audio in the file, `size` bytes long; None: the whole file."""
    size: int = 0


def clips(source: str) -> Iterator[EvaluationClip]:
    """The clips of a set, in its order. Raises NoEvaluationSet."""
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
    """Digest of the current content of the sets, part of the fingerprint of results. A missing set counts by its name."""
    parts = []
    for source in sources:
        for clip in clips(source) if Path(source).exists() else ():
            size = Path(clip.audio).stat().st_size if clip.audio and Path(clip.audio).exists() else 0
            parts += [source, clip.name, clip.text or "", str(size)]
    return digest(parts) if parts else ""


def _manifest(path: Path) -> Iterator[EvaluationClip]:
    for where, row in json_lines(path, "evaluation set", WANTED, NoEvaluationSet):
        audio = next((row[key] for key in AUDIO_KEYS if isinstance(row.get(key), str)), None)
        words = next((row[key] for key in TEXT_KEYS if isinstance(row.get(key), str)), None)
        language = next((row[key] for key in ("lang", "language") if isinstance(row.get(key), str)), None)
        if audio or words:
            name = str(row.get("id") or audio or where.rpartition(" ")[2])
            yield EvaluationClip(name, str(path.parent / audio) if audio else None, words, language)


def _folder(path: Path) -> Iterator[EvaluationClip]:
    for audio in sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO):
        words = audio.with_suffix(".txt")
        yield EvaluationClip(
            str(audio.relative_to(path)),
            str(audio),
            text(words, "transcript", "write it as UTF-8", NoEvaluationSet) if words.exists() else None,
        )


def _shards(path: Path) -> Iterator[EvaluationClip]:
    """From the Parquet sidecars: text, and where in the tar the FLAC lies."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for sidecar in sorted([*path.glob("__metadata__/*.parquet"), *path.glob("*.parquet")]):  # beside the tars until packer 3
        tar = path / f"{sidecar.stem}.tar"
        try:
            rows = pq.read_table(sidecar, columns=list(COLUMNS)).to_pylist() if tar.exists() else []
        except (pa.ArrowException, OSError, KeyError) as error:
            raise NoEvaluationSet(
                f"{sidecar} is no sidecar of a shard ({error}): give a folder of shards as voxmill packs them"
            ) from None
        for row in rows:
            key, words, language, *place = (row[name] for name in COLUMNS)
            yield EvaluationClip(key, str(tar), words, language, *place)
