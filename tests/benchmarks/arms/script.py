"""Arm (b), what a user would write today: file after file, whisperX's own pipeline, then the second engine on its segments.

One process that may use every core: whisperX's model and pyannote VAD with as many threads as there are cores.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.arms.clock import Clock, Tree, end_with_parent

BATCH = 8
"""whisperX's default."""


class Script:
    """The process with both models loaded. `run` gives the clock, and both texts of every file."""

    def __init__(self, cores: int, warm_up: Path) -> None:
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(cores)  # torch reads it when it starts
        try:
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_load, initargs=(cores,))
            self._pool.submit(_transcribe, warm_up).result()
        finally:
            os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    @property
    def pids(self) -> list[int]:
        return list(self._pool._processes or {})

    def run(self, paths: Sequence[Path]) -> tuple[Clock, list[tuple[str, str]]]:
        clock = Clock(Tree(self.pids))
        clock.resume()
        texts = [self._pool.submit(_transcribe, path).result() for path in paths]
        clock.pause()
        return clock, texts


_whisper: Any
_moonshine: Any


def _load(cores: int) -> None:
    global _whisper, _moonshine
    end_with_parent()
    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
    warnings.simplefilter("ignore")
    import logging

    import whisperx

    from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
    from voxmill.operators.weights.registry import resolve

    logging.disable(logging.INFO)
    folder = str(resolve("whisper-base"))
    _whisper = whisperx.load_model(folder, "cpu", compute_type="int8", language="en", threads=cores, vad_method="pyannote")
    _moonshine = Moonshine(MoonshineConfig(threads=cores))


def _transcribe(path: Path) -> tuple[str, str]:
    import numpy as np

    from speech.waves import RATE, decode
    from voxmill.operators.contract.adapters import AudioClip, Span

    audio = decode(path).astype(np.float32) / np.float32(32768)
    segments = _whisper.transcribe(audio, batch_size=BATCH)["segments"]
    second = []
    for segment in segments:
        span = Span(int(segment["start"] * RATE), min(int(segment["end"] * RATE), len(audio)))
        second += _moonshine.transcribe([AudioClip(audio, (span,), "en")])[0]
    return " ".join(segment["text"].strip() for segment in segments), " ".join(heard.text for heard in second)
