"""`voxmill run FOLDER -o RUN`, as a process: what it says, what it ends with, and what it leaves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from speech.packaged import TWO_CITIES
from voxmill.pipeline import cli


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Voxmill = Callable[..., Done]


@pytest.fixture
def voxmill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Voxmill:
    """The command, in this process."""

    def command(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["voxmill", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talks").mkdir()
    soundfile.write(tmp_path / "talks" / "a.wav", np.zeros(32000, np.float32), 16000)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "nosuch", "-o", "run"], 2, "no file or folder nosuch"),
        (["run", "-c", "english", "-o", "run"], 2, "recipe's placeholder"),
        (["run", "talks", "-o", "talks/a.wav"], 2, "is a file"),
        (["run", "talks", "-o", "/proc/voxmill"], 3, "cannot be written"),
        (["run", "talks", "-o", "run", "--executor", "ray", "--address", "127.0.0.1:1"], 3, "nobody answers"),
        (["run", "talks", "-o", "run", "--set", "segment.model=gone"], 2, "neither the name of known weights nor a folder"),
        (
            ["crawl", "http://127.0.0.1:1/a.mp3", "-o", "run", "--contact", "me@radio.test"],
            3,
            "every source is on this machine",
        ),
        (["plan", "nosuch"], 2, "no file or folder nosuch"),
        (["config", "check", "-c", "english"], 1, "voxmill models fetch whisper-large-v3-turbo"),
        (["config", "check", "-c", "english", "--set", "select.hihg=1"], 2, "did you mean `high`"),
        (["doctor", "-c", "english", "--set", "select.hihg=1"], 2, "did you mean `high`"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_code_and_leaves_nothing(
    words: list[str], code: int, said: str, here: Path, voxmill: Voxmill
) -> None:
    before = sorted(here.rglob("*"))
    done = voxmill(*words)
    assert (done.code, "Traceback" in done.err) == (code, False), done.err
    assert said in done.out + done.err
    assert sorted(here.rglob("*")) == before


def test_a_dry_run_says_what_was_chosen_and_writes_nothing(here: Path, voxmill: Voxmill) -> None:
    done = voxmill("run", "talks", "-o", "run", "--language", "en", "--dry-run")
    assert done.code == 0, done.err
    assert "transcribed by whisper-base and moonshine-tiny-en" in done.err
    assert "its one file will be rejected (select.licence)" in done.out
    assert not (here / "run").exists()


@pytest.mark.slow
def test_a_folder_becomes_shards_and_the_run_goes_on(here: Path, voxmill: Voxmill) -> None:
    soundfile.write(here / "talks" / "cities.flac", TWO_CITIES.samples()[: 8 * 16000], 16000)
    fast = ["--set", "transcribe=[{kind: moonshine}]", "--set", "executor.workers=1", "-q"]
    done = voxmill("run", "talks", "-o", "run", "--language", "en", "--licence", "cc0-1.0", *fast)
    assert done.code == 0, done.err
    shards = {path.name: path.read_bytes() for path in (here / "run" / "shards").rglob("*.tar")}
    assert shards
    written = yaml.safe_load((here / "run" / "config.yaml").read_text())
    assert written["executor"] == {"kind": "local", "workers": 1}
    assert voxmill("run", "-o", "run", "-q").code == 0
    assert voxmill("verify", "run").code == 0
    assert {path.name: path.read_bytes() for path in (here / "run" / "shards").rglob("*.tar")} == shards
