"""What a trained model makes of the test: its words, and their error rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from benchmarks.experiments.corpus import Corpus
from benchmarks.experiments.lessons import Lesson, Pictures, plain_batches
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.data.batch import Batch
from voxmill.models.inference.decode import ctc_greedy
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import EncoderOutput
from voxmill.models.training.forward import conditions_of


def encoded(
    bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], budget: Budget | None = None, pictures: Pictures | None = None
) -> Iterator[tuple[Batch, EncoderOutput]]:
    """Every batch of the lessons, and what the encoder made of it."""
    model = bundle.model.eval()
    device = next(model.parameters()).device
    for batch in plain_batches(corpus, lessons, bundle.tokens, bundle.targets, pictures):
        moved = batch.to(device)
        with torch.no_grad():
            yield moved, model.encode(moved.feature_BTM, moved.length_B, conditions_of(moved, model.config, budget))


def ctc_ids(bundle: Bundle, batch: Batch, found: EncoderOutput) -> Iterator[tuple[str, tuple[int, ...]]]:
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
