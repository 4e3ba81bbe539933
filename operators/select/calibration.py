"""Expected word error of a label from agreement and confidence, by calibrated curves.

A `Calibration` is fitted on a small labelled sample (`voxmill calibrate`) and is data from then on: applying it needs no library.
Agreement, confidence and length are combined into one score (logistic regression), and a falling curve (isotonic regression) maps
it to an error, with a factor for where labels of an agreement lie beside the curve. All of it is repeated for resampled recordings
(bootstrap), which gives the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError, first_mistake
from voxmill.manifests.user_input import text

Floats = NDArray[np.float64]

LEVEL = 0.95
"""Coverage of the intervals."""
SLIP = 0.05
"""Floor added to doubt of the engine (1 - confidence)."""


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """What is known of one label without listening."""

    agreement: float | None
    confidence: float | None
    units: int
    """Words (or characters) of the label."""


class Weights(Settings):
    """A logistic regression of a word being right. A term left out of the fit has weight 0."""

    intercept: float
    agreement: float = 0.0
    confidence: float = 0.0
    length: float = 0.0

    def score(self, terms: Floats) -> Floats:
        """Log-odds of a word being right, of rows of `features`."""
        found: Floats = self.intercept + terms @ np.array([self.agreement, self.confidence, self.length])
        return found


def features(signs: LabelEvidence) -> tuple[float, float, float]:
    """The terms of `Weights`: agreement and confidence on a logarithmic scale of doubt, and log length. 0 for what is unknown.

    The doubt of an agreement is as if half a word more had been heard otherwise: that three words agree says less than that twenty do.
    Errors fall with the order of magnitude of a doubt: from 0.9 to 0.95 as from 0.8 to 0.9. Confidence counts as far as the engines
    agree, for loops are confident.
    """
    agreement = min(signs.agreement, 1.0) if signs.agreement is not None else 0.0
    sure = max(0.0, -math.log(1.0 - min(signs.confidence, 1.0) + SLIP)) if signs.confidence is not None else 0.0
    units = max(signs.units, 1)
    doubt = ((1.0 - agreement) * units + 0.5) / (units + 1.0)
    return -math.log(doubt), agreement * sure, math.log1p(signs.units)


class Line(Settings):
    """Expected error by score. Linear between its points, constant outside."""

    weights: Weights
    scores: tuple[float, ...] = Field(min_length=1)
    """Scores of the points, rising."""
    errors: tuple[float, ...]
    """Word errors per word of the label; falling."""
    lengths: tuple[float, ...] = (1.0,)
    """True words per word of the label, at each point or everywhere: hallucinating engines write more than is said."""

    agreements: tuple[float, ...] = (0.0,)
    """Agreements (as the first of `features`), rising."""
    beside: tuple[float, ...] = (1.0,)
    """By which factor the errors there lie beside the curve; falling."""

    def counts(self, terms: Floats, units: Floats) -> tuple[Floats, Floats]:
        """Expected wrong words and true words of labels, from their features (n, 3) and lengths (n,)."""
        scores = self.weights.score(terms)
        beside = np.interp(terms[:, 0], self.agreements, self.beside)
        return self._along(self.errors, scores) * beside * units, self._along(self.lengths, scores) * units

    def _along(self, values: tuple[float, ...], scores: Floats) -> Floats:
        found: Floats = np.interp(scores, self.scores, values if len(values) > 1 else values * len(self.scores))
        return found


class Curve(Line):
    """A line for one language, its uncertainty, and the sample behind it."""

    language: str | None
    """None: all languages without a curve of their own."""
    resampled: tuple[Line, ...] = ()
    """Lines fitted to bootstrap resamples of recordings, the regression included; the n-th resample is the same in all curves."""
    dispersion: tuple[float, ...] = (1.0,)
    """Variance of a recording's errors over their expectation, at each point or everywhere: errors cluster within recordings."""
    segments: int
    words: int
    recordings: int
    speakers: int | None = None
    conditions: int | None = None

    def variance(self, terms: Floats, units: Floats) -> float:
        """Variance of the number of errors around its expectation."""
        return float(self._along(self.dispersion, self.weights.score(terms)) @ self.counts(terms, units)[0])


@dataclass(frozen=True, slots=True)
class Estimate:
    """Errors per true word, and the interval within which the true rate lies in `LEVEL` of all cases."""

    expected: float
    low: float
    high: float


class Calibration(Settings):
    """The curves of a fitted calibration."""

    version: Literal[3] = 3
    """Of what the numbers mean: a calibration of another version has to be made again."""
    unit: str = "word"
    curves: tuple[Curve, ...] = Field(min_length=1)
    """For labels with an agreement and a confidence."""
    plain: tuple[Curve, ...] = Field(min_length=1)
    """For labels whose engine gives no confidence."""
    warnings: tuple[str, ...] = ()

    def expected(self, signs: LabelEvidence, language: str | None) -> float | None:
        """Expected errors per true word; None where there is no agreement."""
        if signs.agreement is None:
            return None
        wrong, true = self.curve(signs, language).counts(np.array([features(signs)]), np.ones(1))
        return float(wrong[0] / true[0])

    def curve(self, signs: LabelEvidence, language: str | None) -> Curve:
        """The curve for a label: of its language, else of all; with or without confidence."""
        curves = self.curves if signs.confidence is not None else self.plain
        own = [curve for curve in curves if curve.language == language]
        rest = [curve for curve in curves if curve.language is None]
        return (own or rest or list(curves))[0]

    def estimate(self, labels: Sequence[tuple[LabelEvidence, str | None]]) -> Estimate | None:
        """The error rate of labels (with their languages) taken together, with its interval; None where none can be compared.

        The interval holds the uncertainty of the sample (rates of its resamples) and the chance in these labels. Both are relative errors,
        so a rate is never below zero.
        """
        groups: dict[int, tuple[Curve, list[LabelEvidence]]] = {}
        for signs, language in labels:
            if signs.agreement is not None:
                curve = self.curve(signs, language)
                groups.setdefault(id(curve), (curve, []))[1].append(signs)
        if not groups:
            return None
        wrong = true = chance = 0.0
        drawn = np.zeros((2, min(len(curve.resampled) for curve, _ in groups.values())))
        for curve, members in groups.values():
            terms, units = np.array([features(one) for one in members]), np.array([max(one.units, 1) for one in members], float)
            here = curve.counts(terms, units)
            wrong, true, chance = wrong + here[0].sum(), true + here[1].sum(), chance + curve.variance(terms, units)
            for n in range(drawn.shape[1]):
                drawn[:, n] += [part.sum() for part in curve.resampled[n].counts(terms, units)]
        if wrong == 0.0:
            return Estimate(0.0, 0.0, 0.0)  # fitted curves never say so: see `LEAST` in calibration_fit.py
        open_ = float(np.var(np.log(drawn[0] / drawn[1]), ddof=1)) if drawn.shape[1] > 1 else 0.0
        factor = math.exp(NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(open_ + math.log1p(chance / wrong**2)))
        return Estimate(wrong / true, wrong / true / factor, wrong / true * factor)


def load_calibration(path: str) -> Calibration:
    """Reads a calibration. Raises UserError, naming the file and the fix."""
    try:
        return Calibration.model_validate_json(
            text(path, "calibration", "make one with `voxmill calibrate RUN --reference labelled.jsonl`")
        )
    except ValidationError as error:
        raise UserError(f"{path} is no calibration ({first_mistake(error)}): make it again with `voxmill calibrate`") from None
