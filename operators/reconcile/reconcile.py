"""The stage `reconcile`: all engines' hypotheses of a segment become one consensus, with the evidence beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.reasons import NOT_GIVEN, reject
from voxmill.manifests.records import NO_SPEECH, Consensus, Hypothesis, Rejection, Segment
from voxmill.operators.contract.languages import primary
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.agreement import agreement
from voxmill.operators.reconcile.choose import ANY, EngineText, LabelChoice, Voting, choose_label, preference
from voxmill.operators.reconcile.hallucination import chars_per_second, compression_ratio, repeated_run
from voxmill.operators.reconcile.normalise import NORMALISER, UNREAD, Normaliser, NormaliserConfig
from voxmill.operators.reconcile.rover import Method
from voxmill.operators.reconcile.tokenize import kind


class VoteConfig(Settings):
    """How three or more engines vote. Fiscus' searches on Hub-5E'97 gave avgconf 0.2 and 0.8, maxconf 0.7 and 0.6 (alpha, null)."""

    method: Method = "meth1"
    """Confidence of a word: the mean over its supporters (`meth1`), its share of the slot's total (`avgconf`), its best (`maxconf`)."""
    alpha: float = Field(default=1.0, ge=0.0, le=1.0)
    """Weight of the number of votes against confidence; 1 = votes alone."""
    null_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """Confidence of the null word, where an engine has no word."""
    outlier: float = Field(default=0.3, ge=0.0, le=1.0)
    """An engine whose mean similarity to the others is below this has no vote (it still counts in the agreement)."""
    pairs: bool = False
    """With `alpha` below 1: let two engines that give confidences vote too."""


class ReconcileConfig(Settings):
    """How hypotheses are compared, and which text becomes the label."""

    normalise: NormaliserConfig = NormaliserConfig()
    prefer: dict[str, tuple[str, ...]] = {"zh": ("paraformer", "sensevoice"), "yue": ("sensevoice",), ANY: ("whisperx",)}
    """Engines by language, the most trusted first; `*` is every other language. Engines not named follow by name."""
    vote: VoteConfig = VoteConfig()
    ngrams: tuple[int, int] = (2, 10)
    """Shortest and longest n-gram (units) whose repetition is looked for."""


class Reconcile:
    """One consensus per segment. `engines` names the hypotheses to compare, in the order in which they are stored.

    Engines that were not asked for a segment, by its language or because the others agreed, are no part of its consensus, nor is one of
    kind `given` or `captions` where there is no transcript. A segment is
    rejected where an engine that was asked gave no hypothesis, where one heard no words and another did, or where all heard nothing; its
    consensus still records who heard what.
    """

    def __init__(self, config: ReconcileConfig, engines: Sequence[str]) -> None:
        if not engines:
            raise ValueError("reconcile needs at least one engine")
        self.config = config
        self.engines = tuple(engines)
        self._normaliser = Normaliser(config.normalise)
        vote = config.vote
        self._voting = Voting(vote.method, vote.alpha, vote.null_confidence, vote.outlier)

    def __call__(self, work: UnitInput) -> list[Consensus]:
        heard = {(hypothesis.segment_id, hypothesis.engine): hypothesis for hypothesis in work.hypotheses}
        hints = {recording.id: recording.language for recording in work.recordings}
        return [
            self._reconcile(
                segment, {engine: heard.get((segment.id, engine)) for engine in self.engines}, hints[segment.recording_id]
            )
            for segment in work.segments
        ]

    def _reconcile(self, segment: Segment, all_given: Mapping[str, Hypothesis | None], hint: str | None) -> Consensus:
        if segment.kind == "event":
            return self._event(segment)
        engines = tuple(engine for engine, one in all_given.items() if not not_asked(one)) or self.engines
        given = [all_given[engine] for engine in engines]
        hypotheses = [h if h is not None and h.rejection is None else Hypothesis(segment.id, "", "", "") for h in given]
        language, probability = spoken_language(hypotheses, hint)
        normalised = self._normaliser.together([h.text for h in hypotheses], language)
        heard = [EngineText(h, n.units) for h, n in zip(hypotheses, normalised, strict=True)]
        missing = _missing(engines, given)
        rejection = missing or _silent(engines, heard)
        choice = LabelChoice("", (), "none", (), 0)
        if rejection is None:
            order = preference(language, self.config.prefer, engines)
            choice = choose_label(heard, order, self._voting, self.config.vote.pairs)
        return Consensus(
            segment_id=segment.id,
            text=choice.text,
            rule=choice.rule,
            language=language,
            language_confidence=probability,
            agreement=None if missing else agreement([one.units for one in heard]),
            vote=choice.vote,
            unit=kind((one.units for one in heard), language),
            engines=engines,
            normalised=tuple(one.text for one in normalised),
            normaliser=f"{NORMALISER}+{UNREAD}"
            if self._normaliser.unread(language, [h.text for h in hypotheses])
            else NORMALISER,
            slots=choice.slots,
            num_ties=sum(slot.tie for slot in choice.slots),
            confidence=hypotheses[choice.lead].confidence if rejection is None else None,
            chars_per_second=chars_per_second(choice.units, segment.seconds),
            compression_ratio=compression_ratio(choice.text),
            repeated_ngrams=repeated_run(choice.units, *self.config.ngrams).times,
            rejection=rejection,
        )

    def _event(self, segment: Segment) -> Consensus:
        """The consensus of a segment without speech: empty text; engines were not run."""
        count = len(self.engines)
        return Consensus(
            segment.id, "", "event", NO_SPEECH, None, None, None, "word", self.engines, ("",) * count, NORMALISER, (), 0, None,
            0.0, 0.0, 0,
        )  # fmt: skip


NOT_ASKED = ("transcribe.language", "transcribe.not_asked", NOT_GIVEN)
"""Reasons for which an engine says nothing of a segment, and nothing is amiss."""


def not_asked(hypothesis: Hypothesis | None) -> bool:
    """Whether the engine was not asked for this segment, or has no opinion of it."""
    return hypothesis is not None and hypothesis.rejection is not None and hypothesis.rejection.reason in NOT_ASKED


@dataclass(frozen=True, slots=True)
class HypothesesAgreement:
    """How far the hypotheses of one segment agree, as `Reconcile` would find it: None where fewer than two engines were asked."""

    normaliser: Normaliser

    def __call__(self, hypotheses: Sequence[Hypothesis], hint: str | None) -> float | None:
        asked = [one for one in hypotheses if not not_asked(one)]
        language, _ = spoken_language([one for one in asked if one.rejection is None], hint)
        texts = self.normaliser.together([one.text for one in asked], language)
        return agreement([one.units for one in texts])


def _missing(engines: Sequence[str], given: Sequence[Hypothesis | None]) -> Rejection | None:
    why = [
        f"{engine}: {hypothesis.rejection.reason}" if hypothesis and hypothesis.rejection else f"{engine}: no row"
        for engine, hypothesis in zip(engines, given, strict=True)
        if hypothesis is None or hypothesis.rejection
    ]
    return reject("reconcile.no_hypothesis", ", ".join(why)) if why else None


def _silent(engines: Sequence[str], heard: Sequence[EngineText]) -> Rejection | None:
    empty = [engine for engine, one in zip(engines, heard, strict=True) if not one.units]
    if len(empty) == len(engines):
        return reject("reconcile.no_text")
    return reject("reconcile.one_empty", ", ".join(empty)) if empty else None


def spoken_language(hypotheses: Sequence[Hypothesis], hint: str | None) -> tuple[str | None, float | None]:
    """The language and its probability: the summed probability it gets from its detectors, over the number of detectors.

    So detectors that contradict each other are never sure together. Engines that name a language without a probability were given it,
    or know no other: they count only where nothing was detected and the source gives no hint, and the probability is then None.
    """
    detected: dict[str, list[float]] = {}
    assumed = []
    for hypothesis in hypotheses:
        if hypothesis.language is None:
            continue
        if hypothesis.language_confidence is None:
            assumed.append(primary(hypothesis.language))
        else:
            detected.setdefault(primary(hypothesis.language), []).append(hypothesis.language_confidence)
    if detected:
        support = {language: math.fsum(values) for language, values in detected.items()}
        language = min(support, key=lambda name: (-support[name], name))
        return language, support[language] / sum(map(len, detected.values()))
    if hint:
        return primary(hint), None
    return (min(assumed, key=lambda name: (-assumed.count(name), name)) if assumed else None), None
