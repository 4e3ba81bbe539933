"""A run is a directory or bucket prefix, and nothing else holds state: no server, no job database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import Self

from voxmill.manifests.errors import UserError
from voxmill.manifests.schema import SCHEMA_VERSION, check_version
from voxmill.manifests.storage import commit_bytes, exists, locate, names_in, read_bytes, sweep
from voxmill.manifests.user_input import json_object
from voxmill.operators.crawl.facts.private_addresses import FOLDER, PrivateAddresses
from voxmill.pipeline.state.config_secrets import apart, together


class RunError(UserError):
    """The run cannot be opened or continued; the message names the cause and the fix."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """Names of everything inside a run. `root` is a local path or an fsspec URL."""

    root: str

    def uri(self, *parts: str) -> str:
        """Address of something inside the run."""
        return "/".join([self.root.rstrip("/"), *parts])

    @property
    def audio_dir(self) -> str:
        """Folder of the fetched originals."""
        return self.uri("audio")

    @property
    def frames_dir(self) -> str:
        """Folder of video frames."""
        return self.uri("frames")

    @property
    def shards_dir(self) -> str:
        """Folder of the shards."""
        return self.uri("shards")

    @property
    def private(self) -> PrivateAddresses:
        """What is needed to fetch again and may not be handed on."""
        return PrivateAddresses(self.uri(FOLDER))

    @property
    def is_local(self) -> bool:
        """Whether the run lies on a disk of this machine, not in an object store."""
        return "://" not in self.root or self.root.startswith("file://")

    def absolute(self) -> Self:
        """The same run under a name that holds in every working directory."""
        return self if "://" in self.root else replace(self, root=os.path.abspath(self.root))

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return exists(self.uri("run.json"))

    def load(self) -> dict[str, Any]:
        """The contents of run.json, with the secrets of its config.

        Raises RunError where there is no run, SchemaError where a newer voxmill wrote it.
        """
        state = read_state(self.root)
        with suppress(PermissionError):  # who may not see the secrets may see the rest
            state = together(state, self.private.read("config"))
        return state

    def written(self) -> dict[str, Any]:
        """`load`, for whoever goes on with the run: it has a config, and a number of buckets. Raises RunError where it has not."""
        state = self.load()
        unknown = [key for key, kind in (("config", dict), ("buckets", int)) if not isinstance(state.get(key), kind)]
        if unknown:
            where = self.uri("run.json")
            raise RunError(f"{where} is not what voxmill writes: it has no {' and no '.join(unknown)}; {RESTORE}")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Writes run.json without the secrets of the config, which `load` puts in again where they are still there."""
        state, secrets = apart({"schema_version": SCHEMA_VERSION, **state})
        self.private.write("config", secrets)
        commit_bytes(
            self.uri("run.json"), json.dumps(state, indent=1, sort_keys=True, ensure_ascii=False).encode(), replace=True
        )

    def files(self, *folder: str) -> list[str]:
        """Paths of all files in the run or in one folder of it, relative to the run, sorted; hidden folders included."""
        fs, root = locate(self.root)
        root = root.rstrip("/")
        return sorted(path[len(root) + 1 :] for path in fs.find("/".join([root, *folder])))

    def sweep_staged(self) -> int:
        """Deletes what killed writers left half-written beside ledger, tables and shards, where the run lies on a disk. Returns how many files."""
        if not self.is_local:
            return 0
        below = (folder for name in ("ledger", "manifests", "shards") for folder, _, _ in os.walk(locate(self.uri(name))[1]))
        return sum(map(sweep, (self.root, *below)))


__all__ = ["RESTORE", "RunDir", "RunError", "exists", "names_in", "no_empty_folder", "read_bytes", "read_state"]

RESTORE = "restore it, or start a new run"


def read_state(root: str) -> dict[str, Any]:
    """What run.json holds. Raises RunError where there is no run, SchemaError where a newer voxmill wrote it."""
    uri = RunDir(root).uri("run.json")
    try:
        blob = read_bytes(uri)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(
            f"no run at {root} (run.json is missing): check the path, or start one with `voxmill run SOURCES -o {root}`"
        ) from None
    except IsADirectoryError:
        raise RunError(f"{uri} is a folder: {RESTORE}") from None
    state = json_object(blob, uri, RESTORE, RunError)
    check_version(state.get("schema_version", 0), uri)
    return state


@contextmanager
def no_empty_folder(run: RunDir) -> Iterator[None]:
    """A run that could not begin (a full disk) leaves no folder behind that would look like one."""
    there = not run.is_local or os.path.lexists(run.root)
    try:
        yield
    except BaseException:
        if not there:
            with suppress(OSError):  # it holds something: then it did begin
                os.rmdir(run.root)
        raise
