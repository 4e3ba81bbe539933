"""What a trained model makes of the test: its words, their error rates, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median

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


def times(
    bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], budgets: Sequence[Budget], rounds: int = 41
) -> list[dict[str, float]]:
    """For each budget, cut out as for deployment: `rtf`, seconds of encoder per second of sound on one thread of the CPU, and
    `of_full`, that time over the last budget's. Medians over rounds, on the longest utterances.

    In a round every budget has its turn, and the quotient is taken within the round: what the machine does besides falls on all of
    them. The clock is the thread's own, which stands still while another process has the core.
    """
    chosen = sorted(lessons, key=lambda one: corpus.frames(one.key))[-32:]
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
