"""A run is a directory or bucket prefix, and nothing else holds state: no server, no job database."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from voxmill.manifests.commit import commit_bytes, locate
from voxmill.manifests.schema import SCHEMA_VERSION, check_version


class RunError(Exception):
    """The run cannot be opened or continued; the message names the cause and the fix."""


@dataclass(frozen=True, slots=True)
class Run:
    """Names of everything inside a run. `root` is a local path or an fsspec URL."""

    root: str

    def uri(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    @property
    def audio_dir(self) -> str:
        return self.uri("audio")

    @property
    def frames_dir(self) -> str:
        return self.uri("frames")

    @property
    def shards_dir(self) -> str:
        return self.uri("shards")

    @property
    def is_local(self) -> bool:
        return "://" not in self.root or self.root.startswith("file://")

    def absolute(self) -> Run:
        """The same run under a name that holds in every working directory."""
        return self if "://" in self.root else Run(os.path.abspath(self.root))

    def exists(self) -> bool:
        return exists(self.uri("run.json"))

    def load(self) -> dict[str, Any]:
        """The contents of run.json. Raises RunError where there is no run, SchemaError where a newer voxmill wrote it."""
        try:
            state: dict[str, Any] = json.loads(read_bytes(self.uri("run.json")))
        except FileNotFoundError:
            raise RunError(
                f"no run at {self.root} (run.json is missing): start one with `voxmill run --config … --out {self.root}`"
            ) from None
        except json.JSONDecodeError as error:
            raise RunError(f"{self.uri('run.json')} is not valid JSON ({error}): restore it, or start a new run") from error
        check_version(int(state.get("schema_version", 0)), self.uri("run.json"))
        return state

    def save(self, state: dict[str, Any]) -> None:
        state = {"schema_version": SCHEMA_VERSION, **state}
        commit_bytes(
            self.uri("run.json"), json.dumps(state, indent=1, sort_keys=True, ensure_ascii=False).encode(), replace=True
        )


def exists(uri: str) -> bool:
    fs, path = locate(uri)
    return bool(fs.exists(path))


def read_bytes(uri: str) -> bytes:
    fs, path = locate(uri)
    blob: bytes = fs.cat_file(path)
    return blob


def names_in(uri: str) -> set[str]:
    """Names of the entries of a folder; empty where there is none. Always asks the store, never a cache."""
    fs, path = locate(uri)
    try:
        return {str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False)}
    except FileNotFoundError:
        return set()
