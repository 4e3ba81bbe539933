"""Recognition while the sound comes in: samples in, words with times and confidences out, in bounded memory.

The encoder hears chunk after chunk (`StreamingEncoder`); a greedy search of CTC or of the transducer goes on from frame to frame. What was
said is never taken back. Shape suffixes: B utterances (1), T frames, V vocabulary, D model width.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Bandwidth
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.features import fbank
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.models.common.tokenizer import BLANK, Tokenizer
from voxmill.models.inference.recognized_words import PlacedLog, RecognizedWord, recognized_words
from voxmill.models.inference.recognizer import Audio
from voxmill.models.network.streaming_encoder import LOOKAHEAD, STRIDE, StreamingEncoder
from voxmill.models.network.transducer import Transducer


class StreamingConfig(Settings):
    """How a stream is recognised."""

    chunk: int = Field(default=16, ge=1)
    """Encoder frames (40 ms) that are computed at once: words come at most so much later than they are said."""
    left: int = Field(default=64, ge=1)
    """Encoder frames before a chunk that it may see."""
    method: Literal["ctc", "transducer"] | None = None
    """The head that is searched greedily. Null: the transducer, or CTC for a model without one."""
    most: int = Field(default=5, ge=1)
    """Most tokens that the transducer says in a frame."""


class Token(NamedTuple):
    """A token that was said."""

    id: int
    frame: int
    """Encoder frame, from the start of the stream."""
    log_probability: float


class Search(Protocol):
    """A search that goes on from frame to frame."""

    def __call__(self, frame_TD: Tensor) -> Iterator[Token]: ...


class CtcSearch:
    """CTC's best path: the likeliest token of each frame, repetitions merged, blanks left out."""

    def __init__(self, head: torch.nn.Module, spoken: int) -> None:
        """`spoken`: tokens below this id may be said."""
        self._head, self._spoken, self._last, self._frame = head, spoken, BLANK, 0

    @torch.no_grad()
    def __call__(self, frame_TD: Tensor) -> Iterator[Token]:
        """The new tokens of the next frames."""
        best = self._head(frame_TD).float().log_softmax(dim=-1)[:, : self._spoken].max(dim=-1)
        for token, score in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            if token not in (BLANK, self._last):
                yield Token(token, self._frame, score)
            self._last = token
            self._frame += 1


class TransducerSearch:
    """Greedy search of the transducer: the likeliest token, until a blank moves on to the next frame."""

    def __init__(self, head: Transducer, spoken: int, most: int) -> None:
        """`spoken`: tokens below this id may be said; `most` in a frame."""
        self._head, self._spoken, self._most, self._frame = head, spoken, most, 0
        self._said = [BLANK] * head.predictor.context

    @torch.no_grad()
    def __call__(self, frame_TD: Tensor) -> Iterator[Token]:
        """The new tokens of the next frames."""
        for frame_D in frame_TD:
            for _ in range(self._most):
                context_1U = torch.tensor([self._said[-self._head.predictor.context :]], device=frame_TD.device)
                expected_1WD = self._head.predictor(context_1U)[:, -1:]
                log_V = self._head.join(frame_D[None, None], expected_1WD)[0, 0, 0].float().log_softmax(dim=-1)
                token = int(log_V[: self._spoken].argmax())
                if token == BLANK:
                    break
                yield Token(token, self._frame, float(log_V[token]))
                self._said = [*self._said[1:], token]
            self._frame += 1


class SpeechStream:
    """One stream of sound: `accept` samples as they come, `finish` at the end; `text` and `words` at any time.

    >>> stream = StreamingRecognizer(bundle).stream()  # doctest: +SKIP
    >>> for samples in microphone:  # doctest: +SKIP
    ...     stream.accept(samples)
    ...     print(stream.text)
    """

    def __init__(self, encoder: StreamingEncoder, search: Search, tokens: Tokenizer, chunk: int, given: Given) -> None:
        """Made by `StreamingRecognizer.stream`."""
        self._encoder, self._search, self._tokens, self._chunk, self._given = encoder, search, tokens, chunk, given
        self._state = encoder.start()
        self._wave = torch.zeros(0)
        self._feature_TM = torch.zeros(0, encoder.model.config.fbank.num_mels)
        self._finished = False
        self.heard = 0
        """Chunks heard so far."""
        self.tokens: list[Token] = []
        """What was said so far."""

    def accept(self, samples: Audio) -> int:
        """Hears 16 kHz mono samples in [-1, 1], shape (num_samples,), any number of them; how many tokens are new. Raises ValueError after
        `finish`."""
        if self._finished:
            raise ValueError("the stream is finished: take a new one")
        config = self._encoder.model.config.fbank
        self._wave = torch.cat([self._wave, torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))])
        new = config.num_frames(len(self._wave))
        if new:
            self._feature_TM = torch.cat([self._feature_TM, fbank(self._wave, config)])
            self._wave = self._wave[new * config.shift :]
        before = len(self.tokens)
        while len(self._feature_TM) >= STRIDE * self._chunk + LOOKAHEAD:
            self._hear(self._chunk)
        return len(self.tokens) - before

    def finish(self) -> str:
        """Hears what is left, and returns the whole text."""
        if not self._finished:
            self._finished = True
            if (rest := (len(self._feature_TM) - LOOKAHEAD) // STRIDE) > 0:
                self._hear(rest)
        return self.text

    @torch.no_grad()
    def _hear(self, frames: int) -> None:
        part_TM, self._feature_TM = self._feature_TM[: STRIDE * frames + LOOKAHEAD], self._feature_TM[STRIDE * frames :]
        device = self._encoder.model.device
        frame_BTD, self._state = self._encoder(part_TM[None].to(device), self._state, *self._given)
        self.tokens += self._search(frame_BTD[0])
        self.heard += 1

    @property
    def text(self) -> str:
        """What was said so far."""
        return self._tokens.decode(token.id for token in self.tokens)

    @property
    def words(self) -> tuple[RecognizedWord, ...]:
        """The words said so far; the last one may still grow. A token was said in its first frame."""
        config = self._encoder.model.config.fbank
        places = [PlacedLog(token.frame, token.frame + 1, token.log_probability) for token in self.tokens]
        return recognized_words([token.id for token in self.tokens], places, self._tokens, STRIDE * config.shift_ms)


class Given(NamedTuple):
    """What a stream is told besides the sound."""

    guide_B: Tensor | None
    active_BK: Tensor | None


class StreamingRecognizer:
    """Recognises streams with a loaded model; each `stream()` is one. Raises ValueError for a model that cannot stream."""

    def __init__(self, bundle: Bundle, config: StreamingConfig | None = None) -> None:
        """Raises ValueError for a pretrained encoder or one that sees the future, and if the model lacks the head."""
        self.config = config or StreamingConfig()
        self.bundle, self.model = bundle, bundle.model.eval()
        self.encoder = StreamingEncoder(self.model, self.config.left).eval()
        self.method = self.config.method or ("transducer" if self.model.transducer is not None else "ctc")
        if getattr(self.model, self.method) is None:
            raise ValueError(f"this model has no head for the method {self.method}")

    def stream(self, bandwidth: Bandwidth = "wide") -> SpeechStream:
        """A stream from its first sample. `bandwidth` is read by models with guided experts."""
        config, spoken = self.model.config, self.bundle.tokens.num_subwords
        guide_B = torch.tensor([BANDWIDTHS.index(bandwidth)], device=self.model.device)
        active_BK = config.tasks.active([frozenset({"asr"})]).to(self.model.device) if config.tasks else None
        search: Search
        if self.method == "transducer":
            assert self.model.transducer is not None
            search = TransducerSearch(self.model.transducer, spoken, self.config.most)
        else:
            search = CtcSearch(self.model.ctc, spoken)
        given = Given(guide_B if config.smoe and config.smoe.encoder else None, active_BK)
        return SpeechStream(self.encoder, search, self.bundle.tokens, self.config.chunk, given)
