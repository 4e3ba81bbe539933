"""The recipe `light`, from a folder of speech to verified shards, in a process where torch and all that needs it cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speech.packaged import TWO_CITIES
from speech.waves import RATE, write_wave
from voxmill.pipeline.load_config import dump_config, load_config
from voxmill.sharding.reader import read_run

ABSENT = ("torch", "torchaudio", "ray", "whisperx", "funasr", "silero_vad", "transformers", "pyannote", "lightning", "spacy")
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from voxmill.pipeline.cli import main
main()
"""


def voxmill(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT.format(absent=ABSENT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_nothing_absent_is_there_by_another_way() -> None:
    code = WITHOUT.format(absent=ABSENT).replace("main()\n", "import torch\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in done.stderr, "the other test would show nothing"


@pytest.mark.slow
def test_the_recipe_light_runs_without_torch(tmp_path: Path) -> None:
    settings = yaml.safe_load(dump_config(load_config("light")))
    write_wave(tmp_path / "two-cities.wav", TWO_CITIES.samples()[: 14 * RATE])
    settings["sources"] = [
        {"name": "two-cities", "path": str(tmp_path / "two-cities.wav"), "language": "en", "licence": "cc0-1.0"}
    ]
    settings["crawl"]["contact"] = "tests@example.org"
    (tmp_path / "light.yaml").write_text(yaml.safe_dump(settings))
    run = tmp_path / "run"
    done = voxmill("run", "-c", tmp_path / "light.yaml", "-o", run)
    assert done.returncode == 0, done.stderr[-3000:]
    samples = list(read_run(str(run / "shards")))
    engines = {heard["engine"]: heard["model"] for one in samples for heard in one.document["hypotheses"]}
    assert engines.keys() == {"whisper", "moonshine"}
    said = " ".join(one.document["text"] for one in samples).lower()
    assert "best of times" in said
    assert all(heard["words"] for one in samples for heard in one.document["hypotheses"] if heard["engine"] == "whisper")
    proof = voxmill("verify", run)
    assert proof.returncode == 0, proof.stdout + proof.stderr
