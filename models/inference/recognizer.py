"""Inference: audio to text and labels, with any of the model's heads, budgets and tasks.

A budget is either extracted beforehand (`Bundle.extract`) or given to the recognizer. With a chunk the encoder computes what it
would on a stream: no frame sees past the end of its chunk. Shape suffixes: B utterances, T frames, U tokens, V vocabulary.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxmill.manifests.records import Bandwidth
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.models.common.tasks import INLINE_TOKENS, TASKS, Task
from voxmill.models.common.tokenizer import CLASSES, NONE, NOT_KNOWN, SOT, TRANSCRIBE, Class
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.inference.arpa import NgramModel
from voxmill.models.inference.ctc_align import ctc_align
from voxmill.models.inference.decode import Scored
from voxmill.models.inference.fusion import Fusion, Hotwords, WordModel, spellings
from voxmill.models.inference.per_task import own_tokens, with_marks
from voxmill.models.inference.recognized_words import PlacedLog, RecognizedWord, recognized_words
from voxmill.models.inference.recognizer_config import OF_CTC, OF_TRANSDUCER, WITH_BEAM, RecognizerConfig
from voxmill.models.inference.search import TokenSearch, for_rows, row_of, rows_of
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import Conditions, EncoderOutput

_MARKS = frozenset(mark for marks in INLINE_TOKENS.values() for mark in marks)
Audio = NDArray[np.float32]
"""16 kHz mono samples in [-1, 1], shape (num_samples,)."""


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
    words: tuple[RecognizedWord, ...] | None = None
    """With times from the start of the utterance; None: not asked for, or there are no times."""


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
        if self.config.method in OF_TRANSDUCER and bundle.model.transducer is None:
            raise ValueError("this model has no transducer: choose another method")
        if self.config.method in OF_CTC and bundle.model.ctc is None:
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
        forbidden = [token for task in TASKS if task not in said for token in own_tokens(task, self.tokens)]
        self._search = TokenSearch(self.model, self.tokens, self.config, forbidden, self._fusions())

    def _fusions(self) -> list[Fusion]:
        """What is added to scores. Raises ValueError for a method without a beam, UserError for a file that is no language model, or a hotword that
        the model cannot write."""
        fusions: list[Fusion] = []
        if self.config.hotwords:
            phrases = [
                spelt for phrase in self.config.hotwords for spelt in spellings(phrase, self.tokens, self.bundle.targets.text)
            ]
            fusions.append(Hotwords(phrases, self.config.hotword_boost))
        if self.config.lm is not None:
            fusions.append(
                WordModel(NgramModel.read(self.config.lm), self.tokens, self.config.lm_weight, self.config.word_bonus)
            )
        if fusions and (self.config.method not in WITH_BEAM or self.config.translate_to is not None):
            raise ValueError(
                f"hotwords and a language model need a method with a beam ({', '.join(WITH_BEAM)}), and no translation"
            )
        return fusions

    def _decoded_alone(self) -> tuple[Task, ...]:
        """The tasks to decode by themselves, after the words. Tokens inside the text need a text."""
        by_ctc = self.config.method in OF_CTC and self.config.translate_to is None
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
        rows = [row for row, length in enumerate(length_B.tolist()) if heard.num_encoded(length)]
        prompts, labels = self._prompts(encoded, rows, conditions)
        best = [Scored((), 0.0) for _ in rows]
        if "asr" in self.tasks or self.model.config.tasks:
            best = self._search(rows_of(encoded, rows), ctc_BTV[rows], conditions, prompts)
        results = [Recognition("", "", {}, 0.0, () if self.config.words else None) for _ in range(len(length_B))]
        for row, said, own in zip(rows, best, labels, strict=True):
            ctc_TV, *marks = (log_BTV[row, : int(encoded.length_B[row])] for log_BTV in (ctc_BTV, *alone.values()))
            results[row] = self._result(said, ctc_TV, dict(zip(alone, marks, strict=True)), own)
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

    def _prompts(
        self, encoded: EncoderOutput, rows: Sequence[int], conditions: Conditions
    ) -> tuple[list[list[int]], list[dict[Class, tuple[str, ...]]]]:
        """What the decoder reads before the text of each of these utterances, and the labels that it has said there."""
        prompts, found = [], []
        for row in rows:
            labels: dict[Class, tuple[str, ...]] = {}
            prompt = [self.tokens[SOT]]
            if self.bundle.targets.style == "prompt":
                for kind in self.tokens.prompted(self.bundle.targets.tasks):
                    # a pretrained decoder writes what it heard in its prompt
                    asked = kind in self.tasks or self.tokens.knew(kind)
                    one = row_of(encoded, row)
                    said = self._class(kind, prompt, one, for_rows(conditions, 1)) if asked else [self.tokens[NOT_KNOWN]]
                    prompt += said
                    if kind in self.tasks:
                        labels[kind] = tuple(self.tokens.name(t)[2:-2] for t in said if t != self.tokens[NONE])
            prompts.append([*prompt, self.task, *self.tokens.after_task])
            found.append(labels)
        return prompts, found

    def _result(
        self, best: Scored, ctc_TV: Tensor, marks_TV: Mapping[Task, Tensor], labels: dict[Class, tuple[str, ...]]
    ) -> Recognition:
        all_said = with_marks(best.tokens, marks_TV, self.tokens, self.config.beam) if marks_TV else best.tokens
        if self.bundle.targets.style == "activated":
            labels = self._leading(all_said)
        inline = [t for t in all_said if self.tokens.is_subword(t) or self.tokens.name(t) in _MARKS]
        words = self._words(best, ctc_TV) if self.config.words else None
        return Recognition(self.tokens.decode(all_said), self._marked(inline), labels, best.score, words)

    def _words(self, best: Scored, ctc_TV: Tensor) -> tuple[RecognizedWord, ...] | None:
        """Times are the transducer's or CTC's, confidences those of what decoded."""
        if not best.tokens:
            return ()
        if best.frames:
            places: list[PlacedLog] | None = [
                PlacedLog(at, at + 1, log) for at, log in zip(best.frames, best.each, strict=True)
            ]
        elif self.model.ctc is None or self.config.translate_to is not None:
            return None
        else:
            places = ctc_align(ctc_TV, best.tokens)
        if places is None:
            return None
        if best.each:
            places = [place._replace(log_probability=log) for place, log in zip(places, best.each, strict=False)]
        return recognized_words(best.tokens, places, self.tokens, self.model.frame_ms)

    def _class(self, kind: Class, prompt: list[int], encoded: EncoderOutput, conditions: Conditions) -> list[int]:
        """The tokens that the decoder predicts for a class: one, or of sound events all that come before the task token."""
        allowed = [self.tokens.of_class(kind, name) for name in getattr(self.tokens.config, kind)]
        said: list[int] = []
        for _ in range(self.config.max_events if kind == "sound_events" else 1):
            offered = [*(t for t in allowed if t not in said), self.task if said else self.tokens[NONE]]
            logits_V = self.model.decode(torch.tensor([prompt + said], device=self.model.device), encoded, conditions)[0, -1]
            token = offered[int(logits_V[offered].argmax())]
            if token == self.task:
                break
            said.append(token)
            if token == self.tokens[NONE]:
                break
        return said

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
