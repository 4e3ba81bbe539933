"""What loading one engine alone costs a fresh process: run as `python engine_load.py NAME FOLDER [MODULE…]`.

Each MODULE is imported first: so an engine is loaded as it was when it imported all of its package. FOLDER holds the tiny models of
`tiny_funasr.py`. The one line that is printed is JSON: CPU seconds and memory of the process so far, the modules in it, and a digest of
what the engine then makes of a reading of 44 s, word by word.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])
os.environ["OMP_NUM_THREADS"] = "1"


def whisper(kind: str, **changes: Any) -> Any:
    from voxmill.operators.transcribe.faster_whisper import FasterWhisperConfig
    from voxmill.operators.transcribe.transcribe import load
    from voxmill.operators.transcribe.whisperx import WhisperXConfig

    return load(WhisperXConfig(**changes) if kind == "whisperx" else FasterWhisperConfig(**changes))


def funasr(module: str, name: str, folder: Path) -> Any:
    found = import_module(f"voxmill.operators.transcribe.{module}")
    return getattr(found, name)(getattr(found, f"{name}Config")(model=str(folder)))


def other(module: str, name: str, *arguments: Any) -> Any:
    found = import_module(f"voxmill.operators.{module}")
    return getattr(found, name)(*(arguments or [getattr(found, f"{name}Config")()]))


def labeller(module: str, name: str, **changes: Any) -> Any:
    found = import_module(f"voxmill.operators.label.{module}")
    return getattr(found, name)(getattr(found, f"{name}Config")(**changes))


def engines(tiny: Path) -> dict[str, Callable[[], Any]]:
    """How to load each engine; recognisers by the name of their kind."""
    return {
        "nothing": lambda: import_module("voxmill.pipeline.execution.worker"),
        "whisperx": partial(whisper, "whisperx"),
        "whisperx, greedy": partial(whisper, "whisperx", beam_size=1, batch_size=8, languages=("en",)),
        "whisperx, one window a span": partial(whisper, "whisperx", packed=False, batch_size=16),
        "faster-whisper": partial(whisper, "faster-whisper"),
        "moonshine": partial(other, "transcribe.moonshine", "Moonshine"),
        "pocketsphinx": partial(other, "transcribe.pocketsphinx", "PocketSphinx"),
        "paraformer": partial(funasr, "paraformer", "Paraformer", tiny / "paraformer"),
        "paraformer-seaco": partial(funasr, "paraformer", "Paraformer", tiny / "seaco"),
        "sensevoice": partial(funasr, "sensevoice", "SenseVoice", tiny / "sensevoice"),
        "silero": partial(other, "segment.silero", "Silero", "silero-vad"),
        "pyannote": partial(other, "segment.pyannote", "Pyannote", "pyannote-segmentation"),
        "fsmn-vad": partial(other, "segment.fsmn", "Fsmn", str(tiny / "fsmn-vad")),
        "dnsmos": partial(labeller, "dnsmos", "Dnsmos"),
        "speaker_turns": partial(labeller, "speaker_turns", "SpeakerTurns"),
        "text_language": partial(labeller, "text_language", "TextLanguage"),
    }


def heard(engine: Any) -> str:
    """Digest of what an engine hears in the reading, every word with its times and confidence; empty for labellers."""
    import numpy as np

    from speech.packaged import TWO_CITIES, TWO_CITIES_SAID
    from voxmill.operators.contract.adapters import AudioClip, Span

    audio = (TWO_CITIES.samples() / 32768).astype(np.float32)
    if hasattr(engine, "transcribe"):
        spans = tuple(Span(round(start * 16_000), round(end * 16_000)) for start, end, _ in TWO_CITIES_SAID)
        found = repr(engine.transcribe([AudioClip(audio, spans), AudioClip(audio, spans[:2], "fr")]))
    elif hasattr(engine, "probabilities"):
        found = engine.probabilities([audio]).tobytes().hex()
    else:
        return ""
    return hashlib.sha256(found.encode()).hexdigest()[:16]


def memory(field: str) -> float:
    """A field of the process's status (MB): `VmRSS` or `VmHWM`."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{field}:\s+(\d+) kB", status)[0]) * 1024 / 1e6


def main() -> None:
    name, folder, *first = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for module in first:
        import_module(module)
    engine = engines(Path(folder))[name]()
    spent = os.times()
    figures: dict[str, Any] = {
        "cpu_s": round(spent.user + spent.system, 2),
        "rss_mb": round(memory("VmRSS")),
        "peak_mb": round(memory("VmHWM")),
        "modules": len(sys.modules),
        "heavy": sorted(
            {"torch", "transformers", "pandas", "pyannote", "lightning", "librosa", "sklearn", "ray"} & set(sys.modules)
        ),
    }
    print(json.dumps({**figures, "heard": heard(engine)}))


if __name__ == "__main__":
    main()
