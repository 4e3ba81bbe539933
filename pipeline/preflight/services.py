"""Whether what a recognition service needs is set on this machine. Nothing is asked of the service."""

from __future__ import annotations

import os
from collections.abc import Iterator

from voxmill.operators.transcribe.openai import OpenAiConfig
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight.issues import Issue, error, warning


def unset_keys(config: RunConfig, *, joined: bool = False) -> Iterator[Issue]:
    """One issue for each engine whose key is not in the environment. With `joined` its worker runs on a cluster, which may have it."""
    for engine in config.transcribe:
        if isinstance(engine, OpenAiConfig) and engine.key_variable and not os.environ.get(engine.key_variable, "").strip():
            what = f"engine {engine.name}, key_variable: {engine.key_variable}"
            if joined:
                yield warning(what, "is not set in the environment here", "set it on every machine of the cluster")
            else:
                yield error(what, "is not set in the environment", f"export {engine.key_variable}=…", external=True)
