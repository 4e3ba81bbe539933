"""How audio is decoded: the settings of `Recognizer`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.models.common.tasks import Task

OF_CTC = ("greedy", "beam", "rescore")
"""Methods that search CTC's predictions."""
WITH_BEAM = ("beam", "rescore", "attention-beam", "transducer-beam")
"""Methods that hotwords and a language model can change."""
OF_TRANSDUCER = ("transducer", "transducer-beam")
"""Methods that search the transducer's."""


class RecognizerConfig(Settings):
    """How audio is decoded."""

    method: Literal["greedy", "beam", "rescore", "attention", "attention-beam", "transducer", "transducer-beam"] | None = None
    """Null: `rescore`, or `attention` for a model without CTC. `greedy`: CTC's best path. `beam`: CTC's prefix beam search. `rescore`: that, rescored by the decoders. `attention`: the
    decoder alone, greedily. `transducer`: the transducer, greedily. `attention-beam`, `transducer-beam`: beam searches with them."""
    beam: int = Field(default=10, ge=1)
    """Hypotheses of the beam search."""
    length_penalty: float = Field(default=1.0, ge=0)
    """Hypotheses of `attention-beam` and `transducer-beam` are ordered by log probability / tokens ** this; 0: by log probability, which
    prefers short ones."""
    ctc: float = 0.3
    """Weight of CTC in `rescore`; the decoders have the rest."""
    backward: float = 0.3
    """Of the decoders' weight, the share of the one that reads from the end."""
    chunk: int | None = None
    """Encoder frames (40 ms) of a streaming chunk; None: full context."""
    tasks: tuple[Task, ...] | None = None
    """Tasks to run; None: all that the model has learnt. Tokens of other tasks are never in the result."""
    per_task: bool = True
    """With task vectors and a method of CTC: decode every task by itself (`per_task.py`), so that no task changes the result of
    another; this costs an encoder pass for each task, unless vectors are added after the encoder. Off: add the vectors of all
    tasks, in one pass, as TokenVerse++ does."""
    translate_to: str | None = None
    """Translate into this language; None: transcribe."""
    max_tokens: int = 400
    """Most tokens that the decoder says of an utterance, which ends what repeats itself."""
    max_events: int = 4
    """Most sound events of an utterance, with targets of style `prompt`."""
    hotwords: tuple[str, ...] = ()
    """Phrases that are likelier than the model takes them to be, as names are; spelt as in transcripts. Of all methods with a beam."""
    hotword_boost: float = 1.5
    """What each token of a phrase adds to the log probability while the phrase goes on; taken back where it does not."""
    lm: str | None = None
    """An n-gram language model of words, as an ARPA text file (also `.gz`), whose scores are added in the beam. Null: none."""
    lm_weight: float = 0.5
    """Its log probabilities are multiplied by this."""
    word_bonus: float = 1.5
    """With `lm`: what each word adds, since a language model makes short texts likely."""
    words: bool = False
    """Words with times and confidences in the result. Times are the transducer's own, or those of an alignment with CTC; a model with neither, and
    a translation, has none."""
