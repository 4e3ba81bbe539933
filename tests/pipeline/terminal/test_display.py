"""What is drawn while something runs, in a real terminal: a run, and a training's display."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from speech.packaged import TWO_CITIES
from terminals import in_terminal
from voxmill.manifests.storage import outage_listeners, store_retry
from voxmill.manifests.storage.store_retry import StoreHealth
from voxmill.pipeline.terminal.display import Display

CONFIG = f"""
sources: [{{name: two-cities, path: {TWO_CITIES.path}, language: en, licence: cc0-1.0}}]
crawl: {{contact: tests@example.org}}
transcribe: [{{kind: moonshine, model: moonshine-tiny-en}}]
"""

TRAINING = """
import time
from types import SimpleNamespace
from voxmill.pipeline.modelling.model_display import TrainingDisplay
with TrainingDisplay(2) as display:
    time.sleep(0.5)
    for number in (1, 2):
        display(SimpleNamespace(step=number, loss=1.0, parts={"ctc": 2.0}, rate=1e-3, updated=True, budget=None,
            audio_seconds=3.0, expert_peak=None, seconds=0.5, waiting=0.0, skipped={}, validation=None))
"""


@pytest.mark.slow
def test_a_run_in_a_terminal_draws_its_table(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = [
        sys.executable,
        "-m",
        "voxmill.pipeline.console_script",
        "crawl",
        "-c",
        "config.yaml",
        "-o",
        "run",
        "--executor",
        "local",
    ]
    seen = in_terminal(command, cwd=tmp_path)
    assert seen.code == 0, seen.text
    assert "Traceback" not in seen.text
    assert "decode" in seen.text
    assert "\x1b[" in seen.text


RESULTS = """
import time
from voxmill.pipeline.modelling.model_display import TranscribeDisplay
with TranscribeDisplay(["one.wav", "two.wav"], quiet=False) as display:
    for words in ("first words", "second words"):
        time.sleep(0.5)
        display.results().print(words)
        display.next()
"""


def test_a_store_that_is_away_is_one_line_of_the_display(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_retry, "SILENT_S", 0.0)
    health = StoreHealth("the store at http://here")
    with Display():
        for attempt in range(1, 9):
            health.pause("HTTP 503 SlowDown", attempt, time.monotonic())
        health.answered()
    assert capsys.readouterr().err.splitlines() == [
        "the store at http://here does not answer (HTTP 503 SlowDown): waiting up to 10 min for it; nothing is lost",
    ]
    assert not outage_listeners


def test_results_do_not_run_into_what_is_drawn() -> None:
    seen = in_terminal([sys.executable, "-c", RESULTS])
    assert seen.code == 0, seen.text
    for words in ("first words", "second words"):
        assert re.search(rf"(^|[\r\n])(\x1b\[[0-9;?]*[A-Za-z])*{words}", seen.text), repr(seen.text)


def test_in_a_pipe_results_are_standard_output_alone() -> None:
    done = subprocess.run([sys.executable, "-c", RESULTS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["first words", "second words"]


STOPPED = """
import os, signal, time
from voxmill.pipeline.terminal.display import Display
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore it
try:
    with Display() as display, display.stoppable():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            time.sleep(0.6)  # as long as workers take to let go
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_is_answered_while_workers_let_go() -> None:
    seen = in_terminal([sys.executable, "-c", STOPPED])
    assert seen.code == 0, seen.text
    assert "stopping: what is finished is kept" in seen.text
    assert seen.text.rstrip().endswith("stopped")


def test_a_training_in_a_terminal_draws_its_table() -> None:
    seen = in_terminal([sys.executable, "-c", TRAINING])
    assert seen.code == 0, seen.text
    assert "Traceback" not in seen.text
    assert "loss ctc" in seen.text


def test_a_log_of_a_week_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that reports four times a minute: a line each at the start, later one in ten minutes."""
    clock = [1000.0]
    monkeypatch.setattr("voxmill.pipeline.terminal.display.time", SimpleNamespace(monotonic=lambda: clock[0]))
    log = io.StringIO()
    display = Display(Console(file=log))
    hours = dict[int, int]()
    for step in range(7 * 24 * 240):
        before = log.tell()
        display.tell("segment", lambda: ["segment", "1/2"], at_once=False)
        hours[step // 240] = hours.get(step // 240, 0) + (log.tell() > before)
        clock[0] += 15.1
    assert hours[0] > 50
    assert max(list(hours.values())[24:]) == 6
    assert sum(hours.values()) < 1500
