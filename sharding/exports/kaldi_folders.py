"""Kaldi and ESPnet: a data folder with `wav.scp`, `text`, `utt2spk` and so on, sorted as the C locale does.

Who speaks is not known across segments, so each recording is a speaker: ids begin with it, as both toolkits want it. What their files
have no place for is in `samples.jsonl`, a document for each sample. Paths begin at the folder of the export, or with `--prefix`.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

import soundfile

from voxmill.sharding.exports.export_files import ExportFiles
from voxmill.sharding.exports.export_format import ExportFormat, PartWriter
from voxmill.sharding.exports.exported_sample import ExportedSample
from voxmill.sharding.exports.jsonl_files import document_line

DOCUMENTS = "samples.jsonl"
LISTS = ("wav.scp", "text", "utt2spk", "utt2lang", "utt2dur", "reco2dur", "utt2num_samples", "utt2tier", "ctm")

Sound = Callable[[PartWriter, ExportedSample], str]
"""Writes the sound of a sample and returns its name in the set."""


def _wav(out: PartWriter, sample: ExportedSample) -> str:
    """Kaldi itself reads WAV only: the same samples of 16 bits."""
    pcm, rate = soundfile.read(io.BytesIO(sample.flac), dtype="int16")
    sink = io.BytesIO()
    soundfile.write(sink, pcm, rate, format="WAV", subtype="PCM_16")
    return out.audio(sample, sink.getvalue(), "wav")


def _flac(out: PartWriter, sample: ExportedSample) -> str:
    return out.audio(sample)


def _write(out: PartWriter, samples: Iterator[ExportedSample], sound: Sound) -> None:
    lists: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with out.files.writing(out.share(DOCUMENTS)) as documents:
        for sample in samples:
            path = sound(out, sample)
            documents.write(document_line(sample, path))
            for name, value in _values(sample, out.prefix + out.named(path)):
                lists[name].append((sample.row.key, value))
    for name in LISTS:
        out.lines(name, (f"{key} {value}\n".encode() for key, value in sorted(lists[name], key=lambda one: one[0].encode())))


def _values(sample: ExportedSample, path: str) -> Iterator[tuple[str, str]]:
    row, seconds = sample.row, f"{sample.seconds:.6f}"
    yield "wav.scp", path
    yield "text", " ".join((row.text or "").split())
    yield "utt2spk", _speaker(row.key)
    if row.language:
        yield "utt2lang", row.language
    yield "utt2dur", seconds
    yield "reco2dur", seconds
    yield "utt2num_samples", str(row.num_samples)
    yield "utt2tier", row.tier
    for word in sample.words or ():
        sure = f" {word['confidence']:.4f}" if word["confidence"] is not None else ""
        yield "ctm", f"1 {word['start']:.3f} {word['end'] - word['start']:.3f} {''.join(word['word'].split())}{sure}"


def _speaker(key: str) -> str:
    return key.rsplit("-", 2)[0]


def _derive(files: ExportFiles, folder: str) -> None:
    with files.reading(f"{folder}/utt2spk") as lines, files.writing(f"{folder}/spk2utt") as sink:
        pairs = (line.split() for line in lines)
        for speaker, mine in groupby(pairs, key=lambda pair: bytes(pair[1])):
            sink.write(b" ".join([speaker, *(key for key, _ in mine)]) + b"\n")


def _derive_espnet(files: ExportFiles, folder: str) -> None:
    _derive(files, folder)
    files.put(f"{folder}/feats_type", b"raw\n")
    files.put(f"{folder}/audio_format", b"flac\n")


KALDI = ExportFormat(
    "kaldi",
    "Kaldi: wav.scp, text, utt2spk, ctm, … and WAV files",
    partial(_write, sound=_wav),
    "ln -s $PWD/{set} data/train  # paths in wav.scp begin at this folder, or with --prefix",
    joined=(DOCUMENTS,),
    merged=LISTS,
    derive=_derive,
)
ESPNET = ExportFormat(
    "espnet",
    "ESPnet: wav.scp, text, utt2spk, feats_type, … and FLAC files",
    partial(_write, sound=_flac),
    "ln -s $PWD/{set} dump/raw/train  # paths in wav.scp begin at this folder, or with --prefix",
    joined=(DOCUMENTS,),
    merged=LISTS,
    derive=_derive_espnet,
)
