"""What agreement and confidence are worth: the share of a label's words that is expected to be wrong, from calibrated curves.

A `Calibration` is fitted on a small labelled sample (`voxmill calibrate`) and is data from then on: applying it needs no library.
Agreement, confidence and length are weighed into one score (a logistic regression), and a curve that only falls (isotonic) says what
error a score stands for. Resampled curves carry how much the sample leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from voxmill.manifests.mistakes import Mistake
from voxmill.manifests.settings import Settings

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of one label before anybody has heard it."""

    agreement: float | None
    confidence: float | None
    units: int
    """Words (or characters) of the label."""


class Weights(Settings):
    """A logistic regression of a word being right. A term whose sign is unknown is left out of the sample too."""

    intercept: float
    agreement: float = 0.0
    confidence: float = 0.0
    length: float = 0.0

    def score(self, signs: Signs) -> float:
        """In (0, 1); higher is better."""
        terms = features(signs)
        logit = self.intercept + self.agreement * terms[0] + self.confidence * terms[1] + self.length * terms[2]
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, logit))))


def features(signs: Signs) -> tuple[float, float, float]:
    """Agreement; agreement times confidence, for where engines disagree a confidence says little; log length. 0 for what is unknown."""
    agreement = signs.agreement if signs.agreement is not None else 0.0
    return agreement, agreement * signs.confidence if signs.confidence is not None else 0.0, math.log1p(signs.units)


class Curve(Settings):
    """Expected error against a score, for one language. Between knots it is linear, beyond them constant."""

    language: str | None
    """None: every language that has no curve of its own."""
    scores: tuple[float, ...] = Field(min_length=1)
    """Rising."""
    errors: tuple[float, ...]
    """Word errors per word of the label; falling."""
    lengths: tuple[float, ...] = (1.0,)
    """At each knot (or everywhere): true words per word of the label. Engines that talk to themselves say more than there is."""
    resampled: tuple[tuple[float, ...], ...] = ()
    """The same knots when the sample's recordings are drawn again."""
    dispersion: tuple[float, ...] = (1.0,)
    """At each knot (or everywhere): variance of a segment's errors over their expectation. Words of one segment go wrong together."""
    segments: int
    words: int
    recordings: int
    speakers: int | None = None
    conditions: int | None = None

    def at(self, scores: Floats) -> Floats:
        """Errors per true word."""
        return np.interp(scores, self.scores, self.errors) / self._along(self.lengths, scores)

    def _along(self, values: tuple[float, ...], scores: Floats) -> Floats:
        found: Floats = np.interp(scores, self.scores, values if len(values) > 1 else values * len(self.scores))
        return found

    def interval(
        self, scores: Floats, words: Floats, rng: np.random.Generator, rounds: int = 2000
    ) -> tuple[float, float, float]:
        """Expected errors per true word of labels with these scores and words, and the 95 % within which the true rate will lie.

        Both what the sample leaves open (a curve drawn from `resampled`) and what chance does to the segments themselves are in it.
        """
        total = float(self._along(self.lengths, scores) @ words)
        wrong = np.interp(scores, self.scores, self.errors) * words
        rates = np.array([np.interp(scores, self.scores, row) @ words for row in self.resampled or (self.errors,)]) / total
        spread = math.sqrt(float(self._along(self.dispersion, scores) @ wrong)) / total
        drawn = rng.choice(rates, rounds) + spread * rng.standard_normal(rounds)
        low, high = np.percentile(drawn, [2.5, 97.5])
        return float(wrong.sum()) / total, max(0.0, float(low)), float(high)


class Calibration(Settings):
    """Weights and curves, and what they were made from."""

    version: int = 1
    unit: str = "word"
    both: Weights
    """For labels with an agreement and a confidence."""
    agreement: Weights
    """For labels whose engine gives no confidence."""
    curves: tuple[Curve, ...] = Field(min_length=1)
    """Of `both`."""
    plain: tuple[Curve, ...] = Field(min_length=1)
    """Of `agreement`."""
    warnings: tuple[str, ...] = ()

    def expected(self, signs: Signs, language: str | None) -> float | None:
        """Expected errors per word; None where the engines cannot be compared."""
        if signs.agreement is None:
            return None
        score, curve = self.place(signs, language)
        return float(curve.at(np.array([score]))[0])

    def place(self, signs: Signs, language: str | None) -> tuple[float, Curve]:
        """The score, and the curve that it is read from."""
        known = signs.confidence is not None
        weights, curves = (self.both, self.curves) if known else (self.agreement, self.plain)
        own = [curve for curve in curves if curve.language == language]
        rest = [curve for curve in curves if curve.language is None]
        return weights.score(signs), (own or rest or list(curves))[0]


def load_calibration(path: str) -> Calibration:
    """Raises Mistake, naming the file and the fix."""
    try:
        return Calibration.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise Mistake(f"no calibration at {path}: make one with `voxmill calibrate RUN --reference labelled.jsonl`") from None
    except ValidationError as error:
        raise Mistake(
            f"{path} is no calibration ({error.errors()[0]['msg']}): make it again with `voxmill calibrate`"
        ) from None


def knots(scores: Sequence[float], most: int = 64) -> Floats:
    """Scores at which a curve is kept: quantiles of those of the sample."""
    return np.unique(np.quantile(np.array(scores), np.linspace(0, 1, most)))
