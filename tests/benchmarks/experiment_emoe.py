"""`make experiment-emoe`: does a model that was trained elastically shrink better than one that was not?

For each budget (experts : top-k : width), with the same steps, data and recipe:

    elastic    one model, each step at every budget (a pass for each), used at this one
    cut        the same mixture trained at full size only, cut to this budget as it is
    tuned      that cut, trained on for a tenth of the steps
    small      a model of this size, trained on its own
    dense      no experts, of equal active compute

An error rate is a mean over seeds with its standard deviation; a seed is another training. Three seeds in both forms, others than
those that settings were chosen with. Speed is never read from a cache: it is taken anew in each call, after all trainings.

    reduced    8 experts in 2 layers, one to four spoken digits deep in noise: 21 trainings of half a minute, the three elastic ones
               of two minutes, and 9 short ones
    full       15 experts in 4 layers, a grammar of about a hundred words: 45 trainings of some minutes
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiments import estimate, sizes
from benchmarks.experiments.corpus import Corpus, commands
from benchmarks.experiments.footprint import AT_ONCE, parameters, times
from benchmarks.experiments.hearing import error_rates, transcripts
from benchmarks.experiments.lessons import lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.rows import rows_corpus
from benchmarks.experiments.shrinking import targets
from benchmarks.experiments.sizes import Size
from benchmarks.experiments.together import Task, together
from benchmarks.experiments.trainings import Figures, Job, Start, Trainings
from benchmarks.experiments.verdict import cell, judged
from benchmarks.report import heading, table
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.network.budget import Budget, BudgetSchedule, copy_leading
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.emoe import MoEConfig
from voxmill.models.network.layers import ElasticConfig
from voxmill.models.network.model import ModelConfig
from voxmill.models.training.loss import LossConfig

TUNED = 10
"""A cut is trained on for one step in this many of the whole training's."""


@dataclass(frozen=True)
class Scale:
    """What the two forms differ in."""

    size: Size
    experts: int
    top_k: int
    budgets: tuple[str, ...]
    """What is compared, and what the elastic model is trained for; the last is the full one."""
    ctc: float
    """Share of the loss: what is tested is CTC."""
    dropout: float
    masks: bool
    """On features, in training."""
    corpus: Callable[[Size], Corpus]


def _digits(size: Size) -> Corpus:
    """The dense model misses one word in fourteen of these: there is something to lose."""
    return rows_corpus(size.train, size.test, snr_db=(-11.0, 5.0))


def _commands(size: Size) -> Corpus:
    """At 5 to 30 dB the dense model is near 4 % WER after 1,200 steps, and little is left to be lost."""
    return commands(size.train, size.test, snr_db=(0.0, 25.0))


REDUCED = Scale(
    Size(train=2400, test=1200, steps=840, layers=2, dim=48, hidden=392, batch_seconds=6.0, peak=4e-3),
    8, 6, ("3", "all:1", "all:6:16", "all"), 0.8, 0.0, False, _digits,
)  # fmt: skip
"""Experts are wide for the model's 48 channels: in narrow ones, calls of functions are what takes the time, not arithmetic. Each frame
asks six of them, so that one alone leaves something to be wished for; 16 of their 56 hidden units, asked of six, cost as much as one
whole expert. How late CTC begins to learn is most of what seeds differ in: many small batches of few words, without masks, begin
soon."""
FULL = Scale(
    replace(sizes.FULL, test=1000, steps=1000),
    15, 3, ("3", "6", "all:1", "all:3:half", "3:1:half", "all"), 0.5, 0.05, True, _commands,
)  # fmt: skip
"""Both have a large test: one error in twenty has to be told from another."""
FIRST_SEED = 50
"""Settings were chosen on seeds 20 to 26; all below had been looked at before."""


@dataclass(frozen=True)
class Plan:
    """All trainings of one seed."""

    scale: Scale
    seed: int

    @property
    def full(self) -> Budget:
        return Budget(self.scale.experts, self.scale.top_k, self.scale.size.hidden // (1 + self.scale.top_k))

    def budget(self, name: str) -> Budget:
        plain = name.replace("all", str(self.scale.experts)).replace("half", str(self.full.width // 2))
        return Budget.parse(plain, self.full)

    def dense_model(self, hidden: int, **switches: Any) -> ModelConfig:
        """A decoder, which nobody asks, as small as it may be."""
        decoder = DecoderConfig(layers=1, backward_layers=0, heads=4, hidden=64, dropout=self.scale.dropout)
        model = sizes.model(replace(self.scale.size, hidden=hidden), decoder=decoder, **switches)
        return model.model_copy(update={"encoder": model.encoder.model_copy(update={"dropout": self.scale.dropout})})

    def experts(self, budget: Budget, schedule: BudgetSchedule | None = None) -> ModelConfig:
        """A mixture of that size in both feed-forward places of every encoder layer; trained at that size only, or by `schedule`."""
        n, k, width = budget.experts, budget.top_k, budget.width
        seen = schedule or BudgetSchedule(experts=(n,), top_k=(k,), width=(width,))
        size = MoEConfig(experts=n, top_k=k, width=width, dropout=self.scale.dropout)
        emoe = ElasticConfig(**size.model_dump(), macaron=True, decoder=False, schedule=seen)
        return self.dense_model(self.scale.size.hidden, emoe=emoe)

    def job(self, arm: str, model: ModelConfig, steps: int | None = None, **more: Any) -> Job:
        trained = sizes.train(self.scale.size, self.seed, steps, loss=LossConfig(ctc=self.scale.ctc))
        if more:  # trained on from another training: gently
            gently = trained.rate.model_copy(update={"peak": self.scale.size.peak / 4})
            trained = trained.model_copy(update={"rate": gently})
        data = sizes.data(self.scale.size, self.seed)
        if not self.scale.masks:
            data = data.model_copy(update={"example": data.example.model_copy(update={"augment": None})})
        return Job(arm=arm, model=model, train=trained, data=data, **more)

    def elastic(self) -> Job:
        budgets = [self.budget(name) for name in self.scale.budgets]
        sides = zip(*((one.experts, one.top_k, one.width) for one in budgets), strict=True)
        experts, top_k, width = (tuple(sorted(set(side))) for side in sides)
        seen = BudgetSchedule(experts=experts, top_k=top_k, width=width, only=tuple(map(str, budgets[:-1])), passes="every")
        return self.job("elastic", self.experts(self.full, seen))

    def static(self) -> Job:
        return self.job("static", self.experts(self.full))

    def tuned(self, name: str, after: str) -> Job:
        steps = max(1, self.scale.size.steps // TUNED)
        return self.job(f"tuned-{_file(name)}", self.experts(self.budget(name)), steps, after=after)

    def small(self, name: str) -> Job:
        return self.job(f"small-{_file(name)}", self.experts(self.budget(name)))

    def dense(self, name: str) -> Job:
        """As many hidden units as a frame passes in the mixture: shared and routed ones."""
        budget = self.budget(name)
        hidden = (1 + budget.top_k) * budget.width
        return self.job(f"dense-{hidden}", self.dense_model(hidden))

    def all_dense(self) -> list[Job]:
        """Some budgets compute alike."""
        return list({job.arm: job for job in map(self.dense, self.scale.budgets)}.values())


def run(form: Form) -> Outcome | None:
    scale = FULL if form.full else REDUCED
    if form.dry:
        estimate.show(_weights(scale, form.seeds), scale.size)
        return None
    corpus = scale.corpus(scale.size)
    words = sum(len(one.text.split()) for one in corpus.split("test"))
    data = f"{corpus}; {words} words in the test, {form.seeds} seeds"
    heading("emoe", form.full, data, ("torch", "sentencepiece", "jiwer"))
    seeds = _figures(scale, corpus, form)
    arms = {arm: [one[arm] for one in seeds] for arm in seeds[0]}
    rates = {arm: {name: [one[name]["wer"] for one in found] for name in found[0]} for arm, found in arms.items()}
    _print(Plan(scale, 0), arms)
    figures = {"wer": rates, "seeds": form.seeds, "corpus": corpus.hash, "arms": arms}
    names = scale.budgets
    return figures, judged(targets(rates, names, [one["elastic"] for one in seeds]), rates["dense"][names[-1]])


def _figures(scale: Scale, corpus: Corpus, form: Form) -> list[dict[str, dict[str, Figures]]]:
    """For each seed, figures by arm and budget."""
    tokens = sizes.words_only(one.text for one in corpus.split("train"))
    trainings = Trainings("emoe", corpus, tokens, form.clock)
    lessons = [lesson(one) for one in corpus.split("train")]
    tests = [lesson(one) for one in corpus.split("test")]
    reduced = scale.budgets[:-1]
    budgets = {name: Plan(scale, 0).budget(name) for name in scale.budgets}

    def judge(bundle: Bundle) -> Figures:
        """Error rates of one size."""
        return {**error_rates(corpus, transcripts(bundle, corpus, tests)), **parameters(bundle.model)}

    def judge_all(bundle: Bundle) -> Figures:
        """Error rates at each budget, and the parameters of what is cut out for a device."""
        found = {}
        for name, budget in budgets.items():
            said = transcripts(bundle, corpus, tests, budget)
            found[name] = {**error_rates(corpus, said), **parameters(bundle.model.extract(budget))}
        return {"budgets": found}

    def cut(plan: Plan) -> Start:
        return lambda fresh: copy_leading(fresh, trainings.trained(plan.static(), lessons).model)

    def whole(job: Job) -> Figures:
        found: Figures = trainings.result(job, lessons, judge_all)["budgets"]
        return found

    def alone(job: Job) -> Figures:
        return trainings.result(job, lessons, judge)

    def tuned(plan: Plan, name: str) -> Figures:
        return trainings.result(plan.tuned(name, trainings.key(plan.static(), lessons)), lessons, judge, start=cut(plan))

    plans = [Plan(scale, FIRST_SEED + index) for index in range(form.seeds)]
    first: list[Task] = [partial(whole, job) for plan in plans for job in (plan.elastic(), plan.static())]
    first += [partial(alone, plan.small(name)) for plan in plans for name in reduced]
    together(first + [partial(alone, job) for plan in plans for job in plan.all_dense()])
    together([partial(tuned, plan, name) for plan in plans for name in reduced])
    speeds = [times(trainings.trained(plan.elastic(), lessons), corpus, tests, list(budgets.values())) for plan in plans]
    return [
        {
            "dense": {name: alone(plan.dense(name)) for name in scale.budgets},
            "elastic": {name: {**whole(plan.elastic())[name], **spent} for name, spent in zip(budgets, fast, strict=True)},
            "cut": whole(plan.static()),
            "tuned": {name: tuned(plan, name) for name in reduced},
            "small": {name: alone(plan.small(name)) for name in reduced},
        }
        for plan, fast in zip(plans, speeds, strict=True)
    ]


def _print(plan: Plan, arms: Mapping[str, Sequence[Mapping[str, Figures]]]) -> None:
    for what in ("wer", "cer"):
        print(
            f"{what.upper()} % by budget (experts:top-k:width), mean ± deviation over seeds; M: millions of parameters of the encoder"
        )
        rows = []
        for name in plan.scale.budgets:
            cells = [cell([one[name][what] for one in found], 2) if name in found[0] else "-" for found in arms.values()]
            first = arms["elastic"][0][name]
            rtf = cell([one[name]["rtf"] for one in arms["elastic"]], 5)
            rows.append((str(plan.budget(name)), f"{first['stored']:.2f}", f"{first['active']:.2f}", rtf, *cells))
        table(("budget", "stored M", "active M", "RTF", *arms), rows)
    passes = len(plan.scale.budgets)
    print(
        f"  All arms take the same steps on the same batches; a step of elastic is {passes} passes, one at each budget.\n"
        f"  RTF: encoder, one thread, {AT_ONCE} utterances at a time, each budget cut out; budgets take turns, median over rounds.\n"
    )


def _weights(scale: Scale, seeds: int) -> list[estimate.Part]:
    plan = Plan(scale, 0)
    jobs = [*plan.all_dense(), plan.elastic(), plan.static()]
    jobs += [job for name in scale.budgets[:-1] for job in (plan.small(name), plan.tuned(name, "static"))]
    return [estimate.Part(job.arm, job.model, job.train.steps, seeds) for job in jobs]


def _file(name: str) -> str:
    return name.replace(":", "-")


if __name__ == "__main__":
    conduct("emoe", seeds=(3, 3), run=run)
