"""Which modules a config needs, and which of them are not installed. Modules are looked up, never imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from voxmill.operators.label.merge import active_labellers
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.extras import pip_install, what_to_install
from voxmill.pipeline.preflight.issues import Issue, error, warning

DETECTORS: dict[str, tuple[str, ...]] = {
    "silero": ("onnxruntime",),
    "pyannote": ("pyannote.audio", "torch"),
    "fsmn": ("funasr", "torch"),
}
STORES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", **dict.fromkeys(("az", "abfs", "abfss"), "adlfs")}
"""The module that fsspec loads for a protocol."""


def needs(config: RunConfig, kind: str, root: str | None = None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(what needs it, modules) for everything that a run of this config imports, on an executor of this kind, into this root."""
    yield f"segment.engine {config.segment.engine}", DETECTORS[config.segment.engine]
    for engine in config.transcribe:
        yield f"engine {engine.name}", engine.modules
    for labeller in active_labellers(config.label, config.labels):
        yield f"labeller {labeller.name}", labeller.modules
    yield "reconcile", ("wetext", "whisper_normalizer")
    if config.duplicates is not None and "acoustic" in config.duplicates.by:
        yield "duplicates.by acoustic", ("chromaprint",)
    if config.redact is not None:
        yield "redact", ("presidio_analyzer", "spacy")
    if kind == "ray":
        yield "executor ray", ("ray",)
    places = {f"source {s.name}": address for s in config.sources for address in s.addresses} | (
        {"--out": root} if root else {}
    )
    for what, address in places.items():
        if (store := address.partition("://")[0].lower() if "://" in address else "") in STORES:
            yield what, (STORES[store],)


def missing(config: RunConfig, kind: str, root: str | None = None, *, joined: bool = False) -> Iterator[Issue]:
    """Everything that is not installed, as one issue with the one command that installs it.

    With `joined` the engines run on a cluster, whose machines may have it: then it is only a warning.
    """
    lacking: dict[str, list[str]] = {}
    extras, packages = dict[str, None](), dict[str, None]()
    for what, modules in needs(config, kind, root):
        absent = [module for module in modules if not installed(module)]
        for module in absent:
            lacking.setdefault(module, []).append(what)
        if absent:
            for found, more in zip((extras, packages), what_to_install(modules), strict=True):
                found.update(dict.fromkeys(more))
    if lacking:
        named = "; ".join(f"{module} (for {', '.join(dict.fromkeys(whats))})" for module, whats in lacking.items())
        fix = pip_install(extras, packages)
        if "ray" in lacking:
            fix += ", or run without Ray: --executor local"
        cause = "is not installed" if len(lacking) == 1 else "are not installed"
        if joined and "ray" not in lacking:
            yield warning(named, f"{cause} here", f"where the cluster's machines lack it too, {fix}")
        else:
            yield error(named, cause, fix, external=True)
    yield from _broken(config, lacking)
    pages = [s.name for s in config.sources if s.is_web and s.kind in ("auto", "page", "playlist")]
    if pages and not installed("yt_dlp"):
        cause = "is not installed, so pages without plain links to media give nothing"
        yield warning("yt_dlp", cause, pip_install(*what_to_install(["yt_dlp"])))


def _broken(config: RunConfig, lacking: dict[str, list[str]]) -> Iterator[Issue]:
    """Chromaprint is a C library behind a Python module: whether it is there is known only after the import."""
    if config.duplicates is not None and "acoustic" in config.duplicates.by and "chromaprint" not in lacking:
        try:
            import_module("chromaprint")
        except ImportError as cause:
            fix = "install it (Debian: libchromaprint1, macOS: chromaprint), or set duplicates.by to [text]"
            yield error("the library Chromaprint", f"is not here ({cause})", fix, external=True)


def can_open(uri: str) -> bool:
    """Whether the package that fsspec needs to open this address is installed; true for local paths and unknown protocols."""
    module = STORES.get(uri.partition("://")[0].lower()) if "://" in uri else None
    return module is None or installed(module)


def installed(module: str) -> bool:
    """Whether a module could be imported; it is not imported."""
    """Whether a module could be imported; it is not imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is not there, or is no package
        return False
