"""What the product's own operators make of the mixture: spans of speech, each engine's words, their reconciliation.

The costly part is kept in the cache, by recording and engine, under the hash of the samples, the settings, the weights and the
operators' code: a bench that was stopped goes on where it was, and one that is run again measures what has changed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from benchmarks.arms.clock import end_with_parent
from benchmarks.mixed import Mixed
from benchmarks.words import english
from speech.cache import REPOSITORY, cache_root
from voxmill.manifests.config_base import Settings
from voxmill.manifests.ids import digest
from voxmill.manifests.records import Consensus, Hypothesis, Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.reconcile import Reconcile, ReconcileConfig
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig
from voxmill.operators.transcribe.transcribe import EngineConfig, Transcribe
from voxmill.operators.weights.registry import identity
from voxmill.pipeline.execution.malloc import keep_memory

WHISPER, SECOND = "whisperx", "moonshine"
ENGINES: tuple[Any, ...] = tuple(
    TypeAdapter(EngineConfig).validate_python({"kind": kind, "name": kind, "model": model})
    for kind, model in ((WHISPER, "whisper-base"), (SECOND, "moonshine-tiny-en"))
)
SEGMENT, RECONCILE = SegmentConfig(), ReconcileConfig()

R = TypeVar("R", Segment, Hypothesis)


@dataclass(frozen=True, slots=True)
class Heard:
    """One recording, and everything that the pipeline says of it."""

    mixed: Mixed
    segments: tuple[Segment, ...]
    """Kept and rejected; together the whole recording."""
    hypotheses: dict[str, dict[str, Hypothesis]]
    """By engine, then by segment id."""
    consensus: dict[str, Consensus]
    """By segment id."""


def hear(
    recordings: Sequence[Mixed], say: Callable[[str], None], engines: Sequence[Any] = ENGINES, anew: bool = False
) -> list[Heard]:
    """Runs segment, the engines and reconcile over each recording, as one unit each. `anew`: whether the cache holds it or not."""
    run = partial(_run, say=say, anew=anew)
    segments = run("segment", partial(FindSpeech, SEGMENT), [(r, work_of(r)) for r in recordings], Segment, [SEGMENT])
    with_speech = [(r, work_of(r, s)) for r, s in zip(recordings, segments, strict=True)]
    heard = transcribed(with_speech, say, engines, anew)
    reconcile = Reconcile(RECONCILE, tuple(engine.name for engine in engines))
    results = []
    for position, (recording, work) in enumerate(with_speech):
        said = {name: {h.segment_id: h for h in rows[position]} for name, rows in heard.items()}
        every = tuple(hypothesis for rows in heard.values() for hypothesis in rows[position])
        consensus = reconcile(UnitInput(work.unit, recordings=work.recordings, segments=work.segments, hypotheses=every))
        results.append(Heard(recording, segments[position], said, {c.segment_id: c for c in consensus}))
    return results


def transcribed(
    works: Sequence[tuple[Mixed, UnitInput]], say: Callable[[str], None], engines: Sequence[Any] = ENGINES, anew: bool = False
) -> dict[str, list[tuple[Hypothesis, ...]]]:
    """What each engine hears in the spans of each recording, which is a unit, in their order."""
    return {
        engine.name: _run(engine.name, partial(Transcribe, engine), works, Hypothesis, [SEGMENT, engine], say, anew)
        for engine in engines
    }


def said(one: Heard) -> dict[str, tuple[str, ...]]:
    """The reference words of each kept segment: those of the clips whose midpoint it holds."""
    kept = [segment for segment in one.segments if segment.rejection is None]
    words: dict[str, tuple[str, ...]] = {segment.id: () for segment in kept}
    for clip in one.mixed.spoken:
        home = next((segment for segment in kept if segment.start <= clip.midpoint < segment.end), None)
        if home:
            words[home.id] += english(clip.text)
    return words


def work_of(mixed: Mixed, segments: Iterable[Segment] = ()) -> UnitInput:
    recording = Recording(
        id=mixed.pcm_sha256,
        item_id=mixed.pcm_sha256,
        provenance=Provenance(source="mixture", url=str(mixed.path), host="local"),
        licence=Licence(),
        audio=str(mixed.path),
        num_samples=mixed.num_samples,
        language="en",
    )
    kept = tuple(segment for segment in segments if segment.rejection is None)
    return UnitInput(mixed.id, recordings=(recording,), parts=(Part(recording.id, 0, mixed.num_samples),), segments=kept)


def _run(
    name: str,
    load: Callable[[], Operator],
    works: Sequence[tuple[Mixed, UnitInput]],
    record: type[R],
    settings: Sequence[Settings],
    say: Callable[[str], None],
    anew: bool,
) -> list[tuple[R, ...]]:
    """The operator's records for each unit, from the cache where they are there; where some are missing, a process per core hears them."""
    rows = TypeAdapter(tuple[record, ...])  # type: ignore[valid-type]
    setup: list[str] = [setting.model_dump_json() for setting in settings]
    weights: list[str] = [identity(model) for model in (getattr(setting, "model", None) for setting in settings) if model]
    home = cache_root() / "heard" / f"{name}-{digest([_code(name), *setup, *weights])[:16]}"
    home.mkdir(parents=True, exist_ok=True)
    paths = [home / f"{mixed.pcm_sha256}.json" for mixed, _ in works]
    missing = [(path, work) for path, (_, work) in zip(paths, works, strict=True) if anew or not path.is_file()]
    if missing:
        keep_memory()  # as the pipeline's own workers do
        cores = min(len(os.sched_getaffinity(0)), len(missing))
        with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), initializer=_load, initargs=(load,)) as pool:
            heard = pool.map(_hear, [work for _, work in missing])
            for number, ((path, _), found) in enumerate(zip(missing, heard, strict=True), 1):
                say(f"{name}: {number} of {len(missing)}")
                _write(path, rows.dump_json(found, indent=1))
    return [rows.validate_json(path.read_bytes()) for path in paths]


Operator = Callable[[UnitInput], Sequence[Any]]
_operator: Operator


def _load(load: Callable[[], Operator]) -> None:
    global _operator
    end_with_parent()
    _operator = load()


def _hear(work: UnitInput) -> tuple[Any, ...]:
    return tuple(_operator(work))


def _code(name: str) -> str:
    """Hash of the operators that the result depends on."""
    folders = ["decode", "segment", *(["transcribe"] if name != "segment" else [])]
    files = sorted(file for folder in folders for file in (REPOSITORY / "operators" / folder).glob("*.py"))
    return digest([json.dumps(file.name) + file.read_text(encoding="utf8") for file in files])


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_bytes(content)
    scratch.rename(path)
