"""One small corpus in every layout that voxmill reads: written by the other projects' own writers where they have one, and read by their own readers."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from nemo_package import nemo_reader

RATE = 16_000


@dataclass(frozen=True, eq=False)
class Clip:
    """One utterance: a name, who speaks, what is said, and its samples at 16 kHz."""

    name: str
    speaker: str
    text: str
    audio: NDArray[np.float32]


class Told(NamedTuple):
    """What a reader says of one utterance."""

    text: str
    seconds: float


@dataclass(frozen=True)
class CorpusForm:
    """A layout: the kind of source, how it is written, and how the project that it comes from reads it."""

    kind: str
    write: Callable[[Sequence[Clip], Path], None]
    read: Callable[[Path], Iterator[Told]]


def flac(clip: Clip) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, clip.audio, RATE, format="FLAC", subtype="PCM_16")
    return target.getvalue()


def _files(clips: Sequence[Clip], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {clip.name: folder / f"{clip.name}.flac" for clip in clips}
    for clip in clips:
        paths[clip.name].write_bytes(flac(clip))
    return paths


def write_librispeech(clips: Sequence[Clip], root: Path) -> None:
    for number, clip in enumerate(clips):
        chapter = root / "dev-clean" / str(100 + number % 3) / "7"
        chapter.mkdir(parents=True, exist_ok=True)
        key = f"{100 + number % 3}-7-{number:04d}"
        (chapter / f"{key}.flac").write_bytes(flac(clip))
        with (chapter / f"{100 + number % 3}-7.trans.txt").open("a", encoding="utf8") as lines:
            lines.write(f"{key} {clip.text}\n")


def read_librispeech(root: Path) -> Iterator[Told]:
    from lhotse.recipes import prepare_librispeech

    for part in prepare_librispeech(root).values():
        yield from (Told(one.text, one.duration) for one in part["supervisions"])


def write_common_voice(clips: Sequence[Clip], root: Path) -> None:
    _files(clips, root / "clips")
    heads = [
        "client_id",
        "path",
        "sentence",
        "up_votes",
        "down_votes",
        "age",
        "gender",
        "accents",
        "variant",
        "locale",
        "segment",
    ]
    rows = [[c.speaker, f"{c.name}.flac", c.text, "2", "0", "", "female", "", "", "en", ""] for c in clips]
    (root / "validated.tsv").write_text("".join("\t".join(row) + "\n" for row in [heads, *rows]), encoding="utf8")


def read_common_voice(root: Path) -> Iterator[Told]:
    from lhotse.recipes.commonvoice import _prepare_part

    _, said = _prepare_part(lang="en", part="validated", lang_path=root)
    yield from (Told(one.text, one.duration) for one in said)


def write_kaldi(clips: Sequence[Clip], root: Path) -> None:
    """All clips of a speaker in one file with pauses, and `segments`."""
    wav, segments, text, speakers = [], [], [], []
    for speaker in sorted({clip.speaker for clip in clips}):
        pieces, place = [], 0
        for clip in (one for one in clips if one.speaker == speaker):
            pieces += [np.zeros(RATE // 4, np.float32), clip.audio]
            place += RATE // 4
            key = f"{speaker}-{clip.name}"
            segments.append(f"{key} {speaker} {place / RATE:.6f} {(place + len(clip.audio)) / RATE:.6f}")
            text.append(f"{key} {clip.text}")
            speakers.append(f"{key} {speaker}")
            place += len(clip.audio)
        root.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / f"{speaker}.wav", np.concatenate(pieces), RATE, subtype="PCM_16")
        wav.append(f"{speaker} {root / f'{speaker}.wav'}")
    for name, lines in {"wav.scp": wav, "segments": segments, "text": text, "utt2spk": speakers}.items():
        (root / name).write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf8")


def read_kaldi(root: Path) -> Iterator[Told]:
    import lhotse

    _, said, _ = lhotse.kaldi.load_kaldi_data_dir(root, RATE)
    yield from (Told(one.text, one.duration) for one in said)


def write_nemo(clips: Sequence[Clip], root: Path) -> None:
    """Plain: two lines a file, for the halves of each clip, so that `offset` counts."""
    paths = _files(clips, root / "wavs")
    with (root / "manifest.json").open("w", encoding="utf8") as lines:
        for clip in clips:
            half = len(clip.audio) // 2 / RATE
            for offset, duration in ((0.0, half), (half, len(clip.audio) / RATE - half)):
                row = {
                    "audio_filepath": f"wavs/{paths[clip.name].name}",
                    "offset": offset,
                    "duration": duration,
                    "text": clip.text,
                    "lang": "en",
                }
                lines.write(json.dumps(row) + "\n")


def read_nemo(root: Path) -> Iterator[Told]:
    cuts = nemo_reader("nemo_adapters").LazyNeMoIterator(str(root / "manifest.json"))
    yield from (Told(cut.supervisions[0].text, cut.duration) for cut in cuts)


def write_tarred_nemo(clips: Sequence[Clip], root: Path) -> None:
    root.mkdir(parents=True)
    for shard in range(2):
        mine = clips[shard::2]
        with tarfile.open(root / f"audio_{shard}.tar", "w") as tar:
            for clip in mine:
                _member(tar, f"{clip.name}.flac", flac(clip))
        rows = [
            {
                "audio_filepath": f"{c.name}.flac",
                "duration": len(c.audio) / RATE,
                "text": c.text,
                "lang": "en",
                "shard_id": shard,
            }
            for c in mine
        ]
        (root / f"manifest_{shard}.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")


def read_tarred_nemo(root: Path) -> Iterator[Told]:
    manifests, tars = (sorted(map(str, root.glob(pattern))) for pattern in ("manifest_*.json", "audio_*.tar"))
    cuts = nemo_reader("nemo_adapters").LazyNeMoTarredIterator(manifests, tars)
    yield from (Told(cut.supervisions[0].text, cut.duration) for cut in cuts)


def _member(tar: tarfile.TarFile, name: str, blob: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(blob)
    tar.addfile(info, io.BytesIO(blob))


def write_webdataset(clips: Sequence[Clip], root: Path) -> None:
    import webdataset

    root.mkdir(parents=True)
    for shard in range(2):
        with webdataset.TarWriter(str(root / f"{shard:06d}.tar")) as writer:
            for clip in clips[shard::2]:
                row = {"text": clip.text, "speaker": clip.speaker, "language": "en"}
                writer.write({"__key__": clip.name, "flac": flac(clip), "json": row})


def read_webdataset(root: Path) -> Iterator[Told]:
    import webdataset

    for sample in webdataset.WebDataset(sorted(map(str, root.glob("*.tar"))), shardshuffle=False):
        info = soundfile.info(io.BytesIO(sample["flac"]))
        yield Told(json.loads(sample["json"])["text"], info.frames / info.samplerate)


def _cuts(clips: Sequence[Clip], root: Path) -> Any:
    """A recording for each speaker, with pauses between clips; a cut for all of it, with a supervision for each clip."""
    import lhotse

    cuts = []
    for speaker in sorted({clip.speaker for clip in clips}):
        pieces, said, place = [], [], 0
        for clip in (one for one in clips if one.speaker == speaker):
            pieces += [np.zeros(RATE // 5, np.float32), clip.audio]
            place += RATE // 5
            span = {"start": place / RATE, "duration": len(clip.audio) / RATE}
            said.append(lhotse.SupervisionSegment(clip.name, speaker, text=clip.text, speaker=speaker, language="en", **span))
            place += len(clip.audio)
        root.mkdir(parents=True, exist_ok=True)
        path = root / f"{speaker}.flac"
        soundfile.write(path, np.concatenate(pieces), RATE, subtype="PCM_16")
        recording = lhotse.Recording.from_file(path, recording_id=speaker)
        cuts.append(lhotse.MonoCut(f"cut-{speaker}", 0, recording.duration, 0, said, recording=recording))
    return lhotse.CutSet.from_cuts(cuts)


def write_lhotse(clips: Sequence[Clip], root: Path) -> None:
    _cuts(clips, root).to_file(root / "cuts.jsonl.gz")


def read_lhotse(root: Path) -> Iterator[Told]:
    import lhotse

    for cut in lhotse.CutSet.from_file(root / "cuts.jsonl.gz"):
        yield from (Told(one.text, one.duration) for one in cut.supervisions)


def write_shar(clips: Sequence[Clip], root: Path) -> None:
    root.mkdir(parents=True)
    cuts = _cuts(clips, root.with_name(f"{root.name}-files")).trim_to_supervisions().to_eager()
    cuts.to_shar(root, fields={"recording": "flac"}, shard_size=3)


def read_shar(root: Path) -> Iterator[Told]:
    import lhotse

    for cut in lhotse.CutSet.from_shar(in_dir=root):
        yield from (Told(one.text, one.duration) for one in cut.supervisions)


def _dataset(clips: Sequence[Clip]) -> Any:
    import datasets

    features = datasets.Features(
        {"audio": datasets.Audio(), "sentence": datasets.Value("string"), "speaker_id": datasets.Value("string")}
    )
    rows = [{"audio": {"bytes": flac(c), "path": f"{c.name}.flac"}, "sentence": c.text, "speaker_id": c.speaker} for c in clips]
    return datasets.Dataset.from_list(rows, features=features)


def write_hf(clips: Sequence[Clip], root: Path) -> None:
    """As `push_to_hub` leaves it: Parquet files in `data`."""
    (root / "data").mkdir(parents=True)
    whole = _dataset(clips)
    for shard in range(2):
        whole.shard(2, shard).to_parquet(root / "data" / f"train-{shard:05d}-of-00002.parquet")


def read_hf(root: Path) -> Iterator[Told]:
    import datasets

    with _cache(root) as cache:
        yield from _told(datasets.load_dataset(str(root), split="train", cache_dir=cache))


def write_hf_arrow(clips: Sequence[Clip], root: Path) -> None:
    _dataset(clips).save_to_disk(root, num_shards=2)


def read_hf_arrow(root: Path) -> Iterator[Told]:
    import datasets

    yield from _told(datasets.load_from_disk(str(root)))


def _told(dataset: Any) -> Iterator[Told]:
    import datasets

    for row in dataset.cast_column("audio", datasets.Audio(decode=False)):
        info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
        yield Told(row["sentence"], info.frames / info.samplerate)


@contextmanager
def _cache(root: Path) -> Iterator[str]:
    folder = root.with_name(f"{root.name}-cache")
    os.makedirs(folder, exist_ok=True)
    yield str(folder)


FORMS: Mapping[str, CorpusForm] = {
    "librispeech": CorpusForm("librispeech", write_librispeech, read_librispeech),
    "common-voice": CorpusForm("common-voice", write_common_voice, read_common_voice),
    "kaldi": CorpusForm("kaldi", write_kaldi, read_kaldi),
    "nemo": CorpusForm("nemo", write_nemo, read_nemo),
    "nemo, tarred": CorpusForm("nemo", write_tarred_nemo, read_tarred_nemo),
    "lhotse, cuts": CorpusForm("lhotse", write_lhotse, read_lhotse),
    "lhotse, Shar": CorpusForm("lhotse", write_shar, read_shar),
    "hf, Parquet": CorpusForm("hf", write_hf, read_hf),
    "hf, Arrow": CorpusForm("hf", write_hf_arrow, read_hf_arrow),
    "webdataset": CorpusForm("webdataset", write_webdataset, read_webdataset),
}
"""Seven layouts, three of them in two forms."""
