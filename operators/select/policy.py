"""What makes a segment worth keeping: thresholds, rules and tiers.

Rules are tried in the order of `RULES`; the first that fails gives the reason. What passes is sorted into tiers by one score:
`high` >= `weak` >= `unlabelled` (audio worth keeping, text not) >= rejected. The score is the agreement of the engines,
`agreement * (1 - w + w * confidence)`, or 1 - the error that a calibration expects. With a single engine there is no agreement, and
its confidence is compared with the thresholds `single_*`; an engine without confidences then gives `unlabelled`.

All of this follows from columns that a run keeps: `manifests/catalog.sql` states the same rules in SQL, so that thresholds can be
tried without running anything again, and a test checks that both agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Tier

DEV = TEST = 0.01
"""Default shares of the development and test splits."""


class SelectConfig(Settings):
    """What is kept, and in which tier. Scores are in [0, 1]; equality with a threshold passes."""

    score: Literal["agreement", "agreement_confidence", "expected_error"] = "agreement"
    """What segments are sorted by: agreement of the engines, the same lowered where the chosen engine is unsure, or 1 - the
    error that a calibration expects."""
    confidence_share: float = Field(default=0.25, ge=0.0, le=1.0)
    """With `agreement_confidence`: how much of the score the chosen engine's confidence can take away (w above)."""
    calibration: str | None = None
    """A file written by `voxmill calibrate`. With `expected_error` the score is 1 - the share of words expected to be wrong."""
    high: float = Field(default=0.95, ge=0.0, le=1.0)
    """Least score of the tier `high`: labels to trust. Higher keeps fewer and better labels."""
    weak: float = Field(default=0.80, ge=0.0, le=1.0)
    """Least score of the tier `weak`: labels with some errors, learnt from with `weak_weight`. This is the lowest score
    whose text is kept."""
    unlabelled: float = Field(default=0.60, ge=0.0, le=1.0)
    """Below this nothing is kept."""
    single_high: float = Field(default=0.90, ge=0.0, le=1.0)
    """With one engine, least confidence of the tier `high`: there is no agreement to rely on."""
    single_weak: float = Field(default=0.75, ge=0.0, le=1.0)
    """With one engine, least confidence of the tier `weak`."""
    single_unlabelled: float = Field(default=0.50, ge=0.0, le=1.0)
    """With one engine, least confidence of the tier `unlabelled`; below it nothing is kept."""
    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """Least confidence of the engine whose text is the label; engines without confidences pass."""
    languages: tuple[str, ...] = ()
    """Primary subtags to keep (`en`, `zh`); empty = all."""
    language_confidence: float = Field(default=0.8, ge=0.0, le=1.0)
    """Least probability of a detected language; a language that the source states passes."""
    max_repeats: int = Field(default=3, ge=1)
    """Most repetitions of one n-gram in a row."""
    max_compression: float = Field(default=2.4, gt=0.0)
    """Largest ratio of text to zlib output (bytes)."""
    rate_fence: float | None = Field(default=1.5, ge=0.0)
    """Characters per second may lie this many interquartile ranges outside the quartiles of the recording; null = no fence."""
    rate_segments: int = Field(default=8, ge=2)
    """Fewest segments of a recording in a unit from which a fence is computed."""
    min_chars: int = Field(default=2, ge=0)
    """Fewest characters of the normalised label."""
    licences: tuple[str, ...] = ("*",)
    """Names or patterns (`cc-by-*`). No pattern matches `unknown` or `proprietary`; the latter can be named."""
    allow_unknown_licence: bool = False
    """Also keep recordings without a stated licence. You must then know what you may do with them."""
    keep_unlabelled: bool = False
    """Keep the audio of the `unlabelled` tier."""
    weak_weight: float = Field(default=0.3, ge=0.0, le=1.0)
    """Loss weight of the `weak` tier."""
    dev_share: float = Field(default=DEV, ge=0.0, le=0.5)
    """Share of recordings, by hash of their id: a recording is never split."""
    test_share: float = Field(default=TEST, ge=0.0, le=0.5)
    """Share of recordings that go to the test split, by the same hash."""

    @model_validator(mode="after")
    def _calibrated(self) -> SelectConfig:
        if self.score == "expected_error" and self.calibration is None:
            raise ValueError("score: expected_error needs `calibration`, a file that `voxmill calibrate` writes")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> SelectConfig:
        if not self.high >= self.weak >= self.unlabelled:
            raise ValueError("thresholds must fall: high >= weak >= unlabelled")
        if not self.single_high >= self.single_weak >= self.single_unlabelled:
            raise ValueError("thresholds must fall: single_high >= single_weak >= single_unlabelled")
        return self


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that `verdict` depends on; None is unknown."""

    licence: str
    language: str | None
    language_confidence: float | None
    chars: int
    chars_per_second: float
    fence: tuple[float, float] | None
    repeated_ngrams: int
    compression_ratio: float
    confidence: float | None
    agreement: float | None
    expected_error: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A filter, its reason, and its detail for evidence that fails it."""

    reason: str
    fails: Callable[[Evidence, SelectConfig], bool]
    detail: Callable[[Evidence, SelectConfig], str]


RULES: tuple[Rule, ...] = (
    Rule(
        "select.licence",
        lambda e, c: not licensed(e.licence, c),
        lambda e, c: e.licence,
    ),
    Rule(
        "select.language",
        lambda e, c: bool(c.languages) and e.language not in c.languages,
        lambda e, c: e.language or "unknown",
    ),
    Rule(
        "select.language_unsure",
        lambda e, c: e.language_confidence is not None and e.language_confidence < c.language_confidence,
        lambda e, c: f"{e.language} {e.language_confidence:.3f} < {c.language_confidence}",
    ),
    Rule(
        "select.too_few_chars",
        lambda e, c: e.chars < c.min_chars,
        lambda e, c: f"{e.chars} < {c.min_chars}",
    ),
    Rule(
        "select.repetition",
        lambda e, c: e.repeated_ngrams > c.max_repeats,
        lambda e, c: f"{e.repeated_ngrams} times > {c.max_repeats}",
    ),
    Rule(
        "select.compression",
        lambda e, c: e.compression_ratio > c.max_compression,
        lambda e, c: f"{e.compression_ratio:.2f} > {c.max_compression}",
    ),
    Rule(
        "select.speech_rate",
        lambda e, c: e.fence is not None and not e.fence[0] <= e.chars_per_second <= e.fence[1],
        lambda e, c: f"{e.chars_per_second:.1f}/s outside {e.fence[0]:.1f} to {e.fence[1]:.1f}" if e.fence else "",
    ),
    Rule(
        "select.low_confidence",
        lambda e, c: e.confidence is not None and e.confidence < _least_confidence(e, c),
        lambda e, c: f"{e.confidence:.3f} < {_least_confidence(e, c)}",
    ),
    Rule(
        "select.low_agreement",
        lambda e, c: e.agreement is not None and (score(e, c) or 0.0) < c.unlabelled,
        lambda e, c: f"{score(e, c):.3f} < {c.unlabelled}",
    ),
)


def licensed(licence: str, config: SelectConfig) -> bool:
    """Whether the config keeps recordings under this licence."""
    if licence == "unknown":
        return config.allow_unknown_licence
    if licence == "proprietary":
        return licence in config.licences
    return any(fnmatchcase(licence, pattern) for pattern in config.licences)


def _least_confidence(evidence: Evidence, config: SelectConfig) -> float:
    return config.min_confidence if evidence.agreement is not None else max(config.min_confidence, config.single_unlabelled)


def score(evidence: Evidence, config: SelectConfig) -> float | None:
    """The score that tiers are made of; None where neither agreement nor confidence is known."""
    if evidence.agreement is None:
        return evidence.confidence
    if config.score == "expected_error":
        return None if evidence.expected_error is None else max(0.0, 1.0 - evidence.expected_error)
    if config.score == "agreement" or evidence.confidence is None:
        return evidence.agreement
    return evidence.agreement * (1.0 - config.confidence_share + config.confidence_share * evidence.confidence)


def verdict(evidence: Evidence, config: SelectConfig) -> tuple[Tier, str | None, str]:
    """Tier, reason and detail. The reason of an `unlabelled` segment is None if the config keeps it."""
    for rule in RULES:
        if rule.fails(evidence, config):
            return "rejected", rule.reason, rule.detail(evidence, config)
    value = score(evidence, config)
    high, weak = (config.single_high, config.single_weak) if evidence.agreement is None else (config.high, config.weak)
    if value is not None and value >= weak:
        return ("high" if value >= high else "weak"), None, ""
    detail = "no agreement, no confidence" if value is None else f"{value:.3f} < {weak}"
    return "unlabelled", None if config.keep_unlabelled else "select.unlabelled", detail
