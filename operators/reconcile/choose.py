"""Which text becomes the label: a named rule for one, two, and more engines; never the order of files.

* one engine: its text (`only:<engine>`);
* two: every difference is a tie, so there is nothing to vote on: the text of the engine preferred for the language
  (`prefer:<engine>`), or, if configured and both give confidences, a vote by confidence;
* three or more: the ROVER vote (`rover:<method>`), without engines that agree with no other (`rover:<method> without <engine>`).
  A word is spelt as by an engine that said it, first of all the one closest to the vote.

Engines are aligned in the order of preference for the language, then by name. A slot is a tie where another outcome scored the
same (with two engines: where they differ); it goes to the preferred engine, and is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxmill.manifests.records import Hypothesis, Slot
from voxmill.operators.reconcile.agreement import similarity
from voxmill.operators.reconcile.rover import Ballot, Method, align, vote
from voxmill.operators.reconcile.spelling import Spelling, groups, quote

ANY = "*"
"""Key in a table of preferences for languages without a row of their own."""


@dataclass(frozen=True, slots=True)
class Voting:
    """How votes are counted; see `rover.vote`."""

    method: Method
    alpha: float
    null_confidence: float
    outlier: float
    """Engines whose mean similarity to the others is below this have no vote."""

    @property
    def by_confidence(self) -> bool:
        """Whether confidences take part in the vote."""
        return self.alpha < 1.0


@dataclass(frozen=True, slots=True)
class EngineText:
    """One engine's hypothesis and its normalised units."""

    hypothesis: Hypothesis
    units: tuple[str, ...]

    @property
    def confidences(self) -> list[float]:
        """One confidence per unit: of its words where the engine gives them, else of the text, else 0."""
        whole = self.hypothesis.confidence or 0.0
        values = [whole] * len(self.units)
        words = self.hypothesis.words or ()
        for group in groups([word.text for word in words], self.units):
            known = [w.confidence for w in words[group.first_token : group.last_token] if w.confidence is not None]
            if known:
                values[group.first : group.last] = [math.fsum(known) / len(known)] * (group.last - group.first)
        return values


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """The label and how it came about. The words of `slots` are in the order of the engines given; `lead` is an index into it."""

    text: str
    units: tuple[str, ...]
    rule: str
    slots: tuple[Slot, ...]
    lead: int
    """Index of the engine whose text this is, or of the one closest to the vote."""
    vote: float | None = None
    """Mean share of the voters behind each slot's outcome; None where nothing was voted on."""


def preference(language: str | None, prefer: Mapping[str, Sequence[str]], engines: Sequence[str]) -> list[int]:
    """Indices of `engines`, the most trusted for the language first; engines without a rank follow by name.

    >>> preference("zh", {"zh": ["paraformer"], "*": ["whisperx"]}, ["moonshine", "whisperx", "paraformer"])
    [2, 0, 1]
    """
    row = list(prefer.get(language or ANY, prefer.get(ANY, ())))
    rank = {name: place for place, name in enumerate(row)}
    return sorted(range(len(engines)), key=lambda k: (rank.get(engines[k], len(row)), engines[k]))


def choose_label(heard: Sequence[EngineText], order: Sequence[int], voting: Voting, vote_in_pairs: bool = False) -> LabelChoice:
    """The label from one or more engines. `order` lists their indices, the most trusted first."""
    confident = all(one.hypothesis.confidence is not None for one in heard)
    if len(heard) > 2 or (len(heard) == 2 and vote_in_pairs and voting.by_confidence and confident):
        return _vote(heard, order, voting)
    lead = order[0]
    name = heard[lead].hypothesis.engine
    network = align([heard[k].units for k in order])
    slots = tuple(Slot(_columns(slot, order), slot[0], len(set(slot)) > 1) for slot in network)
    rule = f"prefer:{name}" if len(heard) > 1 else f"only:{name}"
    return LabelChoice(heard[lead].hypothesis.text.strip(), heard[lead].units, rule, slots, lead)


def _vote(heard: Sequence[EngineText], order: Sequence[int], voting: Voting) -> LabelChoice:
    voters = _voters(heard, order, voting.outlier)
    order = [*voters, *(k for k in order if k not in voters)]
    network = align([heard[k].units for k in order])
    confidences = [heard[k].confidences for k in voters] if voting.by_confidence else None
    votable = [slot[: len(voters)] for slot in network]
    ballots = vote(votable, voting.method, voting.alpha, voting.null_confidence, confidences)
    winners = tuple(ballot.choice for ballot in ballots if ballot.choice is not None)
    lead = max(voters, key=lambda k: (similarity(heard[k].units, winners), -voters.index(k)))
    slots = tuple(Slot(_columns(slot, order), b.choice, b.tie, b.share) for slot, b in zip(network, ballots, strict=True))
    shares = [b.share for b, slot in zip(ballots, votable, strict=True) if any(slot)]
    text = _spell(heard, [lead, *(k for k in voters if k != lead)], slots, ballots)
    dropped = sorted(heard[k].hypothesis.engine for k in order if k not in voters)
    rule = f"rover:{voting.method}" + (f" without {', '.join(dropped)}" if dropped else "")
    return LabelChoice(text, winners, rule, slots, lead, math.fsum(shares) / len(shares) if shares else None)


def _voters(heard: Sequence[EngineText], order: Sequence[int], outlier: float) -> list[int]:
    """All engines but outliers; all of them where fewer than two would be left."""
    kept = []
    for k in order:
        others = [similarity(heard[k].units, heard[other].units) for other in sorted(order) if other != k]
        if math.fsum(others) / len(others) >= outlier:
            kept.append(k)
    return kept if len(kept) > 1 else list(order)


def _columns(slot: Sequence[str | None], order: Sequence[int]) -> tuple[str | None, ...]:
    """From the order of alignment back to the order of the engines."""
    words: list[str | None] = [None] * len(slot)
    for place, k in enumerate(order):
        words[k] = slot[place]
    return tuple(words)


def _spell(heard: Sequence[EngineText], speakers: Sequence[int], slots: Sequence[Slot], ballots: Sequence[Ballot]) -> str:
    """Each winning word in the spelling of the first speaker that said it."""
    spellings = [Spelling.of(one.hypothesis.text, one.units) for one in heard]
    place = [0] * len(heard)
    chosen = []
    for slot, ballot in zip(slots, ballots, strict=True):
        if ballot.choice is not None:
            speaker = next(k for k in speakers if slot.words[k] == ballot.choice)
            chosen.append((speaker, place[speaker]))
        for k, word in enumerate(slot.words):
            place[k] += word is not None
    return quote(spellings, chosen)
