"""Loggers besides our own: a missing package is told before the first step, what is sent is what is logged, a resumed training goes on in its run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from voxmill.manifests.errors import Unavailable
from voxmill.models.checkpoint.validation import DevResult, Validation
from voxmill.models.training.loggers import LOGGERS, MlflowConfig, PatientSink, WandbConfig, open_loggers
from voxmill.models.training.metrics_log import MetricsLog, read_log
from voxmill.models.training.recipe import load_recipe
from voxmill.models.training.session import train
from voxmill.models.training.trainer import Step

RECIPE = {"begin_with": "https://me:pass-word-1@example.org/model?token=SECRET99", "train": {"steps": 3, "betas": (0.9, 0.98)}}


def step(number: int) -> Step:
    judged = Validation(number, 4, {"2:2:8": DevResult(8.0, {"ctc": 9.0}, 50.0, {"zh": 50.0})})
    return Step(
        step=number, loss=10.0 / number, parts={"ctc": 1.0}, rate=1e-3, gradient_norm=1.0, updated=True, budget="3:2:8", utterances=4,
        audio_seconds=8.0, expert_peak=0.1, seconds=0.5, waiting=0.1, skipped={}, validation=judged if number == 2 else None,
    )  # fmt: skip


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: dict[str, float] = {}

    def write(self, values: Mapping[str, float], step: int) -> None:
        self.steps.append(step)
        self.values |= values

    def close(self) -> None:
        self.steps.append(-1)


@pytest.mark.parametrize("kind", ["wandb", "mlflow"])
def test_a_missing_package_is_told_before_the_first_step(
    kind: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    recipe = load_recipe("taste", [f"train.loggers=[{{kind: {kind}}}]"])
    with pytest.raises(Unavailable, match=rf"train\.loggers names {kind}, .* pip install {kind}"):
        train(str(shards), str(tmp_path / "out"), recipe, "cpu")
    assert not (tmp_path / "out").exists()


def test_every_step_is_sent_once_and_validations_with_it(tmp_path: Path) -> None:
    heard = Heard()
    with MetricsLog(tmp_path, sinks=[heard]) as log:
        for number in (1, 2, 3):
            log(step(number))
    with MetricsLog(tmp_path, 1, [heard]) as log:  # a kill after step 3, and the last checkpoint is of step 1
        for number in (2, 3, 4):
            log(step(number))
    assert heard.steps == [1, 2, 3, -1, 4, -1]
    assert {name: value for name, value in heard.values.items() if name.startswith("dev/")} == {
        "dev/2-2-8/loss/all": 8.0, "dev/2-2-8/loss/ctc": 9.0, "dev/2-2-8/wer/all": 50.0, "dev/2-2-8/wer/zh": 50.0,
    }  # fmt: skip


def test_a_logger_that_fails_is_told_once_and_stops_nothing() -> None:
    class Broken(Heard):
        def write(self, values: Mapping[str, float], step: int) -> None:
            raise ConnectionError("http://me:pw@host is away")

    sink = PatientSink("mlflow", Broken())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in (1, 2):
            sink.write({"loss": 1.0}, number)
    assert [str(one.message) for one in told] == ["mlflow takes no figures since step 1 (ConnectionError): training goes on"]


def sent(config: WandbConfig | MlflowConfig, out: Path) -> None:
    """A training, killed after its third step and gone on with from the first."""
    for start, steps in ((0, (1, 2, 3)), (1, (2, 3, 4))):
        with MetricsLog(out, start, open_loggers([config], str(out), RECIPE)) as log:
            for number in steps:
                log(step(number))
    for path in out.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in (b"pass-word-1", b"SECRET99")), path


def test_mlflow_has_one_run_with_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    sent(MlflowConfig(kind="mlflow"), tmp_path / "out")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("voxmill").experiment_id])
    assert (run.info.run_name, run.info.status, run.info.run_id in (tmp_path / "out" / LOGGERS).read_text()) == (
        "out", "FINISHED", True,
    )  # fmt: skip
    history = client.get_metric_history(run.info.run_id, "loss/all")
    assert [(one.step, one.value) for one in history] == [(number, 10.0 / number) for number in (1, 2, 3, 4)]
    assert run.data.metrics["dev/2-2-8/wer/all"] == 50.0
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or b"SECRET99" not in path.read_bytes()


def test_wandb_works_offline_and_goes_on_in_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    sent(WandbConfig(kind="wandb"), tmp_path / "out")
    logs = sorted((tmp_path / "out" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(logs) == 2, "one for each process, of one run"
    assert len({path.stem for path in logs}) == 1
    assert b"dev/2-2-8/wer/all" in logs[0].read_bytes()


def test_two_kills_send_nothing_twice(tmp_path: Path) -> None:
    heard = Heard()
    for start, steps in ((0, (1, 2, 3, 4, 5)), (1, (2, 3)), (1, (2, 3, 4, 5, 6))):
        log = MetricsLog(tmp_path, start, [heard])  # never closed
        for number in steps:
            log(step(number))
    assert heard.steps == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_logger_that_is_away_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tried = [100.0], list[int]()

    class Away(Heard):
        def write(self, values: Mapping[str, float], step: int) -> None:
            tried.append(step)
            raise ConnectionError

    monkeypatch.setattr("voxmill.models.training.loggers.time.monotonic", lambda: now[0])
    sink = PatientSink("mlflow", Away())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(200):
            sink.write({}, number)
            now[0] += 1
    assert tried == [0, 30, 90], "30 s, then 60, then 120"


def test_two_loggers_of_a_kind_have_runs_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, str | None]] = []

    class Known(Heard):
        def __init__(self, config: MlflowConfig, folder: Path, recipe: object, ident: str | None) -> None:
            opened.append((config.project, ident))
            self.ident = ident or f"run of {config.project}"

        def close(self) -> None:
            opened.append(("closed", self.ident))

    monkeypatch.setattr("voxmill.models.training.loggers.MlflowSink", Known)
    both = [MlflowConfig(kind="mlflow", project=name) for name in ("a", "b")]
    for _ in range(2):
        open_loggers(both, str(tmp_path), RECIPE)
    assert opened == [("a", None), ("b", None), ("a", "run of a"), ("b", "run of b")]
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(Unavailable):
        open_loggers([both[0], WandbConfig(kind="wandb")], str(tmp_path), RECIPE)
    assert opened[-1] == ("closed", "run of a")
