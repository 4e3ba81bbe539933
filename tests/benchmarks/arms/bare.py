"""Arm (a), the limit: one loop per core over the same parts, the product's detector and recognisers and nothing else.

Each part is decoded once; nothing is written, hashed, compared or packed. Also the measure of packed windows: the same recogniser on
the same segments with and without sharing a window.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import Any
from unittest import mock

from benchmarks.arms.clock import Clock, Tree, end_with_parent
from voxmill.manifests.ids import segment_id
from voxmill.operators.contract.adapters import AudioClip, Span, Transcriber
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.held_audio import HELD
from voxmill.operators.transcribe.moonshine import MoonshineConfig
from voxmill.operators.transcribe.whisperx import WhisperXConfig
from voxmill.pipeline.execution.malloc import KEEP_MEMORY

WHISPER = WhisperXConfig(languages=("en",))
SINGLE = WhisperXConfig(languages=("en",), packed=False)
MOONSHINE = MoonshineConfig()

Texts = dict[tuple[str, str], str]
"""By segment id and engine."""


@dataclass(frozen=True, slots=True)
class Packing:
    """CPU-seconds of one unit's segments in shared windows and in windows of their own, and both texts in order of time."""

    packed_s: float
    single_s: float
    packed: dict[str, str]
    """By recording id."""
    single: dict[str, str]


class Loop:
    """What each process holds: everything loaded, one thread each."""

    def __init__(self) -> None:
        from voxmill.operators.segment.segment import SegmentConfig, load_detector
        from voxmill.operators.transcribe.transcribe import load

        self.config = SegmentConfig()
        self.detector = load_detector(self.config)
        self.engines: dict[str, Transcriber] = {e.name: load(e) for e in (WHISPER, MOONSHINE)}
        self.single: Transcriber | None = None
        self.spent = defaultdict[str, float](float)

    def hear(self, unit: UnitInput) -> tuple[Texts, dict[str, float]]:
        """What both engines hear in the unit's segments, and CPU-seconds by part of the work."""
        self.spent = defaultdict[str, float](float)
        heard = self._clips(unit)
        texts: Texts = {}
        for name, engine in self.engines.items():
            with self._counted(f"transcribe:{name}"):
                transcribed = engine.transcribe([clip for _, clip in heard])
            for (ids, _), transcripts in zip(heard, transcribed, strict=True):
                texts |= {(key, name): transcript.text for key, transcript in zip(ids, transcripts, strict=True)}
        HELD.clear()  # a later round decodes it again, as the workers of (c) and (d), which are new in each, must
        return texts, dict(self.spent)

    @contextmanager
    def _counted(self, part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.spent[part] += time.process_time() - began

    def pack(self, unit: UnitInput) -> Packing:
        from voxmill.operators.transcribe.transcribe import load

        self.single = self.single or load(SINGLE)
        heard = self._clips(unit)
        costs, texts = list[float](), list[dict[str, str]]()
        for engine in (self.engines[WHISPER.name], self.single):
            began = time.process_time()
            transcripts = engine.transcribe([clip for _, clip in heard])
            costs.append(time.process_time() - began)
            said: dict[str, str] = {}
            for part, of_part in zip(unit.parts, transcripts, strict=True):
                said[part.recording_id] = " ".join([said.get(part.recording_id, ""), *(t.text for t in of_part)])
            texts.append(said)
        return Packing(costs[0], costs[1], texts[0], texts[1])

    def _clips(self, unit: UnitInput) -> list[tuple[list[str], AudioClip]]:
        """Decode and VAD of each part: ids of its segments, and the clip that holds them."""
        from voxmill.operators.decode.audio import read
        from voxmill.operators.segment.spans import spans_from_probs

        clips = []
        for part in unit.parts:
            recording = unit.recording(part.recording_id)
            with self._counted("decode"):
                audio = read(recording.audio or "", part.start, part.num_samples)
            with self._counted("segment"):
                probs = self.detector.probabilities([audio])
                found = spans_from_probs(probs, self.detector.hop, part.num_samples, self.config)
            spans = [span for span in found if span.reason is None]
            ids = [segment_id(part.recording_id, part.start + s.start, part.start + s.end) for s in spans]
            begin, end = (spans[0].start, spans[-1].end) if spans else (0, 0)
            cut = tuple(Span(s.start - begin, s.end - begin) for s in spans)
            clips.append((ids, AudioClip(audio[begin:end], cut, recording.language)))
        return clips


class Bare:
    """The pool of loops. `with Bare(cores, unit) as arm: arm.run(units)`; engines stay loaded between runs.

    `keeping` starts them with what our own workers are told about memory.
    """

    def __init__(self, cores: int, warm_up: UnitInput, *, keeping: bool = False) -> None:
        context: Any = multiprocessing.get_context("spawn")
        barrier = context.Barrier(cores)
        self._pool = ProcessPoolExecutor(cores, context, initializer=_load, initargs=(barrier,))
        with mock.patch.dict(os.environ, KEEP_MEMORY if keeping else {}):
            list(self._pool.map(_warm, [warm_up] * cores))

    def __enter__(self) -> Bare:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    @property
    def pids(self) -> list[int]:
        return list(self._pool._processes or {})

    def run(self, units: Sequence[UnitInput]) -> tuple[Clock, Texts, dict[str, float]]:
        """The clock, what was heard, and CPU-seconds by part of the work."""
        clock, texts, spent = Clock(Tree(self.pids)), dict[tuple[str, str], str](), defaultdict[str, float](float)
        clock.resume()
        for found, parts in self._pool.map(_hear, units):
            texts |= found
            for part, seconds in parts.items():
                spent[part] += seconds
        clock.pause()
        return clock, texts, dict(spent)

    def packing(self, units: Sequence[UnitInput]) -> list[Packing]:
        return list(self._pool.map(_pack, units))


_loop: Loop
_barrier: Barrier


def _load(barrier: Barrier) -> None:
    global _loop, _barrier
    end_with_parent()
    _loop, _barrier = Loop(), barrier


def _warm(unit: UnitInput) -> None:
    """One call in each process: whoever is done waits for the others, so that nobody gets two."""
    _loop.hear(unit)
    _barrier.wait(300)


def _hear(unit: UnitInput) -> tuple[Texts, dict[str, float]]:
    return _loop.hear(unit)


def _pack(unit: UnitInput) -> Packing:
    return _loop.pack(unit)
