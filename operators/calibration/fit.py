"""Fits a `Calibration` to labels whose true words are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.mistakes import Mistake
from voxmill.operators.calibration.expected import Calibration, Curve, Floats, Signs, Weights, features, knots

BINS = 16
"""Steps of a curve, at most."""
FIFTHS = 5
ROUNDS = 200
"""Resamples of recordings."""
FEWEST_WORDS, FEWEST_RECORDINGS = 300, 5
"""Of a language, for a curve of its own."""
CORRELATED = 0.3
"""Share of the wrong words that all engines say alike, from which their errors count as correlated."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One label beside its truth."""

    recording_id: str
    language: str | None
    signs: Signs
    words: int
    """Of the reference."""
    errors: int
    """Word edits between label and reference."""
    agreed_errors: int = 0
    """Of these, in words on which all engines agree."""
    speaker: str | None = None
    condition: str | None = None


def fit(sample: Sequence[Labelled], unit: str = "word", seed: int = 0) -> Calibration:
    """A calibration from the labels with an agreement. Raises Mistake where the sample cannot tell right from wrong."""
    known = [one for one in sample if one.signs.agreement is not None and one.words + one.errors]
    errors, words = sum(one.errors for one in known), sum(one.words for one in known)
    if not errors or errors >= sum(max(one.words, one.errors) for one in known):
        raise Mistake(
            f"the labelled sample has {errors} errors in {words} words: it needs labels that are right and labels that are wrong"
        )
    confident = [one for one in known if one.signs.confidence is not None]
    plain = _weights(known, confidence=False)
    both = _weights(confident, confidence=True) if _tells(confident) else plain
    rng = np.random.default_rng(seed)
    return Calibration(
        unit=unit,
        both=both,
        agreement=plain,
        curves=tuple(_curves(confident if both is not plain else known, both, rng)),
        plain=tuple(_curves(known, plain, rng)),
        warnings=tuple(_warnings(known)),
    )


def _tells(sample: Sequence[Labelled]) -> bool:
    return 0 < sum(one.errors for one in sample) < sum(max(one.words, one.errors) for one in sample)


def _weights(sample: Sequence[Labelled], *, confidence: bool) -> Weights:
    """Logistic regression of words right against words wrong; a segment's words count once each."""
    from sklearn.linear_model import LogisticRegression

    used = [0, 1, 2] if confidence else [0, 2]
    rows = np.array([features(one.signs) for one in sample])[:, used]
    wrong = np.array([one.errors for one in sample], float)
    right = np.array([max(one.words - one.errors, 0) for one in sample], float)
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(np.vstack([rows, rows]), np.repeat([1, 0], len(rows)), sample_weight=np.concatenate([right, wrong]))
    found = dict(zip(used, model.coef_[0].tolist(), strict=True))
    return Weights(
        intercept=float(model.intercept_[0]),
        agreement=found[0],
        confidence=found.get(1, 0.0),
        length=found[2],
    )


def _curves(sample: Sequence[Labelled], weights: Weights, rng: np.random.Generator) -> list[Curve]:
    """One for everything, and one for each language that has enough."""
    by_language: dict[str | None, list[Labelled]] = defaultdict(list)
    for one in sample:
        by_language[one.language].append(one)
    large = [language for language, rows in by_language.items() if language is not None and _enough(rows)]
    own = [_curve(by_language[language], language, weights, rng) for language in sorted(str(one) for one in large)]
    return [_curve(sample, None, weights, rng), *(own if len(by_language) > 1 else ())]


def _enough(rows: Sequence[Labelled]) -> bool:
    return (
        sum(one.words for one in rows) >= FEWEST_WORDS
        and len({one.recording_id for one in rows}) >= FEWEST_RECORDINGS
        and _tells(rows)
    )


def _curve(sample: Sequence[Labelled], language: str | None, weights: Weights, rng: np.random.Generator) -> Curve:
    scores = np.array([weights.score(one.signs) for one in sample])
    words = np.array([max(one.signs.units, 1) for one in sample], float)
    rates = np.array([one.errors for one in sample], float) / words
    places = knots(scores.tolist())
    errors = _falling(scores, rates, words, places)
    codes = np.unique([one.recording_id for one in sample], return_inverse=True)[1]
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    drawn = [np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))]) for _ in range(ROUNDS)]
    resampled = [_falling(scores[rows], rates[rows], words[rows], places) for rows in drawn]
    return Curve(
        language=language,
        scores=tuple(places.tolist()),
        errors=tuple(errors.tolist()),
        resampled=tuple(tuple(np.round(row, 6).tolist()) for row in resampled),
        lengths=_by_fifths(scores, np.array([one.words for one in sample], float), words, places, 0.1),
        dispersion=_dispersion(scores, rates * words, words, places, errors),
        segments=len(sample),
        words=int(sum(one.words for one in sample)),
        recordings=len(members),
        speakers=_count(one.speaker for one in sample),
        conditions=_count(one.condition for one in sample),
    )


def _dispersion(scores: Floats, errors: Floats, words: Floats, places: Floats, rates: Floats) -> tuple[float, ...]:
    """Quasi-Poisson: squared residuals over expectations; sure labels spread less than doubtful ones."""
    expected = np.maximum(np.interp(scores, places, rates), 1e-4) * words
    return _by_fifths(scores, (errors - expected) ** 2, expected, places, 1.0)


def _by_fifths(scores: Floats, part: Floats, whole: Floats, places: Floats, least: float) -> tuple[float, ...]:
    """Σ part / Σ whole in each fifth of the sample, at the knots."""
    edges = np.quantile(scores, np.linspace(0, 1, FIFTHS + 1)[1:-1])
    home, at = np.searchsorted(edges, scores), np.searchsorted(edges, places)
    ratios = [part[home == k].sum() / whole[home == k].sum() if (home == k).any() else 1.0 for k in range(FIFTHS)]
    return tuple(max(float(ratios[k]), least) for k in at)


def _falling(scores: Floats, rates: Floats, words: Floats, places: Floats) -> NDArray[np.float64]:
    """Isotonic regression: the falling curve closest to the rates, weighed by words.

    Of bins with equal numbers of labels, not of single labels: at its ends the regression would follow the luckiest of them.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(scores, kind="stable")
    bins = [rows for rows in np.array_split(order, min(BINS, len(order))) if len(rows)]
    weights = np.array([words[rows].sum() for rows in bins])
    middles = np.array([scores[rows] @ words[rows] for rows in bins]) / weights
    means = np.array([rates[rows] @ words[rows] for rows in bins]) / weights
    model = IsotonicRegression(increasing=False, y_min=0.0, out_of_bounds="clip").fit(middles, means, sample_weight=weights)
    found: NDArray[np.float64] = model.predict(places)
    return found


def _count(values: Any) -> int | None:
    return len({value for value in values if value is not None}) or None


def _warnings(sample: Sequence[Labelled]) -> list[str]:
    found = []
    errors, agreed = sum(one.errors for one in sample), sum(one.agreed_errors for one in sample)
    if agreed > CORRELATED * errors:
        found.append(
            f"{agreed} of {errors} errors are in words on which all engines agree: their errors are correlated, and agreement "
            "cannot see them; add an engine of another kind"
        )
    recordings = len({one.recording_id for one in sample})
    if recordings < 20:
        found.append(f"only {recordings} recordings: intervals are wide, and say nothing of other material")
    speakers = _count(one.speaker for one in sample)
    if speakers is None:
        found.append("the sample names no speakers: whether the curve holds for other voices cannot be said")
    elif speakers < 10:
        found.append(f"only {speakers} speaker{'s' if speakers > 1 else ''}: the curve may not hold for other voices")
    return found
