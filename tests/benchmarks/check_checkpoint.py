"""`make check-checkpoint`: a checkpoint is data and never code, what was tampered with is refused, and what goes out comes back.

1. Traps: pickles that leave a mark when they are opened, under every name a checkpoint has and others that loaders like. Python's own
   audit events say besides whether any pickle was opened. The source of `models/` is searched for calls that could.
2. Tampering, as damage (digests no longer fit) and as forgery (digests and seal made right again). Each must end as a
   CheckpointError that names the file or the folder. The full form cuts every file at more places and turns more bits.
3. Round trips: save and load, extract and load, export and load, ONNX; of models with every switch.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import ast
import hashlib
import json
import pickle
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
from safetensors.torch import load_file, save_file

from benchmarks.report import Target, finish, full_form, heading, table
from networks import SWITCHES, conditions, features, model
from networks import tokens as some_tokens
from voxmill.models.checkpoint.checkpoint import Bundle, TrainingState, load, load_training, save
from voxmill.models.checkpoint.manifest import COMMIT, MODEL, TOKENS, TRAINING, CheckpointError, seal
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.inference.export import TOLERANCE, export_model
from voxmill.models.network.budget import Budget

SOURCE = Path(__file__).resolve().parents[2] / "models"
FILES = (MODEL, TOKENS, TRAINING, COMMIT)
OTHER_NAMES = ("model.pt", "model.pth", "model.ckpt", "pytorch_model.bin", "optimizer.pt", "data.pkl", "training_state.pkl")
SAFE_LOADERS = ("yaml.SafeLoader", "getattr(yaml, 'CSafeLoader', yaml.SafeLoader)")
FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
TEXTS = ["one two three", "谢谢 thank you"]

Tamper = Callable[[Path], None]

WRONG: tuple[Any, ...] = (None, [1], "x", -3, float("nan"), {"a": 1})
"""Values that no field of the JSON can have, but for a few."""
RIGHT = {("training", "None")}
"""These few: a checkpoint without training state is a good one, and says so itself."""


def bundle(tokens: Tokenizer, *on: str) -> Bundle:
    budgets = (Budget(1, 1, 4), Budget(3, 2, 8), Budget(5, 2, 8)) if "emoe" in on else ()
    targets = TargetsConfig(style="activated") if "tasks" in on else TargetsConfig()
    return Bundle(model(*on, vocabulary=len(tokens)), tokens, targets, 7, budgets)


def training(of: Bundle) -> TrainingState:
    """As the trainer leaves it."""
    tensors = {f"optimizer.exp_avg.{name}": tensor.clone() for name, tensor in of.model.named_parameters()}
    tensors |= {f"optimizer.step.{name}": torch.tensor(7.0) for name, _ in of.model.named_parameters()}
    return TrainingState(tensors, {"loader": {"epoch": 0, "index": 3, "skipped": {"audio": 1}}, "averaged": 0, "config": {}})


def forged(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Changes the JSON, and makes digests and seal right again: a tamperer who knows the format."""
    document = json.loads((folder / COMMIT).read_text())
    document["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in document["sha256"]}
    change(document)
    document["seal"] = seal(document)
    (folder / COMMIT).write_text(json.dumps(document))


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], None]) -> Tamper:
    def tamper(folder: Path) -> None:
        held = load_file(folder / name)
        change(held)
        save_file({key: tensor.contiguous() for key, tensor in held.items()}, folder / name)
        forged(folder)

    return tamper


def document(*path: str, to: Any) -> Tamper:
    """Another value at a place of the JSON."""

    def change(tree: dict[str, Any]) -> None:
        for name in path[:-1]:
            tree = tree[name]
        tree[path[-1]] = to

    return lambda folder: forged(folder, change)


def replaced(name: str, blob: bytes) -> Tamper:
    def tamper(folder: Path) -> None:
        (folder / name).write_bytes(blob)
        if name != COMMIT:
            forged(folder)

    return tamper


def damaged(name: str, change: Callable[[bytes], bytes], *, forge: bool = False) -> Tamper:
    def tamper(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
        if forge and name != COMMIT:
            forged(folder)

    return tamper


def edited_json(folder: Path) -> None:
    """By hand, without knowing of the seal."""
    text = (folder / COMMIT).read_text()
    (folder / COMMIT).write_text(text.replace('"step": 7', '"step": 8', 1))


def tampering(full: bool) -> Iterator[tuple[str, Tamper]]:
    """(kind, what it does to a folder)."""
    yield "wrong shapes", tensors(MODEL, lambda held: held.update({"ctc.bias": torch.zeros(3)}))
    yield "wrong shapes", tensors(MODEL, lambda held: held.update({"ctc.weight": held["ctc.weight"].T}))
    yield "wrong shapes", tensors(MODEL, lambda held: held.update({"ctc.bias": held["ctc.bias"].half()}))
    yield "wrong shapes", document("model", "encoder", "dim", to=32)
    yield "wrong shapes", document("model", "encoder", "layers", to=1)
    yield "wrong shapes", document("model", "emoe", "experts", to=4)
    yield "wrong shapes", tensors(TRAINING, lambda held: held.update({"optimizer.exp_avg.ctc.bias": torch.zeros(3)}))
    other = Tokenizer.train(["quite other words"], TokenizerConfig(num_subwords=280))
    yield "wrong tokeniser", replaced(TOKENS, other.subwords)
    yield "wrong tokeniser", replaced(TOKENS, b"no model at all")
    yield "wrong tokeniser", document("tokens", "digest", to="0" * 64)
    yield "wrong tokeniser", document("tokens", "config", "gender", to=["x", "y", "z"])
    yield "wrong tokeniser", document("model", "vocabulary", to=5)
    for value in (float("nan"), float("inf"), float("-inf")):
        yield "NaN weights", tensors(MODEL, lambda held, value=value: held["ctc.weight"][0, 0].fill_(value))  # type: ignore[misc]
        yield (
            "NaN weights",
            tensors(TRAINING, lambda held, value=value: held["optimizer.exp_avg.ctc.bias"].fill_(value)),  # type: ignore[misc]
        )
    yield "missing or extra tensors", tensors(MODEL, lambda held: held.update({"ctc.colour": held.pop("ctc.bias")}))
    yield "missing or extra tensors", tensors(MODEL, lambda held: held.update({"ctc.colour": torch.zeros(3)}))
    yield "missing or extra tensors", tensors(MODEL, lambda held: held.clear())
    yield "missing or extra tensors", tensors(TRAINING, lambda held: held.update({"optimizer.exp_avg.nothing": torch.zeros(3)}))
    yield "edited JSON", edited_json
    for name in ("step", "model", "targets", "tokens", "trained", "training", "sha256", "format"):
        for wrong in WRONG:
            if (name, str(wrong)) not in RIGHT:
                yield "edited JSON", document(name, to=wrong)
    yield "edited JSON", document("model", "encoder", "layers", to=10**9)
    yield "edited JSON", document("model", "emoe", "experts", to=10**9)
    yield "edited JSON", document("model", "encoder", "dim", to=10**12)
    yield "edited JSON", document("model", "encoder", "heads", to=0)
    yield "edited JSON", document("model", "colour", to="red")
    yield "edited JSON", document("trained", to=["99:1:1"])
    yield "edited JSON", document("format", to=99)
    yield "edited JSON", document("training", "loader", to={"epoch": -1, "index": "x"})
    yield "edited JSON", replaced(COMMIT, b"[" * 100_000)
    yield "edited JSON", replaced(COMMIT, b'{"format": 1}')
    yield "edited JSON", replaced(COMMIT, b"\xff\xfe")
    for name in FILES:
        yield "missing file", lambda folder, name=name: (folder / name).unlink()  # type: ignore[misc]
        for step in range(40 if full else 8):
            part = step / (40 if full else 8)
            yield "truncated file", damaged(name, lambda blob, part=part: blob[: int(part * len(blob))])  # type: ignore[misc]
            if name in (MODEL, TRAINING):
                cut = damaged(name, lambda blob, part=part: blob[: int(part * len(blob))], forge=True)  # type: ignore[misc]
                yield "truncated file", cut
        for step in range(64 if full else 8):
            yield "turned bit", damaged(name, lambda blob, step=step: turned(blob, step))  # type: ignore[misc]


def turned(blob: bytes, step: int) -> bytes:
    """With one bit changed, in places that look random and are the same every time."""
    place = int(hashlib.sha256(str(step).encode()).hexdigest()[:8], 16) % len(blob)
    return blob[:place] + bytes([blob[place] ^ (1 << (step % 8))]) + blob[place + 1 :]


def outcome(folder: Path) -> str:
    """What loading everything there ends with: `refused`, `unclear`, `loaded`, or the name of an error that is none of ours."""
    try:
        load(str(folder))
        load_training(str(folder))
    except CheckpointError as error:
        message = str(error)
        return "refused" if str(folder) in message and "\n" not in message and len(message) < 500 else "unclear"
    except Exception as error:  # noqa: BLE001 - what is counted here is exactly that there is none
        return f"{type(error).__name__}: {error}"[:120]
    return "loaded"


def check_tampering(good: Path, full: bool) -> tuple[dict[str, Counter[str]], list[str]]:
    """For each kind how it ended, and what ended otherwise than refused."""
    ends: dict[str, Counter[str]] = {}
    others = []
    for number, (kind, tamper) in enumerate(tampering(full)):
        folder = good.parent / f"tampered-{number}"
        shutil.copytree(good, folder)
        tamper(folder)
        end = outcome(folder)
        ends.setdefault(kind, Counter())[end if end in ("refused", "unclear", "loaded") else "error"] += 1
        if end != "refused":
            others.append(f"{kind}, {number}: {end}")
        shutil.rmtree(folder)
    return ends, others


class Trap:
    """A pickle of it makes a file when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def check_traps(good: Path) -> tuple[int, int, int]:
    """(traps set, traps sprung, pickles opened while loading). One trap is sprung on purpose, to show that they work."""
    mark, opened, watching = good.parent / "sprung", [], [True]
    sys.addaudithook(lambda event, _: opened.append(event) if event == "pickle.find_class" and watching[0] else None)
    blob = pickle.dumps(Trap(mark))
    pickle.loads(blob)
    if not mark.exists() or not opened:
        raise AssertionError("the trap does not work, so that it proves nothing")
    mark.unlink()
    opened.clear()
    count = sprung = 0
    for name in (*FILES, *OTHER_NAMES):
        for trap in (blob, zipped(mark)):
            folder = good.parent / "trapped"
            shutil.copytree(good, folder)
            (folder / name).write_bytes(trap)
            if name in FILES and name != COMMIT:
                forged(folder)
            outcome(folder)
            count, sprung = count + 1, sprung + mark.exists()
            mark.unlink(missing_ok=True)
            shutil.rmtree(folder)
    watching[0] = False
    return count, sprung, len(opened)


def zipped(mark: Path) -> bytes:
    """The same trap as `torch.save` packs it."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(Trap(mark), Path(folder) / "trap.pt")
        return (Path(folder) / "trap.pt").read_bytes()


def check_source() -> list[str]:
    """Places in `models/` that open pickles, or run what they read."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        of_pickle = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        of_pickle = {name for name in of_pickle if name.startswith("pickle.")}
        named_error_alone = of_pickle == {"pickle.UnpicklingError"}  # with which torch refuses a file
        for node in ast.walk(tree):
            imported = {alias.name.split(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()
            imported |= {(node.module or "").split(".")[0]} if isinstance(node, ast.ImportFrom) else set()
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            given = {k.arg: ast.unparse(k.value) for k in node.keywords} if isinstance(node, ast.Call) else {}
            unsafe = (
                (imported - ({"pickle"} if named_error_alone else set())) & FORBIDDEN
                or (call in ("torch.load", "load_state_dict_from_url") and given.get("weights_only") != "True")
                or call in ("torch.jit.load", "torch.package.PackageImporter", "eval", "exec", "yaml.unsafe_load")
                or (call == "yaml.load" and given.get("Loader") not in SAFE_LOADERS)
                or given.get("allow_pickle") == "True"
            )
            if unsafe:
                found.append(f"{path.name}:{node.lineno}")  # type: ignore[attr-defined]
    return found


@torch.no_grad()
def check_round_trips(home: Path, tokens: Tokenizer) -> tuple[int, list[str], float]:
    """(round trips made, those that changed a bit, largest difference of an ONNX graph)."""
    made, changed, largest = 0, list[str](), 0.0
    for on in ((), *((name,) for name in SWITCHES), tuple(SWITCHES)):
        name, whole = "+".join(on) or "dense", bundle(tokens, *on)
        save(f"{home}/{name}", whole, training(whole))
        again = load(f"{home}/{name}")
        save(f"{home}/{name}-again", again, load_training(f"{home}/{name}"))
        equal = [(home / name / f).read_bytes() == (home / f"{name}-again" / f).read_bytes() for f in FILES]
        equal += [same_function(whole, again, on), state_of(again) == state_of(whole)]
        made, changed = made + 1, changed + ([] if all(equal) else [name])
        for budget in whole.trained:
            small = whole.extract(budget)
            folder = f"{home}/{name}-{budget}".replace(":", "_")
            delivered = export_model(again, str(budget), "safetensors", folder)
            equal = [delivered.difference == 0.0, state_of(load(folder)) == state_of(small)]
            made, changed = made + 1, changed + ([] if all(equal) else [f"{name} {budget}"])
        under = str(whole.trained[1]) if whole.trained else None
        largest = max(largest, export_model(again, under, "onnx", f"{home}/{name}-onnx").difference)
    return made, changed, largest


def same_function(one: Bundle, other: Bundle, on: tuple[str, ...]) -> bool:
    feature_BTM, length_B = features(50, 30)
    said = [b.model(feature_BTM, length_B, some_tokens(2), conditions(2, *on)) for b in (one, other)]
    return all(bool((getattr(said[0], head) == getattr(said[1], head)).all()) for head in ("ctc_BTV", "forward_BUV"))


def state_of(one: Bundle) -> dict[str, bytes]:
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in one.model.state_dict().items()}


def main() -> None:
    full = full_form(sys.argv)
    torch.set_num_threads(1)
    heading("check-checkpoint", full, "small models with every switch, and folders made bad", ["torch", "safetensors", "onnx"])
    tokens = Tokenizer.train(TEXTS, TokenizerConfig(num_subwords=290))
    with tempfile.TemporaryDirectory() as temp:
        home = Path(temp)
        good = home / "good"
        whole = bundle(tokens, *SWITCHES)
        save(str(good), whole, training(whole))
        if outcome(good) != "loaded":
            raise AssertionError(f"the good checkpoint does not load: {outcome(good)}")
        traps, sprung, opened = check_traps(good)
        places = check_source()
        ends, others = check_tampering(good, full)
        made, changed, largest = check_round_trips(home, tokens)
    table(
        ("tampering", "cases", "refused", "unclear", "other error", "loaded"),
        [
            (kind, str(c.total()), *(str(c[end]) for end in ("refused", "unclear", "error", "loaded")))
            for kind, c in sorted(ends.items())
        ],
    )
    for line in [*others, *(f"unsafe: {place}" for place in places), *(f"changed: {name}" for name in changed)][:20]:
        print(f"  {line}")
    cases = sum(c.total() for c in ends.values())
    refused = sum(c["refused"] for c in ends.values())
    targets: dict[str, Target] = {
        "traps sprung": {"value": f"{sprung} of {traps}", "target": "0", "met": not sprung},
        "pickles opened while loading": {"value": opened, "target": "0", "met": not opened},
        "unsafe calls in models/": {"value": len(places), "target": "0", "met": not places},
        "tampered checkpoints refused": {"value": f"{refused} of {cases}", "target": "all", "met": refused == cases},
        "round trips that changed a bit": {"value": f"{len(changed)} of {made}", "target": "0", "met": not changed},
        "ONNX, largest difference": {
            "value": float(f"{largest:.2g}"),
            "target": f"<= {TOLERANCE:g}",
            "met": largest <= TOLERANCE,
        },
    }
    figures = {
        "traps": traps, "cases": cases, "refused": refused, "round_trips": made, "onnx_difference": largest,
        "by_kind": {kind: c.total() for kind, c in sorted(ends.items())},
    }  # fmt: skip
    finish("check-checkpoint", figures, targets, full)


if __name__ == "__main__":
    main()
