"""Inference: audio to text and labels, with any of the model's heads, budgets and tasks.

A budget is either extracted beforehand (`Bundle.extract`) or given to the recognizer. With a chunk the encoder computes what it
would on a stream: no frame sees past the end of its chunk. Shape suffixes: B utterances, T frames, U tokens, V vocabulary.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Bandwidth
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.models.common.tasks import IGNORE, INLINE_TOKENS, TASKS, Task
from voxmill.models.common.tokenizer import CLASSES, EOT, NONE, NOT_KNOWN, SOT, TRANSCRIBE, Class
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.inference.decode import Scored, ctc_beam, ctc_greedy, rescored, sequence_scores, transducer_greedy
from voxmill.models.inference.per_task import mask_tokens, own_tokens, with_marks
from voxmill.models.network.budget import Budget
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.model import Conditions, EncoderOutput

_MARKS = frozenset(mark for marks in INLINE_TOKENS.values() for mark in marks)
Audio = NDArray[np.float32]
"""16 kHz mono samples in [-1, 1], shape (num_samples,)."""


class RecognizerConfig(Settings):
    """How audio is decoded."""

    method: Literal["greedy", "beam", "rescore", "attention", "transducer"] | None = None
    """Null: `rescore`, or `attention` for a model without CTC. `greedy`: CTC's best path. `beam`: CTC's prefix beam search. `rescore`: that, rescored by the decoders. `attention`: the
    decoder alone. `transducer`: the transducer, greedily."""
    beam: int = Field(default=10, ge=1)
    """Hypotheses of the beam search."""
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
    """Most tokens that `attention` says of an utterance."""
    max_events: int = 4
    """Most sound events of an utterance, with targets of style `prompt`."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """The result for one utterance."""

    text: str
    marked: str
    """The text with its inline tokens (`[SCD]`, `[NE]`, …), if the model has them."""
    labels: dict[Class, tuple[str, ...]]
    """Values of each class that was asked for; empty: the model says there is none."""
    score: float
    """Log probability of the text under the chosen method."""


class Recognizer:
    """Recognises utterances with a loaded model."""

    def __init__(self, bundle: Bundle, config: RecognizerConfig | None = None, budget: Budget | None = None) -> None:
        """Raises BudgetError, UnknownTokenError; ValueError if the model has no head for the method."""
        config = config or RecognizerConfig()
        if config.method is None:
            config = config.model_copy(update={"method": "rescore" if bundle.model.ctc is not None else "attention"})
        self.bundle, self.config, self.budget = bundle, config, budget
        self.model, self.tokens = bundle.model.eval(), bundle.tokens
        if budget is not None:
            bundle.warn_outside(budget.within(bundle.model.config.cut(budget).emoe.full))  # type: ignore[union-attr]
        if self.config.method == "transducer" and bundle.model.transducer is None:
            raise ValueError("this model has no transducer: choose another method")
        if self.config.method in ("greedy", "beam", "rescore") and bundle.model.ctc is None:
            raise ValueError("this model has no CTC: choose the method attention")
        if self.config.chunk is not None and bundle.model.config.start is not None:
            raise ValueError("this model has a pretrained encoder, which hears whole utterances: leave out the chunk")
        target = self.config.translate_to
        self.task = self.tokens[TRANSCRIBE] if target is None else self.tokens.translate_to(target)
        if target is not None and not bundle.translates_into(target):
            known = ", ".join(bundle.translated or ()) or "none"
            raise ValueError(f"this model has not learnt to translate into {target}; languages that it has: {known}")
        asked = self.config.tasks or bundle.tasks
        self.tasks: frozenset[Task] = frozenset(task for task in bundle.tasks if task in asked)
        self._by_task = self._decoded_alone()
        self._base_tasks: frozenset[Task] = self.tasks & {"asr"} if self._by_task else self.tasks
        said = self._base_tasks | ({"asr"} if target else set())  # a translation is words
        self._forbidden = [token for task in TASKS if task not in said for token in own_tokens(task, self.tokens)]

    def _decoded_alone(self) -> tuple[Task, ...]:
        """The tasks to decode by themselves, after the words. Tokens inside the text need a text."""
        by_ctc = self.config.method in ("greedy", "beam", "rescore") and self.config.translate_to is None
        if self.model.config.tasks is None or not (
            self.config.per_task and by_ctc and self.bundle.targets.style == "activated"
        ):
            return ()
        placed = self.tasks - {"asr"} if "asr" in self.tasks else self.tasks - set(INLINE_TOKENS)
        return tuple(sorted(placed))

    @torch.no_grad()
    def __call__(
        self, waves: Sequence[Audio], bandwidths: Sequence[Bandwidth] | None = None, frames: VideoFrames | None = None
    ) -> list[Recognition]:
        """One result for each utterance, in order; an empty one for an utterance shorter than a frame of the encoder.

        `bandwidths`: measured bandwidths; all wide if None. `frames`: embeddings of video frames.
        """
        if not waves:
            return []
        device = self.model.device
        features = [self.model.config.features.of(torch.from_numpy(wave)) for wave in waves]
        feature_BTM = torch.nn.utils.rnn.pad_sequence(features, batch_first=True).to(device)
        length_B = torch.tensor([len(one) for one in features], device=device)
        measured = bandwidths or ["wide"] * len(waves)
        bandwidth_B = torch.tensor([BANDWIDTHS.index(one) for one in measured], device=device)
        results: list[Recognition] = self.of_features(feature_BTM, length_B, bandwidth_B, frames and frames.to(device))
        return results

    @torch.no_grad()
    def of_features(
        self, feature_BTM: Tensor, length_B: Tensor, bandwidth_B: Tensor, frames: VideoFrames | None = None
    ) -> list[Recognition]:
        """The same for features that were computed before; all on the model's device. `bandwidth_B`: indices into BANDWIDTHS."""
        heard, conditions = self.model.config.features, self._conditions(bandwidth_B, frames)
        encoded = self.model.encode(feature_BTM, length_B, conditions)
        ctc_BTV = self.model.ctc_of(encoded)
        alone = {task: self._alone(task, feature_BTM, length_B, encoded, conditions) for task in self._by_task}
        results = []
        for row, length in enumerate(length_B.tolist()):
            if not heard.num_encoded(length):
                results.append(Recognition("", "", {}, 0.0))
                continue
            num_frames = int(encoded.length_B[row])
            marks_TV = {task: ctc[row, :num_frames] for task, ctc in alone.items()}
            ctc_TV = ctc_BTV[row, :num_frames]
            results.append(self._one(_row(encoded, row, num_frames), ctc_TV, marks_TV, _of_row(conditions, row)))
        return results

    def _alone(self, task: Task, feature_BTM: Tensor, length_B: Tensor, words: EncoderOutput, conditions: Conditions) -> Tensor:
        """CTC's log probabilities with that task active, and the words if they are asked for; shape (B, T, V)."""
        assert self.model.config.tasks is not None
        with_task_BK = self.model.config.tasks.active([self._base_tasks | {task}] * len(length_B)).to(length_B.device)
        late = self.model.tasks_late
        if self.model.tasks_early is None and late is not None and late.mode == "sum":
            assert conditions.active_BK is not None
            added_BTD = late(words.frame_BTD, with_task_BK & ~conditions.active_BK)
            return self.model.ctc_of(words._replace(frame_BTD=added_BTD))
        return self.model.ctc_of(self.model.encode(feature_BTM, length_B, replace(conditions, active_BK=with_task_BK)))

    def _conditions(self, bandwidth_B: Tensor, frames: VideoFrames | None) -> Conditions:
        config, batch, device = self.model.config, len(bandwidth_B), bandwidth_B.device
        active_BK = config.tasks.active([self._base_tasks] * batch).to(device) if config.tasks else None
        translates = int(self.config.translate_to is not None)
        return Conditions(
            budget=self.budget, chunk=self.config.chunk, active_BK=active_BK, frames=frames,
            bandwidth_B=bandwidth_B,
            translates_B=torch.full((batch,), translates, dtype=torch.long, device=device),
        )  # fmt: skip

    def _one(
        self, encoded: EncoderOutput, ctc_TV: Tensor, marks_TV: Mapping[Task, Tensor], conditions: Conditions
    ) -> Recognition:
        labels: dict[Class, tuple[str, ...]] = {}
        prompt = [self.tokens[SOT]]
        if self.bundle.targets.style == "prompt":
            for kind in self.tokens.prompted(self.bundle.targets.tasks):
                asked = kind in self.tasks or self.tokens.knew(kind)  # a pretrained decoder writes what it heard in its prompt
                said = self._class(kind, prompt, encoded, conditions) if asked else [self.tokens[NOT_KNOWN]]
                prompt += said
                if kind in self.tasks:
                    labels[kind] = tuple(self.tokens.name(t)[2:-2] for t in said if t != self.tokens[NONE])
        prompt += [self.task, *self.tokens.after_task]
        best = (
            self._search(encoded, ctc_TV, conditions, prompt)
            if "asr" in self.tasks or self.model.config.tasks
            else Scored((), 0.0)
        )
        all_said = with_marks(best.tokens, marks_TV, self.tokens, self.config.beam) if marks_TV else best.tokens
        if self.bundle.targets.style == "activated":
            labels = self._leading(all_said)
        inline = [t for t in all_said if self.tokens.is_subword(t) or self.tokens.name(t) in _MARKS]
        return Recognition(self.tokens.decode(all_said), self._marked(inline), labels, best.score)

    def _class(self, kind: Class, prompt: list[int], encoded: EncoderOutput, conditions: Conditions) -> list[int]:
        """The tokens that the decoder predicts for a class: one, or of sound events all that come before the task token."""
        allowed = [self.tokens.of_class(kind, name) for name in getattr(self.tokens.config, kind)]
        said: list[int] = []
        for _ in range(self.config.max_events if kind == "sound_events" else 1):
            offered = [*(t for t in allowed if t not in said), self.task if said else self.tokens[NONE]]
            logits_V = self.model.decode(_tensor([prompt + said], encoded), encoded, conditions)[0, -1]
            token = offered[int(logits_V[offered].argmax())]
            if token == self.task:
                break
            said.append(token)
            if token == self.tokens[NONE]:
                break
        return said

    def _search(self, encoded: EncoderOutput, ctc_TV: Tensor, conditions: Conditions, prompt: list[int]) -> Scored:
        method = self.config.method
        if method == "attention" or self.config.translate_to is not None:  # CTC speaks the language of the sound only
            return self._attention(encoded, conditions, prompt)
        if method == "transducer":
            assert self.model.transducer is not None
            said: Scored = transducer_greedy(self.model.transducer, encoded.frame_BTD[0], forbidden=self._forbidden)
            return said
        ctc_TV = mask_tokens(ctc_TV, self._forbidden)
        if method == "greedy":
            return ctc_greedy(ctc_TV)
        found = ctc_beam(ctc_TV, self.config.beam)
        return found[0] if method == "beam" else self._rescore(found, encoded, conditions, prompt)[0]

    def _attention(self, encoded: EncoderOutput, conditions: Conditions, prompt: list[int]) -> Scored:
        """Greedy decoding by the attention decoder."""
        said, score, end = list(prompt), 0.0, self.tokens[EOT]
        cache, fresh = DecoderCache(), list(prompt)
        most = min(self.config.max_tokens, (self.tokens.config.longest or math.inf) - len(prompt))
        while len(said) - len(prompt) < most:
            logits_V = self.model.decode(_tensor([fresh], encoded), encoded, conditions, cache=cache)[0, -1]
            log_V = mask_tokens(logits_V.float().log_softmax(dim=-1), self._forbidden)
            token = int(log_V.argmax())
            score += float(log_V[token])
            if token == end:
                break
            said.append(token)
            fresh = [token]
        return Scored(tuple(said[len(prompt) :]), score)

    def _rescore(self, found: list[Scored], encoded: EncoderOutput, conditions: Conditions, prompt: list[int]) -> list[Scored]:
        scores = [self._decoder_scores(found, encoded, conditions, prompt, backwards=False)]
        if self.model.backward_decoder is not None and self.config.backward:
            scores.append(self._decoder_scores(found, encoded, conditions, prompt, backwards=True))
        backward = self.config.backward if len(scores) == 2 else 0.0
        return rescored(found, scores[0], scores[-1], self.config.ctc, backward)

    def _decoder_scores(
        self, found: list[Scored], encoded: EncoderOutput, conditions: Conditions, prompt: list[int], *, backwards: bool
    ) -> list[float]:
        texts = [list(one.tokens[::-1] if backwards else one.tokens) for one in found]
        longest = max(map(len, texts))
        read = [[*prompt, *text, *[0] * (longest - len(text))] for text in texts]
        ignored = [IGNORE] * (len(prompt) - 1)
        said = [[*ignored, *text, self.tokens[EOT], *[IGNORE] * (longest - len(text))] for text in texts]
        many = _repeated(encoded, len(found))
        repeated = Conditions(budget=conditions.budget, translates_B=conditions.translates_B.expand(len(found)))  # type: ignore[union-attr]
        logits_NUV = self.model.decode(_tensor(read, encoded), many, repeated, backwards=backwards)
        return sequence_scores(logits_NUV, _tensor(said, encoded))

    def _leading(self, said: Sequence[int]) -> dict[Class, tuple[str, ...]]:
        """Labels among the tokens of a model with task vectors; a class that was asked for and has no token is empty."""
        names = [self.tokens.name(t)[2:-2] for t in said if not self.tokens.is_subword(t)]
        return {
            kind: tuple(name for name in names if name in getattr(self.tokens.config, kind))
            for kind in CLASSES
            if kind in self.tasks
        }

    def _marked(self, said: Sequence[int]) -> str:
        parts, run = [], list[int]()
        for token in said:
            if self.tokens.is_subword(token):
                run.append(token)
                continue
            parts += [self.tokens.decode(run), self.tokens.name(token)]
            run = []
        return " ".join(part for part in (*parts, self.tokens.decode(run)) if part)


def _row(encoded: EncoderOutput, row: int, num_frames: int) -> EncoderOutput:
    one, real_S = slice(row, row + 1), encoded.real_BS[row]
    return EncoderOutput(
        encoded.frame_BTD[one, :num_frames],
        encoded.length_B[one],
        encoded.memory_BSD[one][:, real_S],
        encoded.real_BS[one][:, real_S],
    )


def _of_row(conditions: Conditions, row: int) -> Conditions:
    one = slice(row, row + 1)
    assert conditions.translates_B is not None
    return Conditions(budget=conditions.budget, translates_B=conditions.translates_B[one])


def _repeated(encoded: EncoderOutput, times: int) -> EncoderOutput:
    return EncoderOutput(*(field.expand(times, *field.shape[1:]) for field in encoded))


def _tensor(rows: list[list[int]], encoded: EncoderOutput) -> Tensor:
    return torch.tensor(rows, dtype=torch.long, device=encoded.memory_BSD.device)
