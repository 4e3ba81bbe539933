"""Which product files one recording enters, from its address to shards and tables.

    python tests/benchmarks/entered.py [--list [--functions]]

Serves 44 s of read English on this machine, and runs `run_line` on it in this process with the recipe `light`: silero in ONNX Runtime, Whisper
in CTranslate2, Moonshine in ONNX Runtime. A file counts as entered when a function of it is called; the body of a module, which every
import runs, does not count, nor do functions that are called while a module is imported. Processes that the run starts are not looked
into, but counted. The last line of what is printed is JSON.
"""

from __future__ import annotations

import inspect
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml

from house import FOLDERS, ROOT
from speech.packaged import TWO_CITIES
from website import Answer, Website


@dataclass
class Entered:
    """`calls` counts calls by product file (relative to the repository) and function; `processes` the programs started beside."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    processes: list[str] = field(default_factory=list)

    def files(self) -> dict[str, int]:
        """Calls by file, in the order of names."""
        counts: Counter[str] = Counter()
        for (file, _), count in self.calls.items():
            counts[file] += count
        return dict(sorted(counts.items()))


@cache
def product_file(code: CodeType) -> str | None:
    """The file of the product in which a function is written, relative to the repository; None for modules, class bodies and other code."""
    if not code.co_flags & inspect.CO_OPTIMIZED:
        return None
    path = Path(code.co_filename).resolve()
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in FOLDERS:
        return None
    return path.relative_to(ROOT).as_posix()


@contextmanager
def tracing(entered: Entered) -> Iterator[None]:
    """Counts calls of product functions in this thread and in threads that start meanwhile."""
    importing = threading.local()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        if code.co_name == "<module>":
            importing.depth = getattr(importing, "depth", 0) + (1 if event == "call" else -1)
        elif event == "call" and not getattr(importing, "depth", 0) and (file := product_file(code)):
            entered.calls[file, getattr(code, "co_qualname", code.co_name)] += 1

    def started(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and watching:
            entered.processes.append(" ".join(map(str, arguments[1])) if not isinstance(arguments[1], str) else arguments[1])

    watching = [True]
    sys.addaudithook(started)
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        watching.clear()


def run_one(folder: Path) -> tuple[Entered, list[dict[str, Any]]]:
    """Runs the recording to shards under `folder`; the documents of its samples as well, to show that the run was a whole one."""
    from voxmill.pipeline.execution.host_limit_server import open_gate
    from voxmill.pipeline.execution.local_executor import LocalExecutor
    from voxmill.pipeline.load_config import dump_config, load_config, parse_config
    from voxmill.pipeline.runner import run_line
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.terminal.progress import Progress
    from voxmill.sharding.reader import read_run

    entered = Entered()
    recording = Answer(TWO_CITIES.path.read_bytes(), headers={"Content-Type": "audio/wav"})
    with Website({"/two-cities.wav": recording}) as site:
        settings = yaml.safe_load(dump_config(load_config("light")))
        settings["sources"] = [{"name": "reading", "url": f"{site.url}/two-cities.wav", "language": "en", "licence": "cc0-1.0"}]
        settings["crawl"] |= {"contact": "tests@example.org", "allow_private": [site.host]}
        config, run, executor = parse_config(settings), Run(str(folder / "run")), LocalExecutor(in_process=True)
        with tracing(entered), open_gate("machine", run, config.crawl) as gate:
            run_line(config, run, executor, gate, Progress(quiet=True))
    assert entered.calls, f"the voxmill that is imported is not the one of {ROOT}"
    return entered, [sample.document for sample in read_run(run.shards_dir)]


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        entered, documents = run_one(Path(folder))
    files = entered.files()
    functions = Counter(file for file, _ in entered.calls)
    if "--list" in arguments:
        for room, names in groupby(files, key=lambda name: name.rpartition("/")[0]):
            print(room)
            for name in names:
                print(f"  {name.rpartition('/')[2]:32} {functions[name]:4} functions {files[name]:8} calls")
                if "--functions" in arguments:
                    called = ((function, count) for (file, function), count in sorted(entered.calls.items()) if file == name)
                    print("".join(f"      {function} {count}\n" for function, count in called), end="")
        for process in entered.processes:
            print(f"process: {process}")
    text = " ".join(document["text"] for document in documents)
    line = {
        "files": len(files),
        "functions": len(entered.calls),
        "samples": len(documents),
        "processes": len(entered.processes),
        "heard": "best of times" in text.lower(),
    }
    print(json.dumps(line))
    return 0 if line["heard"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
