"""A sample weighted so that it stands for the whole: totals of what was observed, each with its resamples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.planning.bootstrap import Array, IntervalEstimate, SampleWeights, calibrated, draw_weights, estimate
from voxmill.pipeline.planning.observe import Observed, Tried
from voxmill.pipeline.planning.population import Population, scaled
from voxmill.pipeline.planning.stage_costs import units_for


@dataclass(frozen=True)
class Extrapolation:
    """What was observed, weighted so that it stands for the whole."""

    config: RunConfig
    observed: Observed
    population: Population
    one_per_unit: bool
    """Every recording of the sample was a unit of its own; in the run they will share units."""
    seed: int = 0
    hours: float | None = None
    """The whole has so many hours of audio; None: as many as the listed items turn out to have."""

    def for_hours(self, hours: float) -> Extrapolation:
        """The same for so many hours of audio like it, instead of what is listed."""
        factor = hours / float(self.items("hours")[0])
        return replace(self, population=scaled(self.population, factor), hours=hours)

    @cached_property
    def _clusters(self) -> dict[str, list[Tried]]:
        found: dict[str, list[Tried]] = {}
        for one in self.observed.items:
            found.setdefault(one.cluster, []).append(one)
        return found

    @cached_property
    def _strata(self) -> tuple[list[str], dict[str, int]]:
        """The stratum of each cluster, and the size of each; strata of which nothing was sampled are taken together with the smallest."""
        names = [self.population.stratum(members[0].source) for members in self._clusters.values()]
        sizes = dict(self.population.strata)
        if missing := [name for name in sizes if name not in names]:
            into = min(set(names), key=lambda name: sizes[name])
            sizes[into] += sum(sizes.pop(name) for name in missing)
        return names, sizes

    @cached_property
    def weights(self) -> SampleWeights:
        """How many clusters of the whole each cluster stands for."""
        names, sizes = self._strata
        return draw_weights(names, sizes, [len(members) for members in self._clusters.values()], seed=self.seed)

    @cached_property
    def audio_weights(self) -> SampleWeights:
        """The same for what goes with the size of a file, where sizes are known."""
        sizes = [sum(self.population.sizes.get(one.item, 0) for one in members) for members in self._clusters.values()]
        weights = calibrated(self.weights, self._strata[0], sizes, self.population.num_bytes)
        if self.hours is None:
            return weights
        found = weights.total(self._by_cluster([one.hours for one in self.observed.items]))
        return replace(weights, values=weights.values * (self.hours / np.where(found > 0, found, self.hours))[:, None])

    @cached_property
    def index(self) -> dict[str, int]:
        """The column of each cluster."""
        return {name: number for number, name in enumerate(self._clusters)}

    def items(self, field: str) -> Array:
        """The total of a numeric field of `Tried`."""
        return self.audio([getattr(one, field) for one in self.observed.items])

    def audio(self, values: Sequence[float]) -> Array:
        """The total of what goes with the audio, from one value for each item of the sample."""
        return self.audio_weights.total(self._by_cluster(values))

    def counted(self, values: Sequence[float]) -> Array:
        """The total of what goes with the number of items, from one value for each item of the sample."""
        return self.weights.total(self._by_cluster(values))

    def _by_cluster(self, values: Sequence[float]) -> Array:
        sums = np.zeros(len(self.index))
        for one, value in zip(self.observed.items, values, strict=True):
            sums[self.index[one.cluster]] += value
        return sums

    @property
    def rows(self) -> int:
        """How many figures each total has: the estimate, and one for each resample."""
        return len(self.weights.values)

    @cached_property
    def num_units(self) -> Array:
        """Units of the whole."""
        if not self.one_per_unit:
            stages = Counter(one.stage for one in self.observed.units)
            stage = stages.most_common(1)[0][0] if stages else ""
            found = Counter(one.cluster for one in self.observed.units if one.stage == stage)
            return self.audio_weights.total([found[name] for name in self.index])
        hours = np.array([one.hours for one in self.observed.items])
        columns = [self.index[one.cluster] for one in self.observed.items]
        decoded = round(float(self.weights.values[0, columns] @ (hours > 0)))
        return units_for(hours, self.audio_weights.values[:, columns], self.config.units.seconds, decoded, seed=self.seed)

    def estimate(self, values: Array) -> IntervalEstimate:
        """A figure with its interval."""
        return estimate(values, self.weights)
