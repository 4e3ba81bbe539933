"""What the cases of wrong input are tried on: a small finished run, a tiny model, and everything that people spoil or mistake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from benchmarks.runs import MOONSHINE, SPHINX, config, files, run_or_exit
from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog, query
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.state.run import Run

SECONDS = (14, 9)
"""Of the recordings of the run."""

RECIPE: dict[str, Any] = {
    "tokens": {"num_subwords": 300},
    "model": {
        "fbank": {"num_mels": 20},
        "encoder": {"layers": 1, "dim": 16, "heads": 2, "hidden": 32, "kernel": 5},
        "decoder": {"layers": 1, "backward_layers": 1, "heads": 2, "hidden": 32},
        "emoe": {"experts": 3, "top_k": 1, "width": 8, "schedule": {"experts": [1, 3], "top_k": [1], "width": [8]}},
    },
    "train": {"steps": 1, "save_every": 1},
    "normaliser_batches": 1,
}


Change = Callable[[Path], object]
"""Spoils a run."""


def make(folder: Path) -> None:
    """Fills an empty folder. The names in it are those of `cases.py`."""
    sound(folder)
    settings = settings_for(folder)
    run_or_exit(folder / "run", settings)
    (folder / "run.log").unlink()
    (folder / "run.yaml").unlink()
    crawled = {**settings, "sources": settings["sources"][:1]}
    run_or_exit(folder / "crawled", crawled, "--until", "crawl")
    (folder / "crawled.log").unlink()
    (folder / "crawled.yaml").unlink()
    label(folder)
    spoil_runs(folder)
    spoil_files(folder, settings)


def settings_for(folder: Path) -> dict[str, Any]:
    return config(
        files([folder / "a.wav", folder / "b.wav"], language="en"),
        [MOONSHINE, SPHINX],
        select={"high": 0.1, "weak": 0.05, "unlabelled": 0.01, "languages": [], "rate_fence": None},
        pack={"buckets": 1, "shard_mb": 1},
        executor={"kind": "local", "workers": 1},
    )


def sketch(folder: Path) -> None:
    """As `make`, in no time: of the run there is run.json, and nothing was heard."""
    sound(folder)
    settings = settings_for(folder)
    Run(str(folder / "run")).save({"buckets": 1, "config": parse_config(settings).model_dump(mode="json"), "fingerprints": {}})
    for name, change in STATES.items():
        shutil.copytree(folder / "run", folder / name)
        change(folder / name)
    spoil_files(folder, settings)


def label(folder: Path) -> None:
    """A labelled sample that a calibration can be made of: what was heard, with a word of each segment changed."""
    rows = query(open_catalog(str(folder / "run")), "SELECT segment_id, text FROM consensus ORDER BY 1").to_pylist()
    with (folder / "labelled.jsonl").open("w") as lines:
        for row in rows:
            changed = " ".join(["indeed", *row["text"].split()[1:]])
            lines.write(json.dumps({"segment_id": row["segment_id"], "text": changed}) + "\n")


def sound(folder: Path) -> None:
    samples = TWO_CITIES.samples()
    for name, seconds in zip("ab", SECONDS, strict=True):
        start = 0 if name == "a" else 20 * 16000
        soundfile.write(folder / f"{name}.wav", np.asarray(samples[start : start + seconds * 16000]), 16000)


def train(folder: Path) -> None:
    """Isolated from `make`, because it takes torch."""
    from voxmill.models.training.recipe import load_recipe
    from voxmill.models.training.session import train as learn

    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    learn(str(folder / "run" / "shards"), str(folder / "model"), load_recipe(str(folder / "tiny.yaml")), "cpu")
    for name, change in MODELS.items():
        shutil.copytree(folder / "model", folder / name)
        change(next((folder / name).glob("step-*")), folder / name)


def _first(run: Path, pattern: str) -> Path:
    return min(run.glob(pattern))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _state(**changes: Any) -> Change:
    def change(run: Path) -> None:
        state = json.loads((run / "run.json").read_text())
        state.update(changes)
        (run / "run.json").write_text(json.dumps({key: value for key, value in state.items() if value is not None}))

    return change


def _folder_for(name: str) -> Change:
    def change(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return change


def _write(name: str, blob: bytes) -> Change:
    def change(run: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(blob)

    return change


STATES: dict[str, Change] = {
    "state-empty": _write("run.json", b""),
    "state-binary": _write("run.json", b"\xff\xfe\x00\x01" * 50),
    "state-cut": lambda run: _cut(run / "run.json"),
    "state-list": _write("run.json", b"[1, 2]"),
    "state-deep": _write("run.json", b"[" * 100_000),
    "state-folder": _folder_for("run.json"),
    "state-newer": _state(schema_version=99),
    "state-version": _state(schema_version="two"),
}
"""Ways to spoil run.json, which every command reads."""

CONFIGS: dict[str, Change] = {
    "state-no-config": _state(config=None),
    "state-other-config": _state(config={"sources": "none"}),
    "state-no-buckets": _state(buckets=None),
}
"""Ways that only those commands meet that go on with the run."""

TABLES: dict[str, Change] = {
    "table-cut": lambda run: _cut(_first(run, "manifests/**/spans*.parquet")),
    "table-text": lambda run: _first(run, "manifests/outcomes/*/*.parquet").write_text("no Parquet"),
    "table-gone": lambda run: _first(run, "manifests/units/*/*.parquet").unlink(),
    "catalog-text": _write("catalog.sql", b"SELECT 1;\n"),
    "catalog-binary": _write("catalog.sql", b"\xff\xfe\x00" * 100),
    "catalog-cut": lambda run: (run / "catalog.sql").write_text('-- files: {"items": ["manif'),
    "catalog-numbers": lambda run: (run / "catalog.sql").write_text('-- files: {"items": 3}\n'),
    "catalog-folder": _folder_for("catalog.sql"),
}
"""Ways to spoil what `stats` and its like read."""

GONE: dict[str, Change] = {
    "beginning-cut": lambda run: _first(run, "ledger/journal/*.json").write_text('{"sour'),
    "shards-gone": lambda run: shutil.rmtree(run / "shards"),
    "hearing-gone": lambda run: shutil.rmtree(run / "manifests" / "segment"),
}
"""What a finished run had and has no more."""

PROOFS: dict[str, Change] = {
    "ledger-cut": lambda run: _cut(_first(run, "manifests/select/*/?????-????????????.parquet")),
    "listing-cut": lambda run: [one.write_text('{"sour') for one in run.glob("ledger/journal/*.json")],
    "tombstone-text": _write("tombstones/abc.parquet", b"x"),
}
"""Ways to spoil the ledger, which `verify` and whatever changes the run read."""

MODELS: dict[str, Callable[[Path, Path], object]] = {
    "model-cut": lambda step, out: _cut(step / "model.safetensors"),
    "model-json": lambda step, out: (step / "checkpoint.json").write_text("{"),
    "model-list": lambda step, out: (step / "checkpoint.json").write_text("[]"),
    "model-tokens": lambda step, out: (step / "tokens.model").write_bytes(b"\x00\xff"),
    "model-recipe": lambda step, out: (out / "recipe.json").write_bytes(b"\xff\xfe{"),
    "model-gone": lambda step, out: (step / "model.safetensors").unlink(),
}
"""(last checkpoint, training's folder) of a trained model, spoilt."""


def spoil_runs(folder: Path) -> None:
    for name, change in {**STATES, **CONFIGS, **TABLES, **PROOFS, **GONE}.items():
        shutil.copytree(folder / "run", folder / name)
        change(folder / name)


def spoil_files(folder: Path, settings: dict[str, Any]) -> None:
    """Files and folders beside the run that a command is given by mistake."""
    good = yaml.safe_dump(settings)
    for name, blob in {
        "empty.yaml": b"", "list.yaml": b"- a\n- b\n", "text.yaml": b"just words", "number.yaml": b"3",
        "broken.yaml": b"sources: [", "tab.yaml": b"a:\n\t- b", "binary.yaml": bytes(range(256)), "utf16.yaml": good.encode("utf-16"),
        "deep.yaml": b"[" * 1_000, "date.yaml": b"sources: 2024-13-45", "python.yaml": b"!!python/object/apply:os.system [ls]",
        "key.yaml": b"sorces: []\n" + good.encode(), "numbered.yaml": b"1: 2\n" + good.encode(),
        "doubled.yaml": good.encode() + b"\nselect: {}\nselect: {}\n",
        "empty.jsonl": b"", "broken.jsonl": b'{"text": "a"}\n{"text"\n', "list.jsonl": b"[1]\n", "binary.jsonl": b"\xff\xfe\x00\x00",
        "keys.jsonl": b'{"other": 1}\n', "noaudio.jsonl": b'{"audio_filepath": "nosuch.wav"}\n', "deep.jsonl": b"[" * 100_000,
        "nan.jsonl": b'{"recording": "a.wav", "start": NaN, "end": 3, "text": "x"}\n',
        "strange.jsonl": b'{"segment_id": "0123456789abcdef01234567-0000000000-0000000001", "text": "x"}\n',
        "notes.txt": b"some notes", "empty.wav": b"", "text.wav": b"no sound at all",
        "denied.txt": b"caf\xe9.example.org\n",
    }.items():  # fmt: skip
        (folder / name).write_bytes(blob)
    for name, change in SETTINGS.items():
        changed = json.loads(json.dumps(settings))
        change(changed)
        (folder / name).write_text(yaml.safe_dump(changed))
    for name in ("nothing", "demo", "english", "full", "sounds", "textsounds", "badshards"):
        (folder / name).mkdir()
    (folder / "full" / "file.txt").write_text("x")
    (folder / "textsounds" / "a.wav").write_text("no sound")
    (folder / "badshards" / "x.tar").write_text("no tar")
    (folder / "badshards" / "x.parquet").write_text("no Parquet")
    (folder / "good.yaml").write_text(good)
    (folder / "locked").mkdir()
    (folder / "splitless.yaml").write_text(yaml.safe_dump(RECIPE | {"data": {"plan": {"split": "dev"}}}))
    (folder / "wordless.yaml").write_text(yaml.safe_dump(RECIPE | {"tokens": {"num_subwords": 10}}))
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nosuch")


def _put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(settings: dict[str, Any]) -> None:
        place: Any = settings
        for key in path[:-1]:
            place = place[key] if isinstance(place, list) else place.setdefault(key, {})
        place[path[-1]] = value

    return change


SETTINGS: dict[str, Callable[[dict[str, Any]], None]] = {
    "nan.yaml": _put("select", "high", value=float("nan")),
    "inf.yaml": _put("pack", "shard_mb", value=float("inf")),
    "negative.yaml": _put("pack", "buckets", value=-1),
    "huge.yaml": _put("pack", "buckets", value=10**30),
    "words.yaml": _put("select", "weak", value="much"),
    "engine.yaml": _put("transcribe", 0, "kind", value="whisperz"),
    "weights.yaml": _put("transcribe", 0, "model", value="moonshine-tiny-e"),
    "noengine.yaml": _put("transcribe", value=[]),
    "twice.yaml": lambda s: s["sources"].append(s["sources"][0]),
    "stage.yaml": _put("executor", "resources", value={"transcribe:nobody": {"workers": 2}}),
    "denyfile.yaml": _put("crawl", "deny_files", value=["nosuch.txt"]),
    "denyfolder.yaml": _put("crawl", "deny_files", value=["nothing"]),
    "denybytes.yaml": _put("crawl", "deny_files", value=["denied.txt"]),
    "calibration.yaml": _put("select", "calibration", value="nosuch.json"),
    "calibrationtext.yaml": _put("select", "calibration", value="notes.txt"),
    "evaluation.yaml": _put("duplicates", value={"by": ["text"], "evaluation": ["nosuch.jsonl"]}),
    "against.yaml": _put("duplicates", value={"by": ["text"], "against": ["nosuch"]}),
    "bytes.yaml": _put("crawl", "max_bytes", value=10**30),
    "buckets.yaml": _put("pack", "buckets", value=3),
    "by.yaml": _put("duplicates", value={"by": ["smell"]}),
}
"""Configs with one thing wrong."""
