"""From the encoder's output to tokens, by the method that is asked for: of CTC, of the decoders, of the transducer.

The decoder and the transducer's beam search work on all utterances at once, the others on one after the other. Shape suffixes: B utterances,
T frames, N hypotheses, U tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from voxmill.models.common.tasks import IGNORE
from voxmill.models.common.tokenizer import EOT, Tokenizer
from voxmill.models.inference.attention_beam import attention_beam
from voxmill.models.inference.decode import Scored, ctc_beam, ctc_greedy, rescored, sequence_scores, transducer_greedy
from voxmill.models.inference.fusion import Fusion, PrefixBonus
from voxmill.models.inference.per_task import mask_tokens
from voxmill.models.inference.recognizer_config import OF_TRANSDUCER, RecognizerConfig
from voxmill.models.inference.transducer_beam import transducer_beam
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.model import Conditions, EncoderOutput, SpeechModel


class TokenSearch:
    """The best token sequence of each utterance."""

    def __init__(
        self,
        model: SpeechModel,
        tokens: Tokenizer,
        config: RecognizerConfig,
        forbidden: list[int],
        fusions: Sequence[Fusion] = (),
    ) -> None:
        """`forbidden`: tokens that are never said; `fusions`: what methods with a beam add to scores."""
        self.model, self.tokens, self.config, self.forbidden, self.fusions = model, tokens, config, forbidden, fusions

    def __call__(
        self, encoded: EncoderOutput, ctc_BTV: Tensor, conditions: Conditions, prompts: Sequence[list[int]]
    ) -> list[Scored]:
        """One for each utterance. `prompts`: what its decoder has read before."""
        by_decoder = self.config.method in ("attention", "attention-beam")
        if by_decoder or self.config.translate_to is not None:  # CTC speaks the language of the sound only
            return self._attention(encoded, conditions, prompts)
        if self.config.method in OF_TRANSDUCER:
            return self._transducer(encoded)
        rows = zip(encoded.length_B.tolist(), ctc_BTV, prompts, strict=True)
        return [
            self._ctc(log_TV[:length], row_of(encoded, row), conditions, prompt)
            for row, (length, log_TV, prompt) in enumerate(rows)
        ]

    def _attention(self, encoded: EncoderOutput, conditions: Conditions, prompts: Sequence[list[int]]) -> list[Scored]:
        """Utterances whose prompts are of one length are decoded together."""
        together: dict[int, list[int]] = defaultdict(list)
        for row, prompt in enumerate(prompts):
            together[len(prompt)].append(row)
        best: dict[int, Scored] = {}
        for length, rows in together.items():
            found = attention_beam(
                CachedDecoder(self.model, rows_of(encoded, rows), conditions, self.forbidden),
                _tensor([prompts[row] for row in rows], encoded),
                self.tokens[EOT],
                beam=self.config.beam if self.config.method == "attention-beam" else 1,
                most=int(min(self.config.max_tokens, (self.tokens.config.longest or math.inf) - length)),
                length_penalty=self.config.length_penalty,
                fusions=self.fusions,
            )
            best |= {row: hypotheses[0] for row, hypotheses in zip(rows, found, strict=True)}
        return [best[row] for row in range(len(prompts))]

    def _transducer(self, encoded: EncoderOutput) -> list[Scored]:
        assert self.model.transducer is not None
        lengths = encoded.length_B.tolist()
        if self.config.method == "transducer":
            return [
                transducer_greedy(self.model.transducer, frame_TD[:length], forbidden=self.forbidden)
                for length, frame_TD in zip(lengths, encoded.frame_BTD, strict=True)
            ]
        beam, penalty = self.config.beam, self.config.length_penalty
        found = transducer_beam(self.model.transducer, encoded.frame_BTD, lengths, beam, penalty, self.forbidden, self.fusions)
        return [hypotheses[0] for hypotheses in found]

    def _ctc(self, log_TV: Tensor, encoded: EncoderOutput, conditions: Conditions, prompt: list[int]) -> Scored:
        log_TV = mask_tokens(log_TV, self.forbidden)
        if self.config.method == "greedy":
            return ctc_greedy(log_TV)
        found = ctc_beam(log_TV, self.config.beam, bonus=PrefixBonus(self.fusions) if self.fusions else None)
        return found[0] if self.config.method == "beam" else self._rescored(found, encoded, conditions, prompt)[0]

    def _rescored(self, found: list[Scored], encoded: EncoderOutput, conditions: Conditions, prompt: list[int]) -> list[Scored]:
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
        logits_NUV = self.model.decode(_tensor(read, encoded), encoded, for_rows(conditions, len(found)), backwards=backwards)
        return sequence_scores(logits_NUV, _tensor(said, encoded))


class CachedDecoder:
    """A decoder as `attention_beam` calls it, which reads each token once."""

    def __init__(self, model: SpeechModel, encoded: EncoderOutput, conditions: Conditions, forbidden: list[int]) -> None:
        self.model, self.encoded, self.conditions, self.forbidden = model, encoded, conditions, forbidden
        self.cache = DecoderCache()

    def __call__(self, token_NU: Tensor, row_N: Tensor | None, kept_B: Tensor | None) -> Tensor:
        """See `attention_beam.Predict`."""
        if row_N is not None:
            self.cache.select(row_N, kept_B)
        if kept_B is not None:
            self.encoded = rows_of(self.encoded, kept_B.tolist())
        conditions = for_rows(self.conditions, len(token_NU))
        logits_NV = self.model.decode(token_NU, self.encoded, conditions, cache=self.cache)[:, -1]
        return mask_tokens(logits_NV.float().log_softmax(dim=-1), self.forbidden)


def rows_of(encoded: EncoderOutput, rows: list[int]) -> EncoderOutput:
    """What is of these utterances."""
    return EncoderOutput(*(field[rows] for field in encoded))


def row_of(encoded: EncoderOutput, row: int) -> EncoderOutput:
    """What is of one utterance, without padding."""
    one, real_S = slice(row, row + 1), encoded.real_BS[row]
    return EncoderOutput(
        encoded.frame_BTD[one, : int(encoded.length_B[row])],
        encoded.length_B[one],
        encoded.memory_BSD[one][:, real_S],
        encoded.real_BS[one][:, real_S],
    )


def for_rows(conditions: Conditions, rows: int) -> Conditions:
    """What a decoder is told of so many sequences: all transcribe, or all translate."""
    assert conditions.translates_B is not None
    return Conditions(budget=conditions.budget, translates_B=conditions.translates_B[:1].expand(rows))


def _tensor(rows: list[list[int]], encoded: EncoderOutput) -> Tensor:
    return torch.tensor(rows, dtype=torch.long, device=encoded.memory_BSD.device)
