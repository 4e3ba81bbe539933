"""How the settings of experiment-student were chosen: trainings on the truth, judged on speakers who are held out of training.

Nothing of the test is read. What came of it is written beside the settings, in `experiment_student.py`.

    python tests/benchmarks/experiments/choose_student.py [minutes of the pool] [steps]
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

import torch

from benchmarks.experiment_student import dev_tests
from benchmarks.experiments import pools
from benchmarks.experiments.by_speaker import counted, difference, rate, together
from benchmarks.experiments.frames import encode_all
from benchmarks.experiments.spans import few, speech
from benchmarks.experiments.student_trainings import StudentTrainings, job
from benchmarks.experiments.together import together as at_once
from benchmarks.experiments.trainings import Clock, Job
from benchmarks.report import heading, table

PEAKS = (3e-5, 1e-4, 3e-4)
DEV = 20.0
"""Minutes of the speakers who are held out."""
SEED = 0


def tried(steps: int, batch_seconds: float) -> dict[str, Job]:
    """A training for each rate, of the experts alone and with the decoder's attention."""
    make = partial(job, steps=steps, batch_seconds=batch_seconds, seed=SEED)
    rates = {f"experts, {peak:g}": make(f"choose-{peak:g}", peak=peak) for peak in PEAKS}
    return {**rates, "all layers, 3e-05": make("choose-all", peak=3e-5, attention=True)}


def main() -> None:
    given = [float(one) for one in sys.argv[1:]]
    minutes, steps = given[0] if given else 40.0, int(given[1]) if len(given) > 1 else 60
    torch.set_num_threads(1)
    found = speech()
    pool, dev = few(found.of("train"), minutes, "train"), few(found.of("dev"), DEV, "dev")
    heading(
        "choose-student",
        False,
        f"pool {pools.minutes(pool):.1f} min, dev {pools.minutes(dev):.1f} min, {steps} steps",
        ("torch",),
    )
    taught, tests = pools.arms(pool, 1)["truth"], dev_tests(dev)
    encode_all(
        [*pools.encoded({"truth": taught}), *(one for waves in tests.values() for one in waves)], Clock(), "pool and dev"
    )
    trainings, jobs = StudentTrainings("student", Clock()), tried(steps, 30.0)
    at_once([partial(trainings.untaught, tests), *(partial(trainings.said, one, taught, tests) for one in jobs.values())])
    said = {
        "whisper, untaught": trainings.untaught(tests),
        **{name: trainings.said(one, taught, tests) for name, one in jobs.items()},
    }
    rates = {name: {condition: counted(dev, one[condition]) for condition in tests} for name, one in said.items()}
    first, *_ = (together([*one.values()]) for one in rates.values())
    rows = []
    for name, one in rates.items():
        whole = together([*one.values()])
        rows.append((name, *(f"{rate(of):.2f}" for of in one.values()), f"{rate(whole):.2f}", str(difference(whole, first))))
    table(("learns the truth", *tests, "both", "against untaught"), rows)
    for made in jobs.values():
        trainings.forget(made, taught)


if __name__ == "__main__":
    main()
