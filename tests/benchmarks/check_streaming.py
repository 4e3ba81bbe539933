"""`make check-streaming`: is a model on a stream the model that was trained, and does sherpa-onnx say the same?

A small elastic Conformer with CTC and a transducer learns the demo's files (real speech, crawled from a folder) by heart, so that it says
words: its figures are of times and equality, not of recognition. Then every clip is streamed in pieces of random size.

    frames       cached encoder against the masked one, on all clips, largest difference of any number
    tokens       stream against `decode.py` over the masked encoder; sherpa-onnx's own decoder over the export against the stream
    word times   where a word begins, against pocketsphinx's forced alignment of what was said, for words that the stream got right

    python tests/benchmarks/check_streaming.py [--full]        full: all clips and more steps
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import product
from pathlib import Path
from typing import Any, Literal

sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import regex
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.check_balance import make_shards
from benchmarks.report import Target, finish, full_form, heading, table
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.checkpoint.checkpoint import Bundle, latest, load
from voxmill.models.common.features import fbank
from voxmill.models.data.targets import read_utterance
from voxmill.models.inference.decode import ctc_greedy, transducer_greedy
from voxmill.models.inference.recognized_words import RecognizedWord
from voxmill.models.inference.sherpa_export import export_sherpa
from voxmill.models.inference.streaming import SpeechStream, StreamingConfig, StreamingRecognizer
from voxmill.models.network.model import Conditions, EncoderOutput
from voxmill.models.network.streaming_encoder import LOOKAHEAD, STRIDE, StreamingEncoder
from voxmill.models.training.recipe import load_recipe
from voxmill.models.training.session import train
from voxmill.sharding.reader import read_run

RECIPE = (
    "tokens.num_subwords=300", "model.encoder.layers=4", "model.encoder.dim=144", "model.encoder.hidden=576", "model.encoder.dropout=0",
    "model.emoe.experts=4", "model.emoe.top_k=2", "model.emoe.width=144", "model.emoe.schedule={experts: [4], top_k: [2], width: [144]}",
    "model.transducer={dim: 128, joiner: 128}", "data.example.augment=null", "data.plan.batch_seconds=30",
    "train.rate={peak: 2.0e-3, warmup: 40, shape: cosine}", "train.save_every=1000",
)  # fmt: skip
METHODS: tuple[Literal["ctc", "transducer"], ...] = ("ctc", "transducer")
SHAPES = ((4, 16), (8, 64), (16, 64), (32, 128))
"""Chunk and what is seen before it, in frames of 40 ms."""
TIMED = StreamingConfig(chunk=8, left=64, method="ctc")


@dataclass(frozen=True)
class Clip:
    """A clip of real speech that the model knows."""

    wave: NDArray[np.float32]
    text: str

    @property
    def seconds(self) -> float:
        return len(self.wave) / SAMPLE_RATE


def learn(shards: str, out: str, steps: int) -> Bundle:
    """The model after so many steps."""
    train(shards, out, load_recipe("taste", (*RECIPE, f"train.steps={steps}")), "cpu", [])
    return load(latest(out) or out)


def clips(shards: str) -> list[Clip]:
    """All of the training split, in the order of the index."""
    found = [Clip(sample.audio, read_utterance(sample.document).text or "") for sample in read_run(shards)]
    return [clip for clip in found if clip.text and len(clip.wave) > SAMPLE_RATE]


def masked(bundle: Bundle, clip: Clip, config: StreamingConfig) -> tuple[EncoderOutput, tuple[int, ...]]:
    """Frames of the masked encoder over the whole clip, and the tokens that a search says of them."""
    feature_BTM = fbank(torch.from_numpy(clip.wave), bundle.model.config.fbank)[None]
    given = Conditions(chunk=config.chunk, left=config.left)
    with torch.no_grad():
        encoded = bundle.model.encode(feature_BTM, torch.tensor([feature_BTM.shape[1]]), given)
        special = range(bundle.tokens.num_subwords, len(bundle.tokens))
        if config.method == "ctc":
            log_TV = bundle.model.ctc_of(encoded)[0]
            log_TV[:, list(special)] = -torch.inf
            return encoded, ctc_greedy(log_TV).tokens
        assert bundle.model.transducer is not None
        said = transducer_greedy(bundle.model.transducer, encoded.frame_BTD[0], config.most, list(special))
        return encoded, said.tokens


def cached(bundle: Bundle, clip: Clip, config: StreamingConfig) -> Tensor:
    """Frames of the encoder with its caches, chunk after chunk."""
    encoder = StreamingEncoder(bundle.model, config.left).eval()
    feature_TM, state, found = fbank(torch.from_numpy(clip.wave), bundle.model.config.fbank), encoder.start(), []
    with torch.no_grad():
        for at in range(0, len(feature_TM) - STRIDE - LOOKAHEAD + 1, STRIDE * config.chunk):
            frame_BTD, state = encoder(feature_TM[None, at : at + STRIDE * config.chunk + LOOKAHEAD], state)
            found.append(frame_BTD)
    return torch.cat(found, dim=1)


def streamed(recognizer: StreamingRecognizer, clip: Clip, pieces: random.Random) -> tuple[SpeechStream, float, list[float]]:
    """The finished stream, CPU seconds, and how long each piece that completed a chunk took."""
    stream, at, waits, begin = recognizer.stream(), 0, [], time.process_time()
    while at < len(clip.wave):
        size, started, chunks = pieces.randint(100, 8000), time.perf_counter(), stream.heard
        stream.accept(clip.wave[at : at + size])
        if stream.heard > chunks:
            waits.append((time.perf_counter() - started) / (stream.heard - chunks))
        at += size
    stream.finish()
    return stream, time.process_time() - begin, waits


def by_sherpa(folder: Path, clip: Clip) -> list[str]:
    """The tokens that sherpa-onnx's decoder says, spelt as it spells them."""
    import sherpa_onnx

    told = json.loads((folder / "model.json").read_text())["sherpa_onnx"]
    files = {name: str(folder / f"{name}.onnx") for name in ("encoder", "decoder", "joiner")}
    recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(tokens=str(folder / "tokens.txt"), **files, **told)
    stream = recognizer.create_stream()
    stream.accept_waveform(SAMPLE_RATE, np.concatenate([clip.wave, np.zeros(SAMPLE_RATE, np.float32)]))
    while recognizer.is_ready(stream):
        recognizer.decode_stream(stream)
    return list(recognizer.tokens(stream))


def spelt(token: str) -> str:
    """A token as sherpa-onnx shows it: a space for the mark of a word's beginning, a printable byte as its letter."""
    byte = int(token[3:5], 16) if token.startswith("<0x") else 0
    return chr(byte) if 32 < byte < 127 else token.replace("▁", " ")


def aligned(clip: Clip, words: Sequence[str]) -> list[tuple[float, float]] | None:
    """Start and end of each word by pocketsphinx's forced alignment; None where it lacks a word or finds no way."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    if not words or any(decoder.lookup_word(word) is None for word in words):
        return None
    try:
        decoder.set_align_text(" ".join(words))
        decoder.start_utt()
        decoder.process_raw((clip.wave * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
    except RuntimeError:
        return None
    found = [(one.start_frame / 100, (one.end_frame + 1) / 100) for one in decoder.seg() or () if one.word[0] not in "<["]
    return found if len(found) == len(words) else None


def apart(clip: Clip, heard: Sequence[RecognizedWord]) -> list[float]:
    """Seconds from where the aligner begins a word to where the stream does, for words that the stream got right."""
    words = regex.findall(r"[a-z']+", clip.text.lower())
    times = aligned(clip, words)
    if times is None:
        return []
    said = ["".join(regex.findall(r"[a-z']+", word.text.lower())) for word in heard]
    blocks = SequenceMatcher(None, words, said, autojunk=False).get_matching_blocks()
    return [heard[b.b + k].start - times[b.a + k][0] for b in blocks for k in range(b.size)]


def main() -> None:
    full = full_form(sys.argv)
    heading(
        "check-streaming",
        full,
        "the demo's files, kept by two recognisers",
        ["torch", "onnxruntime", "sherpa_onnx", "pocketsphinx"],
    )
    pieces, figures, rows = random.Random(20261130), dict[str, Any](), []
    with tempfile.TemporaryDirectory(prefix="voxmill-streaming-") as name:
        folder = Path(name)
        shards = make_shards(folder / "run")
        bundle = learn(shards, str(folder / "model"), 1500 if full else 150)
        known = clips(shards)
        some = known if full else known[:12]
        largest, unequal, foreign, offsets = 0.0, 0, 0, []
        for method, (chunk, left) in product(METHODS, SHAPES):
            config = StreamingConfig(chunk=chunk, left=left, method=method, most=1 if method == "transducer" else 5)
            recognizer, apart_here, wrong, cpu, words = StreamingRecognizer(bundle, config), 0.0, 0, 0.0, [0, 0]
            waits: list[float] = []
            if method == "transducer":
                place = folder / f"sherpa-{chunk}"
                export_sherpa(bundle, place, config)
            for clip in some:
                encoded, tokens = masked(bundle, clip, config)
                apart_here = max(apart_here, float((cached(bundle, clip, config) - encoded.frame_BTD).abs().max()))
                stream, took, waited = streamed(recognizer, clip, pieces)
                wrong += tuple(token.id for token in stream.tokens) != tokens
                cpu, waits = cpu + took, waits + waited
                right = SequenceMatcher(None, clip.text.lower().split(), stream.text.lower().split(), autojunk=False)
                words = [words[0] + sum(block.size for block in right.get_matching_blocks()), words[1] + len(clip.text.split())]
                if method == "transducer":
                    longer = Clip(np.concatenate([clip.wave, np.zeros(SAMPLE_RATE, np.float32)]), clip.text)
                    live = recognizer.stream()
                    live.accept(longer.wave)
                    foreign += _head(by_sherpa(place, clip)) != _head([spelt(bundle.tokens.name(t.id)) for t in live.tokens])
                if config.chunk == TIMED.chunk and method == TIMED.method:
                    offsets += apart(clip, stream.words)
            largest, unequal = max(largest, apart_here), unequal + wrong
            seconds = sum(clip.seconds for clip in some)
            rows.append((
                method, f"{chunk}", f"{left}", f"{apart_here:.1e}", f"{wrong} of {len(some)}", f"{100 * words[0] / words[1]:.0f}", f"{chunk * 40:.0f}",
                f"{1000 * statistics.median(waits):.1f}", f"{seconds / cpu:.0f}",
            ))  # fmt: skip
    table(
        (
            "search",
            "chunk",
            "left",
            "frames apart",
            "texts unequal",
            "words known %",
            "waits for, ms",
            "computes, ms",
            "x real time",
        ),
        rows,
    )
    late = statistics.median(offsets) if offsets else math.nan
    middle = statistics.median(abs(one) for one in offsets) if offsets else math.nan
    print(
        f"\nword times: {len(offsets)} words; median of how late a word begins {1000 * late:+.0f} ms, of the distance {1000 * middle:.0f} ms"
    )
    figures = {
        "frames": largest,
        "unequal": unequal,
        "sherpa": foreign,
        "words": len(offsets),
        "late": late,
        "distance": middle,
    }
    finish("check-streaming", figures, {
        "frames, cached - masked": Target(value=largest, target="<= 1e-4", met=largest <= 1e-4),
        "texts, stream and masked": Target(value=unequal, target="all equal", met=not unequal),
        "tokens, sherpa-onnx and stream": Target(value=foreign, target="all equal", met=not foreign),
        "word times, median distance, ms": Target(value=round(1000 * middle), target="<= 80", met=middle <= 0.08),
    }, full)  # fmt: skip


def _head(tokens: Sequence[str]) -> str:
    """What was said; sherpa-onnx waits for one frame more, and shows the first word without its space."""
    return "".join(tokens).strip()


if __name__ == "__main__":
    main()
