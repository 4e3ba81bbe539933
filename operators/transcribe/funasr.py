"""A FunASR recogniser on batches of spans of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.engine_config import EngineSettings
from voxmill.operators.vendors.funasr_model import auto_model
from voxmill.operators.weights.registry import identity, resolve

SHORTEST = SAMPLE_RATE * 25 // 1000
"""One analysis frame (samples): shorter audio has no features."""

Raw = dict[str, Any]
"""One result of FunASR: `text`, and where it found words `timestamp`, a list of [start, end] in milliseconds."""


class FunAsr:
    """A loaded FunASR recogniser. `model` names its weights; `network` is the torch module."""

    def __init__(self, config: EngineSettings, batch_seconds: float) -> None:
        folder = resolve(config.model)
        self._auto = auto_model(folder, config.device, config.threads)
        self.model = identity(config.model)
        self.network = self._auto.model
        self._batch = int(batch_seconds * SAMPLE_RATE)

    def transcribe(
        self, clips: Sequence[AudioClip], read: Callable[[Sequence[Raw], Sequence[Span]], list[Transcript]], **options: Any
    ) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order. `read` makes transcripts of the raw results of one batch."""
        jobs = [(clip, span) for clip in clips for span in clip.spans]
        found = [Transcript("", words=())] * len(jobs)
        for rows in batches([span.end - span.start for _, span in jobs], self._batch):
            raws = self._generate([clip.audio[span.start : span.end] for clip, span in (jobs[row] for row in rows)], options)
            for row, transcript in zip(rows, read(raws, [jobs[row][1] for row in rows]), strict=True):
                found[row] = transcript
        flat = iter(found)
        return [list(islice(flat, len(clip.spans))) for clip in clips]

    def _generate(self, audios: Sequence[Any], options: dict[str, Any]) -> list[Raw]:
        """One raw result per audio of a batch. A batch without a single token comes back as one empty result, or as none."""
        raws: list[Raw] = self._auto.generate(list(audios), batch_size=len(audios), **options)
        if len(raws) == len(audios):
            return raws
        if any(raw.get("text") for raw in raws):
            raise RuntimeError(f"FunASR gave {len(raws)} results for {len(audios)} clips")
        return [{"text": ""} for _ in audios]


def batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Indices of audios of like length, so that `longest x count` stays within `limit` samples; too short ones are left out.

    >>> list(batches([16000, 48000, 10, 16000], 50000))
    [[0, 3], [1]]
    """
    batch: list[int] = []
    for row in sorted((row for row, length in enumerate(lengths) if length >= SHORTEST), key=lambda row: lengths[row]):
        if batch and lengths[row] * (len(batch) + 1) > limit:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
