"""What a trained model makes of the test: its words, their error rates, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch

from benchmarks.experiments.corpus import FBANK, Corpus
from benchmarks.experiments.lessons import Lesson, Pictures, plain_batches
from voxmill.models.data.batch import Batch
from voxmill.models.inference.decode import ctc_greedy
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import Encoded
from voxmill.models.training.checkpoint import Bundle


def encoded(
    bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], budget: Budget | None = None, pictures: Pictures | None = None
) -> Iterator[tuple[Batch, Encoded]]:
    """Every batch of the lessons, and what the encoder made of it."""
    model = bundle.model.eval()
    device = next(model.parameters()).device
    for batch in plain_batches(corpus, lessons, bundle.tokens, bundle.targets, pictures):
        moved = batch.to(device)
        with torch.no_grad():
            yield moved, model.encode(moved.feature_BTM, moved.length_B, moved.conditions(model.config, budget=budget))


def ctc_ids(bundle: Bundle, batch: Batch, found: Encoded) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(key, tokens) of each utterance, greedily, task tokens included."""
    with torch.no_grad():
        log_BTV = bundle.model.ctc_of(found).cpu()
    for row, (key, length) in enumerate(zip(batch.keys, found.length_B.tolist(), strict=True)):
        yield key, ctc_greedy(log_BTV[row, :length]).tokens


def transcripts(
    bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], budget: Budget | None = None, pictures: Pictures | None = None
) -> dict[str, str]:
    """The words of each utterance by key, from CTC, greedily; task tokens say nothing."""
    return {
        key: bundle.tokens.decode(ids)
        for batch, found in encoded(bundle, corpus, lessons, budget, pictures)
        for key, ids in ctc_ids(bundle, batch, found)
    }


def error_rates(corpus: Corpus, said: dict[str, str]) -> dict[str, float]:
    """`wer` and `cer` in %, over all words, against what the corpus says."""
    import jiwer

    true = [one for one in corpus.spoken if one.key in said]
    references, hypotheses = [one.text for one in true], [said[one.key] for one in true]
    return {"wer": 100 * jiwer.wer(references, hypotheses), "cer": 100 * jiwer.cer(references, hypotheses)}


def real_time_factor(
    bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], budgets: Sequence[Budget | None]
) -> list[float]:
    """Seconds of encoder per second of sound, one thread of the CPU, batches of 8, for each budget: the median of seven rounds.

    Budgets take turns, so that what else the machine does falls on all of them. Each is cut out first, as for deployment.
    """
    chosen = sorted(lessons, key=lambda one: corpus.frames(one.key))[-16:]
    sizes = [bundle.model if budget is None else bundle.model.extract(budget) for budget in budgets]
    models = [model.cpu().eval() for model in sizes]
    batches = [[corpus.features(one.key) for one in chosen[start : start + 8]] for start in (0, 8)]
    padded = [torch.nn.utils.rnn.pad_sequence(batch, batch_first=True) for batch in batches]
    lengths = [torch.tensor(list(map(len, batch))) for batch in batches]
    audio = sum(int(length.sum()) for length in lengths) * FBANK.shift_ms / 1000
    device, threads = next(bundle.model.parameters()).device, torch.get_num_threads()
    torch.set_num_threads(1)
    times: list[list[float]] = [[] for _ in models]
    with torch.no_grad():
        for _ in range(8):
            for model, of_model in zip(models, times, strict=True):
                began = time.perf_counter()
                for feature_BTM, length_B in zip(padded, lengths, strict=True):
                    model.encode(feature_BTM, length_B)
                of_model.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    bundle.model.to(device)
    return [sorted(of_model[1:])[3] / audio for of_model in times]
