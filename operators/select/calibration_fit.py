"""Fits a `Calibration` to labels whose true words are known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.errors import UserError
from voxmill.operators.select.calibration import Calibration, Curve, Floats, LabelEvidence, Line, Weights, features

STEPS, LABELS = 16, 60
"""A curve has at least `STEPS` steps, and one per `LABELS` labels."""
TENTHS = 10
ROUNDS = 100
"""Resamples of recordings."""
LEAST = 1e-4
"""Least expected errors per word: a sample without errors does not prove that there are none."""
TERMS, PLAIN = ("agreement", "confidence", "length"), ("agreement", "length")
"""Terms of the regression, in the order of `features`; `PLAIN` where no engine gives a confidence."""
FEWEST_WORDS, FEWEST_RECORDINGS = 300, 5
"""Fewest words and recordings of a language for a curve of its own."""
FEW = 10.0
"""Errors that count for the curve where it is compared with what was found at an agreement."""
CORRELATED = 0.3
"""Share of the wrong words that all engines say alike, from which their errors count as correlated."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One label beside its truth."""

    recording_id: str
    language: str | None
    signs: LabelEvidence
    words: int
    """Words of the reference."""
    errors: int
    """Word edits between label and reference."""
    agreed_errors: int = 0
    """Those of them in words on which all engines agree."""
    speaker: str | None = None
    condition: str | None = None


def fit(sample: Sequence[Labelled], unit: str = "word", seed: int = 0, rounds: int = ROUNDS) -> Calibration:
    """A calibration from the labels with an agreement. Raises UserError where the sample has only right or only wrong labels.

    Without resampling (`rounds` 0) its intervals hold the chance in the labels only.
    """
    known = [one for one in sample if one.signs.agreement is not None and one.words + one.errors]
    errors, words = sum(one.errors for one in known), sum(one.words for one in known)
    if not _tells(known):
        raise UserError(
            f"the labelled sample has {errors} errors in {words} words: it needs labels that are right and labels that are wrong"
        )
    confident = [one for one in known if one.signs.confidence is not None]
    draws = _draws(known, rounds, np.random.default_rng(seed))
    plain = _curves(known, PLAIN, draws)
    return Calibration(
        unit=unit,
        curves=_curves(confident, TERMS, draws) if _tells(confident) else plain,
        plain=plain,
        warnings=tuple(_warnings(known)),
    )


def _tells(sample: Sequence[Labelled]) -> bool:
    return 0 < sum(one.errors for one in sample) < sum(max(one.words, one.errors) for one in sample)


def _draws(sample: Sequence[Labelled], rounds: int, rng: np.random.Generator) -> list[Counter[str]]:
    """Recordings drawn with replacement: how often each is in."""
    names = sorted({one.recording_id for one in sample})
    return [Counter(names[k] for k in rng.integers(0, len(names), len(names))) for _ in range(rounds)]


@dataclass(frozen=True, slots=True)
class Columns:
    """Labels as arrays of shape (n,); `terms` is (n, 3)."""

    terms: Floats
    units: Floats
    words: Floats
    errors: Floats

    def take(self, rows: NDArray[Any]) -> Columns:
        """The selected rows."""
        return Columns(self.terms[rows], self.units[rows], self.words[rows], self.errors[rows])


def _columns(sample: Sequence[Labelled]) -> Columns:
    return Columns(
        np.array([features(one.signs) for one in sample]),
        np.array([max(one.signs.units, 1) for one in sample], float),
        np.array([one.words for one in sample], float),
        np.array([one.errors for one in sample], float),
    )


def _curves(sample: Sequence[Labelled], terms: tuple[str, ...], draws: Sequence[Counter[str]]) -> tuple[Curve, ...]:
    """One for everything, and one for each language that has enough. They share a regression, in every draw."""
    data, names = _columns(sample), np.array([one.recording_id for one in sample])
    times = [np.array([draw[name] for name in names]) for draw in draws]
    weights = _weights(data, terms)
    redrawn = [_weights(data.take(np.repeat(np.arange(len(sample)), often)), terms) for often in times]

    def curve(language: str | None) -> Curve:
        mine = np.array([language is None or one.language == language for one in sample])
        members = [one for one, own in zip(sample, mine, strict=True) if own]
        here, line = data.take(mine), _line(data.take(mine), weights)
        again = [
            _line(here.take(np.repeat(np.arange(len(members)), often[mine])), other) if often[mine].any() else line
            for other, often in zip(redrawn, times, strict=True)
        ]
        return Curve(
            **dict(line),
            language=language,
            resampled=tuple(again),
            dispersion=_dispersion(line, here, names[mine]),
            segments=len(members),
            words=int(here.words.sum()),
            recordings=len(set(names[mine])),
            speakers=_count(one.speaker for one in members),
            conditions=_count(one.condition for one in members),
        )

    by_language: dict[str | None, list[Labelled]] = defaultdict(list)
    for one in sample:
        by_language[one.language].append(one)
    large = sorted(language for language, rows in by_language.items() if language is not None and _enough(rows))
    return (curve(None), *map(curve, large if len(by_language) > 1 else ()))


def _enough(rows: Sequence[Labelled]) -> bool:
    return (
        sum(one.words for one in rows) >= FEWEST_WORDS
        and len({one.recording_id for one in rows}) >= FEWEST_RECORDINGS
        and _tells(rows)
    )


def _weights(data: Columns, terms: tuple[str, ...]) -> Weights:
    """Logistic regression of words right against words wrong, each word once.

    A term of agreement or confidence with a negative weight is left out, so that better evidence never raises the expected error.
    """
    from sklearn.linear_model import LogisticRegression

    right = np.maximum(np.maximum(data.words, data.units) - data.errors, 0)
    weights, outcome = np.concatenate([right, data.errors]), np.repeat([1, 0], len(right))
    while True:
        rows = data.terms[:, [TERMS.index(term) for term in terms]]
        model = LogisticRegression(C=1.0, solver="newton-cholesky").fit(np.vstack([rows, rows]), outcome, sample_weight=weights)
        found = dict(zip(terms, model.coef_[0].tolist(), strict=True))
        if not (against := [term for term in terms if found[term] < 0 and term != "length"]):
            return Weights(intercept=float(model.intercept_[0]), **found)
        terms = tuple(term for term in terms if term != min(against, key=lambda one: found[one]))


def _line(data: Columns, weights: Weights) -> Line:
    """Isotonic regression: the falling curve closest to the rates, weighed by words.

    Fitted to bins with equal numbers of labels, not to single labels, whose extremes it would follow.
    """
    from sklearn.isotonic import IsotonicRegression

    scores = weights.score(data.terms)
    order = np.argsort(scores, kind="stable")
    steps = min(max(STEPS, len(order) // LABELS), len(order))
    bins = np.array_split(order, steps)
    sizes = np.array([data.units[rows].sum() for rows in bins])
    middles = np.array([scores[rows] @ data.units[rows] for rows in bins]) / sizes
    rates = np.array([data.errors[rows].sum() for rows in bins]) / sizes
    places, first = np.unique(np.round(middles, 6), return_index=True)
    model = IsotonicRegression(increasing=False, y_min=LEAST, out_of_bounds="clip").fit(middles, rates, sample_weight=sizes)
    tilt = LEAST * np.linspace(1, 0, len(places))  # so that labels of different scores are never alike
    line = Line(
        weights=weights,
        scores=tuple(places.tolist()),
        errors=tuple(np.round(model.predict(middles)[first] + tilt, 7).tolist()),
        lengths=_by_tenths(scores, data.words, data.units, places, 0.1),
    )
    return line.model_copy(update=_beside(line, data))


def _beside(line: Line, data: Columns) -> dict[str, tuple[float, ...]]:
    """Where the curve lies too high or too low for labels of an agreement: one score stands for more of it and less confidence as well.

    Falling, so that more agreement never raises the expected error.
    """
    from sklearn.isotonic import IsotonicRegression

    agreements, expected = data.terms[:, 0], line.counts(data.terms, data.units)[0]
    home = _tenths(agreements, agreements)
    whole = np.bincount(home, expected, TENTHS)
    there = whole > 0
    ratios = (np.bincount(home, data.errors, TENTHS)[there] + FEW) / (whole[there] + FEW)
    middles = np.bincount(home, agreements * expected, TENTHS)[there] / whole[there]
    model = IsotonicRegression(increasing=False).fit(middles, ratios, sample_weight=whole[there])
    return {"agreements": tuple(np.round(middles, 6).tolist()), "beside": tuple(np.round(model.predict(middles), 6).tolist())}


def _dispersion(line: Line, data: Columns, recordings: NDArray[Any]) -> tuple[float, ...]:
    """Quasi-Poisson, by recording: squared residuals over expectations; sure labels spread less than doubtful ones."""
    scores, expected = line.weights.score(data.terms), line.counts(data.terms, data.units)[0]
    home, codes = _tenths(scores, scores), np.unique(recordings, return_inverse=True)[1]
    residuals = np.zeros((int(codes.max()) + 1, TENTHS))
    np.add.at(residuals, (codes, home), data.errors - expected)
    whole = np.bincount(home, expected, TENTHS)
    ratios = (residuals**2).sum(axis=0) / np.maximum(whole, LEAST)
    return tuple(np.round(np.maximum(ratios, 1.0), 4)[_tenths(scores, np.array(line.scores))].tolist())


def _by_tenths(scores: Floats, part: Floats, whole: Floats, places: Floats, least: float) -> tuple[float, ...]:
    """Σ part / Σ whole in each tenth of the sample, at the places."""
    home = _tenths(scores, scores)
    totals = np.bincount(home, whole, TENTHS)
    ratios = np.where(totals > 0, np.bincount(home, part, TENTHS) / np.maximum(totals, LEAST), 1.0)
    return tuple(np.round(np.maximum(ratios, least), 6)[_tenths(scores, places)].tolist())


def _tenths(scores: Floats, at: Floats) -> NDArray[np.int64]:
    """In which tenth of the scores each place is."""
    return np.searchsorted(np.quantile(scores, np.linspace(0, 1, TENTHS + 1)[1:-1]), at)


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
