"""What a model takes of a device at each budget: parameters, and time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import torch

from benchmarks.experiments.corpus import FBANK, Corpus
from benchmarks.experiments.lessons import Lesson
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.network.budget import Budget
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.model import SpeechModel

AT_ONCE = 32
"""Utterances in the batch whose time is taken."""


def parameters(model: SpeechModel) -> dict[str, float]:
    """Millions stored, and millions that one frame of sound passes, in encoder and CTC: the decoder takes no part here."""
    used = [model.frontend, model.encoder, model.ctc]
    stored = sum(p.numel() for part in used for p in part.parameters())
    idle = 0
    for layer in model.encoder.modules():
        if isinstance(layer, ElasticMoE):
            one = next(expert for expert in layer.experts if isinstance(expert, FeedForward))
            idle += (layer.config.experts - layer.config.top_k) * sum(p.numel() for p in one.parameters())
    return {"stored": stored / 1e6, "active": (stored - idle) / 1e6}


def times(
    bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], budgets: Sequence[Budget], rounds: int = 41
) -> list[dict[str, float]]:
    """For each budget, cut out as for deployment: `rtf`, seconds of encoder per second of sound on one thread of the CPU, and
    `of_full`, that time over the last budget's. Medians over rounds, on the longest utterances.

    In a round every budget has its turn, and the quotient is taken within the round: what the machine does besides falls on all of
    them. The clock is the thread's own, which stands still while another process has the core.
    """
    chosen = sorted(lessons, key=lambda one: corpus.frames(one.key))[-AT_ONCE:]
    models = [bundle.model.extract(budget).cpu().eval() for budget in budgets]
    feature_BTM = torch.nn.utils.rnn.pad_sequence([corpus.features(one.key) for one in chosen], batch_first=True)
    length_B = torch.tensor([corpus.frames(one.key) for one in chosen])
    audio = int(length_B.sum()) * FBANK.shift_ms / 1000
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spent: list[list[float]] = [[] for _ in models]
    with torch.no_grad():
        for turn in range(1 + rounds):  # the first one warms up
            for index in sorted(range(len(models)), reverse=bool(turn % 2)):
                began = time.thread_time()
                models[index].encode(feature_BTM, length_B)
                spent[index].append(time.thread_time() - began)
    torch.set_num_threads(threads)
    full = spent[-1]
    return [
        {"rtf": median(own[1:]) / audio, "of_full": median(a / b for a, b in zip(own[1:], full[1:], strict=True))}
        for own in spent
    ]
