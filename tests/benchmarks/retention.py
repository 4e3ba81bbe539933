"""How wrong the words are that a filter keeps: error rate against the share of words kept, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """What is kept or dropped as one: a segment with its reference words and the label's errors (word edits).

    `scores` is None for speech that no filter can keep because it was lost before.
    """

    stratum: str
    num_words: int
    num_errors: int
    scores: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Columns:
    """Scored units as arrays of shape (n,)."""

    words: Floats
    errors: Floats
    scores: Mapping[str, Floats]
    """By the filter's name; NaN where lost."""
    strata: tuple[NDArray[np.int64], ...]
    """The indices of each stratum."""

    def take(self, rows: NDArray[np.int64]) -> Columns:
        return Columns(self.words[rows], self.errors[rows], {k: v[rows] for k, v in self.scores.items()}, ())


def columns(units: Sequence[Scored], filters: Sequence[str]) -> Columns:
    strata = [unit.stratum for unit in units]
    return Columns(
        np.array([unit.num_words for unit in units], float),
        np.array([unit.num_errors for unit in units], float),
        {name: np.array([np.nan if unit.scores is None else unit.scores[name] for unit in units], float) for name in filters},
        tuple(np.flatnonzero([stratum == one for stratum in strata]) for one in sorted(set(strata))),
    )


def error_rates(words: Floats, errors: Floats, score: Floats, shares: Floats) -> Floats:
    """Errors per kept word when the best-scored units are kept until they hold each share of *all* words. Shape of `shares`.

    Units of equal score are kept in proportion (what breaking ties at random gives on average), as is the unit that crosses a share.
    NaN where the share cannot be reached, because more was lost before.

    >>> error_rates(np.array([10.0, 10]), np.array([0.0, 4]), np.array([0.9, 0.5]), np.array([0.5, 0.75, 1.0])).round(3).tolist()
    [0.0, 0.133, 0.2]
    """
    heard = np.flatnonzero(~np.isnan(score))
    order = heard[np.argsort(-score[heard], kind="stable")]
    last_of_tie = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(order) else order
    kept = np.concatenate([[0.0], np.cumsum(words[order])[last_of_tie]])
    wrong = np.concatenate([[0.0], np.cumsum(errors[order])[last_of_tie]])
    wanted = shares * words.sum()
    rates: Floats = np.interp(wanted, kept, wrong) / np.where(wanted > 0, wanted, np.nan)
    rates[wanted > kept[-1] + 1e-9] = np.nan
    return rates


def unfiltered(data: Columns) -> float:
    """Errors per word over everything that any filter could keep: the right end of every curve."""
    heard = ~np.isnan(next(iter(data.scores.values())))
    return float(data.errors[heard].sum() / data.words[heard].sum())


def bootstrap(data: Columns, shares: Floats, rounds: int, seed: int) -> tuple[Mapping[str, Floats], Floats]:
    """Error rates and unfiltered rates of `rounds` resamples: {filter: (rounds, len(shares))} and (rounds,).

    Units are drawn with replacement within each stratum, so that every resample is the same mixture; one draw serves all filters,
    so that they can be compared pair by pair.
    """
    rng = np.random.default_rng(seed)
    rates: dict[str, list[Floats]] = {name: [] for name in data.scores}
    bases = []
    for _ in range(rounds):
        drawn = data.take(np.concatenate([rng.choice(rows, len(rows)) for rows in data.strata]))
        for name, score in drawn.scores.items():
            rates[name].append(error_rates(drawn.words, drawn.errors, score, shares))
        bases.append(unfiltered(drawn))
    return {name: np.stack(rows) for name, rows in rates.items()}, np.array(bases)


def interval(samples: Floats) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return float(low), float(high)
