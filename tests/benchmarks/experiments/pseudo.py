"""Labels without anyone listening: what several recognisers hear in a pool, through the project's own reconciliation.

The recognisers are small models of `models/`, trained on a little true speech each. Recognisers of the open world would be the better
teachers, but not of this corpus: in eSpeak's voices whisper-base has a WER of 44 %, moonshine-tiny 92 %, pocketsphinx 90 % (32
utterances), and where two of three hear nothing, there is nothing to agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.experiments.corpus import FBANK, Corpus, Spoken
from voxmill.manifests.records import SAMPLE_RATE, Consensus, Hypothesis, Licence, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.reconcile import Reconcile, ReconcileConfig

Said = Mapping[str, str]
"""Words by key of the utterance."""


def consensus(corpus: Corpus, pool: Sequence[Spoken], heard: Mapping[str, Said]) -> list[Consensus]:
    """What the recognisers (by name) agree on, one for each utterance of the pool, in its order; `segment_id` is the key."""
    recording = Recording("pool", "pool", Provenance("experiment", "pool", "local"), Licence(), language="en")
    samples = int(FBANK.shift_ms * SAMPLE_RATE / 1000)
    segments, start = [], 0
    for one in pool:
        segments.append(Segment(one.key, recording.id, start, corpus.frames(one.key) * samples))
        start += segments[-1].num_samples
    rows = tuple(Hypothesis(one.key, name, name, said[one.key], language="en") for name, said in heard.items() for one in pool)
    work = UnitInput("pool", recordings=(recording,), segments=tuple(segments), hypotheses=rows)
    return Reconcile(ReconcileConfig(), tuple(heard))(work)
