"""`make experiment-emoe`: does a model that was trained elastically shrink better than one that was not?

For each budget (experts : top-k : width), with the same steps, data and recipe:

    elastic    one model, trained at budgets drawn anew each step, used at this one
    cut        the same mixture trained at full size only, cut to this budget as it is
    tuned      that cut, trained on for a tenth of the steps
    small      a model of this size, trained on its own
    dense      no experts, of equal active compute

An error rate is a mean over seeds with its standard deviation; a seed is another training.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiments import estimate, sizes
from benchmarks.experiments.corpus import Corpus, commands
from benchmarks.experiments.hearing import error_rates, real_time_factor, transcripts
from benchmarks.experiments.lessons import lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.sizes import Size
from benchmarks.experiments.trainings import Figures, Job, Trainings
from benchmarks.experiments.verdict import beats, cell, judged
from benchmarks.report import Target, heading, table
from voxmill.models.network.assemble import ElasticConfig
from voxmill.models.network.budget import Budget, BudgetSchedule, copy_leading
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.network.moe import ElasticMoE
from voxmill.models.training.checkpoint import Bundle

FULL = replace(sizes.FULL, test=1000, steps=1000)
"""A large test: one error in twenty has to be told from another."""
NOISE = (0.0, 25.0)
"""Signal-to-noise ratios (dB): at 5 to 30 the dense model is near 4 % WER after 1,200 steps, and little is left to be lost."""
EXPERTS, TOP_K = 15, 3
TUNED = 10
"""A cut is trained on for one step in this many of the whole training's."""
BUDGETS = ("3", "6", "15:1", "15:3:half", "3:1:half", "15")
"""What is compared, of the product of all that the elastic model is trained for; the last is the full one."""
GROWING = (("3", "6", "15"), ("15:1", "15"), ("15:3:half", "15"), ("3:1:half", "3", "15"))
"""Along these a model gets more, and should not get worse."""
SAME_FULL, SAME_SMALL = 5.0, 10.0
"""How much worse, relative in %, the elastic model may be than the uncut static one, and than separately trained ones."""


@dataclass(frozen=True)
class Plan:
    """All trainings of one seed."""

    size: Size
    seed: int

    @property
    def full(self) -> Budget:
        return Budget(EXPERTS, TOP_K, self.size.hidden // (1 + TOP_K))

    def budget(self, name: str) -> Budget:
        return Budget.parse(name.replace("half", str(self.full.width // 2)), self.full)

    def experts(self, budget: Budget, *, elastic: bool = False) -> ModelConfig:
        """A mixture of that size in both feed-forward places of every encoder layer."""
        width = budget.width
        seen = BudgetSchedule(experts=(budget.experts,), top_k=(budget.top_k,), width=(width,))
        if elastic:
            seen = BudgetSchedule(experts=(3, 6, EXPERTS), top_k=(1, TOP_K), width=(width // 2, width))
        emoe = ElasticConfig(
            experts=budget.experts, top_k=budget.top_k, width=width, macaron=True, decoder=False, dropout=0.05, schedule=seen
        )
        return sizes.model(self.size, emoe=emoe)

    def job(self, arm: str, model: ModelConfig, steps: int | None = None, **more: Any) -> Job:
        trained = sizes.train(self.size, self.seed, steps)
        if more:  # trained on from another training: gently
            trained = trained.model_copy(update={"rate": trained.rate.model_copy(update={"peak": self.size.peak / 4})})
        return Job(arm=arm, model=model, train=trained, data=sizes.data(self.size, self.seed), **more)

    def elastic(self) -> Job:
        return self.job("elastic", self.experts(self.full, elastic=True))

    def static(self) -> Job:
        return self.job("static", self.experts(self.full))

    def tuned(self, name: str, after: str) -> Job:
        steps = max(1, self.size.steps // TUNED)
        return self.job(f"tuned-{_file(name)}", self.experts(self.budget(name)), steps, after=after)

    def small(self, name: str) -> Job:
        return self.job(f"small-{_file(name)}", self.experts(self.budget(name)))

    def dense(self, name: str) -> Job:
        """As many hidden units as a frame passes in the mixture: shared and routed ones."""
        budget = self.budget(name)
        hidden = (1 + budget.top_k) * budget.width
        plain = sizes.model(self.size)
        return self.job(
            f"dense-{hidden}", plain.model_copy(update={"encoder": plain.encoder.model_copy(update={"hidden": hidden})})
        )


def run(form: Form) -> Outcome | None:
    size = FULL if form.full else sizes.SMOKE
    names = BUDGETS if form.full else ("3", "15:1", BUDGETS[-1])
    if form.dry:
        estimate.show(_weights(size, names, form.seeds), size)
        return None
    corpus = commands(size.train, size.test, snr_db=NOISE)
    heading("emoe", form.full, f"{corpus}, {form.seeds} seeds", ("torch", "sentencepiece", "jiwer"))
    seeds = [_one_seed(Plan(size, seed), corpus, names, form) for seed in range(form.seeds)]
    arms = {arm: [one[arm] for one in seeds] for arm in seeds[0]}
    rates = {arm: {name: [one[name]["wer"] for one in found] for name in found[0]} for arm, found in arms.items()}
    _print(Plan(size, 0), names, arms)
    figures = {"wer": rates, "seeds": form.seeds, "corpus": corpus.hash, "arms": arms}
    return figures, judged(targets(rates, names, [one["elastic"] for one in seeds]), rates["dense"][names[-1]])


def _one_seed(plan: Plan, corpus: Corpus, names: Sequence[str], form: Form) -> dict[str, dict[str, Figures]]:
    """Figures by arm and budget."""
    tokens = sizes.tokens(one.text for one in corpus.split("train"))
    trainings = Trainings("emoe", corpus, tokens, form.clock)
    lessons = [lesson(one) for one in corpus.split("train")]
    tests = [lesson(one) for one in corpus.split("test")]
    budgets = {name: plan.budget(name) for name in names}

    def judge(bundle: Bundle) -> Figures:
        """Error rates of one size."""
        return {**error_rates(corpus, transcripts(bundle, corpus, tests)), **parameters(bundle.model)}

    def judge_all(bundle: Bundle) -> Figures:
        """Error rates at each budget, each cut out as for a device, and how fast it is."""
        rtf = real_time_factor(bundle, corpus, tests, list(budgets.values()))
        found = {}
        for (name, budget), speed in zip(budgets.items(), rtf, strict=True):
            said = transcripts(bundle, corpus, tests, budget)
            small = bundle.model.extract(budget)
            found[name] = {**error_rates(corpus, said), **parameters(small), "rtf": speed}
        return {"budgets": found}

    static = plan.static()
    key = trainings.key(static, lessons)

    def cut(fresh: SpeechModel) -> None:
        copy_leading(fresh, trainings.trained(static, lessons).model)

    found: dict[str, dict[str, Figures]] = {"dense": {}, "elastic": {}, "cut": {}, "tuned": {}, "small": {}}
    for name in reversed(names):  # the baseline first: it may make all of it void
        found["dense"][name] = trainings.result(plan.dense(name), lessons, judge)
    found["elastic"] = trainings.result(plan.elastic(), lessons, judge_all)["budgets"]
    found["cut"] = trainings.result(static, lessons, judge_all)["budgets"]
    for name in names[:-1]:
        found["tuned"][name] = trainings.result(plan.tuned(name, key), lessons, judge, start=cut)
        found["small"][name] = trainings.result(plan.small(name), lessons, judge)
    return found


def parameters(model: SpeechModel) -> dict[str, float]:
    """Millions stored, and millions that one frame of sound passes, in encoder and CTC: the decoder takes no part here."""
    used = [model.frontend, model.encoder, model.ctc]
    stored = sum(p.numel() for part in used for p in part.parameters())
    idle = 0
    for layer in model.encoder.modules():
        if isinstance(layer, ElasticMoE):
            one = next(expert for expert in layer.experts if isinstance(expert, FeedForward))
            idle += (layer.config.experts - layer.config.top_k) * sum(p.numel() for p in one.parameters())
    return {"stored": stored / 1e6, "active": (stored - idle) / 1e6}


Rates = Mapping[str, Mapping[str, Sequence[float]]]
"""Word error rates of the seeds by arm and budget."""


def targets(rates: Rates, names: Sequence[str], elastic: Sequence[Mapping[str, Figures]]) -> dict[str, Target]:
    *reduced, full = names
    lost = [name for name in reduced if not beats(rates["elastic"][name], rates["cut"][name])]
    paths = [[name for name in path if name in names] for path in GROWING]
    worse = [
        f"{b} after {a}"
        for path in paths
        for a, b in pairwise(path)
        if _mean(rates["elastic"][b]) > _mean(rates["elastic"][a]) + _spread(rates["elastic"][b])
    ]
    at_full = 100 * (_mean(rates["elastic"][full]) / _mean(rates["cut"][full]) - 1)
    beside = {name: 100 * (_mean(rates["elastic"][name]) / _mean(rates["small"][name]) - 1) for name in reduced}
    fewer = [name for name in reduced if ":" in name]
    speed = {name: [one[name]["rtf"] / one[full]["rtf"] for one in elastic] for name in fewer}
    return {
        "elastic beats the plain cut at every reduced budget, no seeds overlapping": {
            "value": f"not at {', '.join(lost)}" if lost else "at all", "target": "at all", "met": not lost,
        },
        "elastic does not get worse as the budget grows (beyond one deviation)": {
            "value": "; ".join(worse) or "never worse", "target": "never worse", "met": not worse,
        },
        "elastic at full budget against static uncut": {
            "value": f"{at_full:+.1f} %", "target": f"<= +{SAME_FULL:g} % relative", "met": at_full <= SAME_FULL,
        },
        "elastic against separately trained, worst budget": {
            "value": f"{max(beside.values()):+.1f} %", "target": f"<= +{SAME_SMALL:g} % relative",
            "met": max(beside.values()) <= SAME_SMALL,
        },
        "reduced top-k and width are faster": {
            "value": ", ".join(f"{name} {max(of):.2f}x" for name, of in speed.items()), "target": "< 1x the full time, every seed",
            "met": all(max(of) < 1 for of in speed.values()),
        },
    }  # fmt: skip


def _print(plan: Plan, names: Sequence[str], arms: Mapping[str, Sequence[Mapping[str, Figures]]]) -> None:
    for what in ("wer", "cer"):
        print(
            f"{what.upper()} % by budget (experts:top-k:width), mean ± deviation over seeds; M: millions of parameters of the encoder"
        )
        rows = []
        for name in names:
            cells = [cell([one[name][what] for one in found]) if name in found[0] else "-" for found in arms.values()]
            first = arms["elastic"][0][name]
            rtf = cell([one[name]["rtf"] for one in arms["elastic"]], 4)
            rows.append((str(plan.budget(name)), f"{first['stored']:.2f}", f"{first['active']:.2f}", rtf, *cells))
        table(("budget", "stored M", "active M", "RTF", *arms), rows)


def _weights(size: Size, names: Sequence[str], seeds: int) -> list[estimate.Part]:
    plan = Plan(size, 0)
    dense = {job.arm: job for job in map(plan.dense, names)}
    jobs = [*dense.values(), plan.elastic(), plan.static()]
    jobs += [job for name in names[:-1] for job in (plan.small(name), plan.tuned(name, "static"))]
    return [estimate.Part(job.arm, job.model, job.train.steps, seeds) for job in jobs]


def _file(name: str) -> str:
    return name.replace(":", "-")


def _mean(values: Sequence[float]) -> float:
    return statistics.mean(values)


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    conduct("emoe", seeds=(1, 3), run=run)
