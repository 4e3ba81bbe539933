"""FunASR finds the same classes by name, whether it imports all of its modules or only those that are asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from voxmill.operators.vendors.funasr_registry import registered

REGISTERS = '@tables.register("model_classes", "{name}")\nclass {name}:\n    size = {size}\n'

NAMES = (
    ("model_classes", "Paraformer"), ("model_classes", "BiCifParaformer"), ("model_classes", "SeacoParaformer"),
    ("model_classes", "SenseVoiceSmall"), ("model_classes", "FsmnVADStreaming"), ("model_classes", "Emotion2vec"),
    ("encoder_classes", "SANMEncoder"), ("decoder_classes", "ParaformerSANMDecoder"), ("predictor_classes", "CifPredictorV3"),
    ("frontend_classes", "WavFrontend"), ("tokenizer_classes", "CharTokenizer"), ("specaug_classes", "SpecAugLFR"),
    ("model_classes", "Conformer"), ("model_classes", "NoSuchModel"),
)  # fmt: skip
"""What the models that have adapters here name; one that two modules register differently; one that none does."""

LOOKED_UP = f"""
import inspect, json, sys, warnings
warnings.simplefilter("ignore")
if sys.argv[1] == "whole":
    import funasr
else:
    from voxmill.operators.vendors.funasr_registry import import_funasr
    import_funasr()
from funasr.register import tables
found = {{}}
for table, name in {NAMES!r}:
    kind = getattr(tables, table).get(name)
    found[f"{{table}} {{name}}"] = kind and [kind.__name__, inspect.getsource(inspect.getmodule(kind))]
    print(json.dumps([len([name for name in sys.modules if name.startswith("funasr.models.")]), found]))
"""


def test_names_are_read_from_the_source(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    files = {
        "models/__init__.py": REGISTERS.format(name="InPackage", size=1),
        "models/a.py": REGISTERS.format(name="Alone", size=1) + REGISTERS.format(name="Differs", size=1),
        "models/b.py": REGISTERS.format(name="Same", size=1),
        "models/c.py": REGISTERS.format(name="Same", size=1),
        "models/d.py": REGISTERS.format(name="Differs", size=2) + '@tables.register("model_classes", COMPUTED)\nclass E: ...\n',
    }
    for name, text in files.items():
        (package / name).write_text(text)
    assert registered(package) == {
        "model_classes": {"Alone": "package.models.a", "Same": "package.models.b", "InPackage": "package.models"}
    }


@pytest.mark.slow
def test_the_same_classes_by_fewer_modules() -> None:
    def looked_up(way: str) -> list[tuple[int, dict[str, list[str] | None]]]:
        done = subprocess.run([sys.executable, "-c", LOOKED_UP, way], capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]

    whole, on_demand = looked_up("whole"), looked_up("on demand")
    assert on_demand[-1][1] == whole[-1][1]
    assert whole[-1][1].pop("model_classes NoSuchModel") is None
    assert all(whole[-1][1].values())
    trained = len(NAMES) - 3
    assert on_demand[trained][0] < whole[0][0] / 4
    assert on_demand[-1][0] == whole[0][0], "a name that no module states must have brought all of them"
