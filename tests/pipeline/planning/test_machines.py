"""Machines, prices and speeds as a user writes them, and the table of what is known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from voxmill.manifests.errors import UserError
from voxmill.operators.transcribe import transcribe
from voxmill.operators.weights.registry import registry
from voxmill.pipeline.planning import machines
from voxmill.pipeline.planning.machines import parse_machines, parse_prices, parse_speeds, speed_on

TABLE = yaml.safe_load(Path(machines.__file__).with_name("machines.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["h1000:8"], "no machine `h1000` is known"),
        (["h100:0"], "`0` is no whole number"),
        (["h100:many"], "`many` is no whole number"),
        (["h100:8:"], ""),
        (["h100:8:x"], "`x` is no whole number"),
        (["h100:1", "h100:2"], "given twice"),
        (["cpu0:4"], "no machine `cpu0`"),
    ],
)
def test_a_machine_that_is_none_is_named_with_its_fix(texts: list[str], said: str) -> None:
    if not said:
        assert parse_machines(texts)
        return
    with pytest.raises(UserError, match=re.escape(said)):
        parse_machines(texts)


@pytest.mark.parametrize(
    ("texts", "store", "said"),
    [
        (["l4=2"], None, "NAME is one of --machine"),
        (["h100"], None, "NAME=PER_HOUR"),
        (["h100=-2"], None, "no price"),
        (["h100=nan"], None, "no price"),
        (["h100=2EUR"], "0.02USD", "one currency"),
        (["h100=2", "h100=3"], None, "twice"),
    ],
)
def test_a_price_that_is_none(texts: list[str], store: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_prices(texts, parse_machines(["h100:8"]), store)


@pytest.mark.parametrize(
    "text", ["transcribe:b=3", "transcribe:a=0", "transcribe:a=-1", "transcribe:a=inf", "transcribe:a@l4=3", "x"]
)
def test_a_speed_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="--speed"):
        parse_speeds([text], ["transcribe:a"], parse_machines(["h100:8"]))


def test_a_given_speed_wins_over_a_published_one_and_what_is_neither_is_not_known() -> None:
    v100, h100 = parse_machines(["v100:1", "h100:1"])
    ask = ("transcribe:w", "whisperx", "whisper-large-v3")
    published = speed_on(v100, *ask, {})
    assert (published.basis, published.source != "") == ("published", True)
    assert speed_on(v100, *ask, {("transcribe:w", None): 9.0}).times == 9.0
    assert speed_on(v100, *ask, {("transcribe:w", None): 9.0, ("transcribe:w", "v100"): 8.0}).times == 8.0
    assert speed_on(h100, *ask, {}).times is None
    assert speed_on(v100, "transcribe:w", "whisperx", "whisper-base", {}).times is None


def test_the_table_names_machines_engines_and_weights_that_exist_and_every_source() -> None:
    engines = {one.model_fields["kind"].default for one in get_args(get_args(transcribe.EngineConfig)[0])}
    for row in TABLE["speeds"]:
        assert row["gpu"] in TABLE["kinds"]
        assert set(row["engines"]) <= engines
        assert row["model"] in registry()
        assert row["times"] > 0
        assert len(row["source"]) > 20
    for kind in TABLE["kinds"].values():
        assert kind["source"]
        assert kind["cores"] > 0
        assert kind["memory_gb"] > 0


def test_memory_limits_how_many_workers_a_machine_holds() -> None:
    (machine,) = parse_machines(["l4:2"])
    assert machine.workers(1.0) == 16
    assert machine.workers(8.0) == 8
    assert machine.workers(1000.0) == 2
