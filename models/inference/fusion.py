"""What is added to the score of a hypothesis besides the model's: for hotwords that it says, and by a language model of words (shallow fusion).

A `Fusion` walks over the tokens of a hypothesis from state to state, and says at each what is added.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from voxmill.manifests.errors import UserError
from voxmill.models.common.text_rules import TextRules, ruled
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.inference.arpa import BEGIN, END, NgramModel
from voxmill.models.inference.recognized_words import SPACE, UNSPACED


class Fusion(Protocol):
    """Adds to the score of a token sequence, token by token."""

    def start(self) -> Hashable:
        """The state before the first token."""
        ...

    def step(self, state: Any, token: int) -> tuple[Hashable, float]:
        """The state after a token, and what is added for it."""
        ...

    def finish(self, state: Any) -> float:
        """What is added at the end."""
        ...


def spellings(phrase: str, tokens: Tokenizer, rules: TextRules) -> list[list[int]]:
    """How a model writes a phrase: under the rules of the text that it learnt; in scripts without spaces also within a sentence, where no space
    comes before it. Raises UserError if it cannot."""
    said = " ".join(ruled(phrase, rules).text.split())
    starts = (True, False) if UNSPACED.match(said) else (True,)
    found = [tokens.encode(said, start=start) for start in starts]
    if not said or any(tokens.decode(one) != said for one in found):
        raise UserError(
            f"this model cannot write the hotword {phrase!r}: leave it out, or spell it with letters of the transcripts"
        )
    return found


class Hotwords:
    """Boosts phrases: each token of a phrase adds `boost` while the phrase goes on, which is taken back where it does not, and stays once it is
    whole. The context graph of icefall and sherpa: an Aho-Corasick automaton over tokens, whose states are the beginnings of phrases. Unlike
    theirs, a phrase that is whole does not count twice until the next token."""

    def __init__(self, phrases: Sequence[Sequence[int]], boost: float) -> None:
        """`phrases`: as tokens."""
        self._whole, self._boost = {tuple(phrase) for phrase in phrases if phrase}, boost
        begun = {phrase[:length] for phrase in self._whole for length in range(len(phrase) + 1)} | {()}
        self._open = {
            state: next(left for left in range(len(state) + 1) if state[: len(state) - left] in {(), *self._whole})
            for state in begun
        }
        """Tokens of each state that are not yet a phrase, or after one."""

    def start(self) -> tuple[int, ...]:
        """No phrase has begun."""
        return ()

    def step(self, state: tuple[int, ...], token: int) -> tuple[tuple[int, ...], float]:
        """The longest beginning of a phrase that the tokens now end with. Of a phrase that is whole, its boost is added for good."""
        said = (*state, token)
        after = next(said[first:] for first in range(len(said) + 1) if said[first:] in self._open)
        whole = sum(len(after) - first for first in range(len(after)) if after[first:] in self._whole)
        return after, self._boost * (self._open[after] - self._open[state] + whole)

    def finish(self, state: tuple[int, ...]) -> float:
        """Takes back what a phrase that is begun has added."""
        return -self._boost * self._open[state]


class WordModel:
    """An n-gram model of words: each whole word adds its log probability times `weight`, and `bonus`, since words cost and silence does not. The
    words are those of the text, at its spaces; of scripts without spaces each character is one."""

    def __init__(self, model: NgramModel, tokens: Tokenizer, weight: float, bonus: float) -> None:
        self._model, self._tokens, self._weight, self._bonus = model, tokens, weight, bonus

    def start(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """(the last words, tokens of the word that goes on)."""
        return (BEGIN,), ()

    def step(self, state: Any, token: int) -> tuple[Hashable, float]:
        """Adds for the word that has ended, which is the one before the token, or the one that it ends."""
        if not self._tokens.is_subword(token):
            return state, 0.0
        context, run = state
        added = 0.0
        if run and self._tokens.name(token).startswith(SPACE):
            context, added = self._said(context, run)
            run = ()
        run = (*run, token)
        if UNSPACED.search(self._tokens.decode(run)[-1:]):
            context, more = self._said(context, run)
            return (context, ()), added + more
        return (context, run), added

    def finish(self, state: Any) -> float:
        """The last word, and the end of the sentence."""
        context, added = self._said(*state)
        return added + self._weight * self._model.log(context, END)

    def _said(self, context: tuple[str, ...], run: tuple[int, ...]) -> tuple[tuple[str, ...], float]:
        added = 0.0
        words = UNSPACED.sub(r" \g<0> ", self._tokens.decode(run)).split()
        for spelt in (one for word in words for one in self._model.spelt(word)):
            added += self._weight * self._model.log(context, spelt) + self._bonus
            context = (*context, spelt)[-self._model.order :]
        return context, added


class PrefixBonus:
    """What fusions add to token sequences that grow in a search, each computed once."""

    def __init__(self, fusions: Sequence[Fusion]) -> None:
        self._fusions = fusions
        self._known: dict[tuple[int, ...], tuple[tuple[Hashable, ...], float]] = {
            (): (tuple(fusion.start() for fusion in fusions), 0.0)
        }

    def of(self, tokens: tuple[int, ...]) -> float:
        """Of a sequence that may go on. Its beginnings were asked for before."""
        return self._state(tokens)[1]

    def whole(self, tokens: tuple[int, ...]) -> float:
        """Of a sequence that has ended."""
        states, total = self._state(tokens)
        return total + sum(fusion.finish(state) for fusion, state in zip(self._fusions, states, strict=True))

    def _state(self, tokens: tuple[int, ...]) -> tuple[tuple[Hashable, ...], float]:
        if tokens not in self._known:
            before, total = self._state(tokens[:-1])
            steps = [fusion.step(state, tokens[-1]) for fusion, state in zip(self._fusions, before, strict=True)]
            self._known[tokens] = (tuple(state for state, _ in steps), total + sum(added for _, added in steps))
        return self._known[tokens]
