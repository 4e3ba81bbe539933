"""A sample without its personal data: the label masked, the engines' texts and translations left out, the audio silenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from voxmill.manifests.redaction_records import Redaction
from voxmill.sharding.flac import Audio
from voxmill.sharding.sample import Sample


def redacted(sample: Sample, redaction: Redaction) -> Sample:
    """The sample as it may leave the run; unchanged where nothing was found.

    Engines write names in other ways than the label, so where the label has a mask their texts are not shown at all: the
    agreement and the confidences stay, the words, the alignment, translations and named entities go.
    """
    if not redaction.masked:
        return sample
    heard = tuple(replace(h, text="", words=None) for h in sample.hypotheses)
    consensus = replace(
        sample.consensus, text=redaction.text, normalised=tuple("" for _ in sample.consensus.normalised), slots=()
    )
    labels = sample.labels and replace(sample.labels, translation=None, named_entities=None)
    return replace(sample, hypotheses=heard, consensus=consensus, labels=labels)


def silenced(audio: Audio, start: int, stretches: Sequence[tuple[int, int]]) -> Audio:
    """The samples from `start` on, zero in every stretch (in samples of the recording).

    >>> silenced(np.ones(5, np.float32), 10, [(12, 14)]).tolist()
    [1.0, 1.0, 0.0, 0.0, 1.0]
    """
    inside = [(max(0, a - start), min(len(audio), b - start)) for a, b in stretches if a < start + len(audio) and b > start]
    if not inside:
        return audio
    quiet = np.array(audio)
    for first, last in inside:
        quiet[first:last] = 0.0
    return quiet
