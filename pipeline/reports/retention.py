"""`voxmill retention`: the share of speech that is kept, by language, domain and other factors, and the effect of each factor alone.

How retention varies by language and domain is open question 3 of TouchASP. Plain shares mislead if factors are correlated (the noisy recordings
may all be of one language), so a logistic regression over all factors estimates the effect of each with the others held fixed.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.state.run_dir import RunError

Strings = NDArray[np.str_]
Floats = NDArray[np.float64]

FACTORS = ("language", "domain", "bandwidth", "quality", "duration", "pace", "speakers")
FEWEST = 20
"""Minimum number of segments of a class; smaller ones are merged into `other`."""
MOST = 300_000
"""Maximum number of segments that are read; of a larger run, those of a sample of its recordings."""
ROUNDS = 500
"""Number of bootstrap resamples of recordings for an interval."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one class of one factor that is kept, with a 95 % bootstrap interval over recordings."""

    factor: str
    value: str
    segments: int
    hours: float
    kept: float
    """Share of the hours."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """The change in the share kept against the factor's largest class, all else equal, with a 95 % interval."""

    factor: str
    value: str
    against: str
    change: float
    low: float
    high: float


@dataclass
class Retention:
    """Shares and effects of a run."""

    shares: list[Share] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    model: str = ""
    """The model behind the effects, or why there are none."""
    recordings: int = 0
    """How many were read."""
    sampled: float = 1.0
    """Share of the run's segments that was read: whole recordings, drawn by a hash of their ids."""


def retention(root: str, by: Sequence[str] = FACTORS, most: int = MOST) -> Retention:
    """Shares and effects of a run, from at most about `most` segments.

    Raises RunError if it has no segment of speech, ImportError without statsmodels.
    """
    con = open_catalog(root)
    whole: int = query(con, "SELECT count(*) AS n FROM factors").to_pylist()[0]["n"]
    drawn = f"WHERE md5_number_lower(recording_id) < {int(most / whole * 2**64)}::UBIGINT" if whole > most else ""
    rows = query(con, f"FROM factors {drawn}").to_pydict()
    recordings, seconds = np.array(rows["recording_id"], str), np.array(rows["seconds"], float)
    kept = np.array([bool(one) for one in rows["kept"]])
    if not len(kept):
        raise RunError(f"{root} holds no segment of speech: nothing to be kept or lost")
    columns = {factor: classes(rows[factor]) for factor in by if any(one is not None for one in rows[factor])}
    found = Retention(recordings=len(np.unique(recordings)), sampled=len(kept) / whole)
    for factor, values in columns.items():
        found.shares += shares(factor, values, recordings, seconds, kept)
    telling = {factor: values for factor, values in columns.items() if len(np.unique(values)) > 1}
    found.effects, found.model = effects(telling, recordings, kept)
    return found


def classes(values: Sequence[str | None]) -> Strings:
    """The class of each segment; rare classes become `other`, None becomes `unknown`."""
    named = ["unknown" if value is None else value for value in values]
    counts = Counter(named)
    rare = {value for value, count in counts.items() if count < FEWEST}
    return np.array(["other" if value in rare and len(rare) > 1 else value for value in named])


def shares(factor: str, values: Strings, recordings: Strings, seconds: Floats, kept: NDArray[np.bool_]) -> list[Share]:
    """The share kept of each class, the largest class first."""
    found = []
    for value in np.unique(values):
        mine = values == value
        whole, part = seconds[mine], seconds[mine] * kept[mine]
        low, high = _resampled(recordings[mine], whole, part)
        hours, share = float(whole.sum()) / 3600, float(part.sum() / whole.sum())
        found.append(Share(factor, str(value), int(mine.sum()), hours, share, low, high))
    return sorted(found, key=lambda one: (-one.hours, one.value))


def _resampled(groups: Strings, whole: Floats, part: Floats) -> tuple[float, float]:
    """95 % bootstrap interval of Σ part / Σ whole over recordings."""
    codes = np.unique(groups, return_inverse=True)[1]
    sums = np.stack([np.bincount(codes, weights=whole), np.bincount(codes, weights=part)])
    rng = np.random.default_rng(0)
    drawn = sums[:, rng.integers(0, sums.shape[1], (ROUNDS, sums.shape[1]))].sum(axis=2)
    low, high = np.percentile(drawn[1] / drawn[0], [2.5, 97.5])
    return float(low), float(high)


def effects(columns: Mapping[str, Strings], recordings: Strings, kept: NDArray[np.bool_]) -> tuple[list[Effect], str]:
    """(average marginal effects of a logistic regression on dummy variables, name of the model); errors are clustered by recording.

    If a class is kept or lost completely the likelihood has no maximum (perfect separation), and a linear probability model is used.
    """
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning

    if not columns or len(np.unique(kept)) < 2 or len(np.unique(recordings)) < 3:
        return [], "no model: it needs two classes of something, kept and lost segments, and three recordings"
    bases = {factor: Counter(values.tolist()).most_common(1)[0][0] for factor, values in columns.items()}
    names = [(factor, value) for factor, values in columns.items() for value in np.unique(values) if value != bases[factor]]
    design = np.column_stack([np.ones(len(kept)), *((columns[factor] == value).astype(float) for factor, value in names)])
    clusters = {"groups": np.unique(recordings, return_inverse=True)[1]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PerfectSeparationWarning)
            fitted = sm.Logit(kept.astype(float), design).fit(disp=0, cov_type="cluster", cov_kwds=clusters)
            margins = fitted.get_margeff(dummy=True)
        change, spread, model = margins.margeff, margins.margeff_se, "logistic regression, average marginal effects"
        if not (fitted.mle_retvals["converged"] and np.isfinite(spread).all()):
            raise PerfectSeparationError
    except (PerfectSeparationError, PerfectSeparationWarning, np.linalg.LinAlgError):
        linear = sm.OLS(kept.astype(float), design).fit(cov_type="cluster", cov_kwds=clusters)
        change, spread = linear.params[1:], linear.bse[1:]
        model = "linear probability model (a class is kept or lost wholly, so a logistic one has no answer)"
    found = [
        Effect(factor, str(value), bases[factor], float(c), float(c - 1.96 * s), float(c + 1.96 * s))
        for (factor, value), c, s in zip(names, change, spread, strict=True)
    ]
    return found, f"{model}; 95 % intervals clustered by recording"


FORMATS = (".png", ".svg", ".pdf")


def plot(found: Retention, path: str) -> None:
    """Draws shares and effects as horizontal bars into a PNG, SVG or PDF file, by its suffix."""
    from matplotlib.figure import Figure

    rows = len(found.shares) + len(found.effects)
    figure = Figure(figsize=(9, 1.5 + 0.28 * rows), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[len(found.shares) or 1, len(found.effects) or 1])
    _bars(
        upper,
        [(f"{s.factor}: {s.value}", s.kept, s.low, s.high) for s in found.shares],
        "share of the hours of speech that is kept",
    )
    _bars(
        lower,
        [(f"{e.factor}: {e.value} against {e.against}", e.change, e.low, e.high) for e in found.effects],
        "change in the share kept, all else as it is",
    )
    drawn = io.BytesIO()
    figure.savefig(drawn, format=Path(path).suffix[1:].lower())
    commit_bytes(path, drawn.getvalue(), replace=True)


def _bars(axes: Any, rows: Sequence[tuple[str, float, float, float]], title: str) -> None:
    places = np.arange(len(rows))[::-1]
    middle = np.array([row[1] for row in rows])
    reach = np.array([[row[1] - row[2], row[3] - row[1]] for row in rows]).T.clip(0) if rows else None
    axes.barh(places, middle, xerr=reach, color="#4878a8", ecolor="#333333", capsize=2)
    axes.set_yticks(places, [row[0] for row in rows])
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.set_title(title, loc="left", fontsize=10)
