"""The whole addresses of a run, secrets included, kept apart from everything that is handed on: `RUN/private/`.

    private/list/<source>.json    of what a source listed
    private/items/<group>.json    of a group of items to be fetched
    private/config.json           what the public config in run.json leaves out

Only texts that differ from their public form are there. On a disk the folder has mode 0700 and its files 0600; in a bucket,
restrict the prefix `private/` by a policy of your own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.errors import UserError
from voxmill.manifests.public_form import public_item
from voxmill.manifests.records import Item
from voxmill.manifests.storage import commit_bytes, locate, make_folder, remove
from voxmill.manifests.user_input import json_object

FOLDER = "private"


@dataclass(frozen=True, slots=True)
class PrivateAddresses:
    """The private texts under the folder `root`. A run without secrets has no such files."""

    root: str

    def keep(self, name: str, items: Iterable[Item], known: Iterable[str] = ()) -> list[Item]:
        """The items in public form; whole addresses that differ from it are first written under `name`."""
        known, whole = tuple(known), list(items)
        public = [public_item(item, known) for item in whole]
        pairs = zip(whole, public, strict=True)
        self.write(name, {w.id: w.provenance.url for w, p in pairs if w.provenance.url != p.provenance.url})
        return public

    def whole(self, name: str, items: Sequence[Item]) -> list[Item]:
        """The items with their whole addresses put back."""
        addresses = self.read(name)
        return [
            replace(item, provenance=replace(item.provenance, url=addresses[item.id])) if item.id in addresses else item
            for item in items
        ]

    def read(self, name: str) -> dict[str, str]:
        """What is kept under `name`, by item id; empty where nothing is. Raises UserError where the file is damaged."""
        fs, path = locate(self._uri(name))
        try:
            blob: bytes = fs.cat_file(path)
        except FileNotFoundError:
            return {}
        fix = "without it its items are fetched without their secrets: delete it, or restore it"
        return {str(key): str(text) for key, text in json_object(blob, self._uri(name), fix, UserError).items()}

    def write(self, name: str, texts: Mapping[str, str]) -> bool:
        """Replaces what is kept under `name`; no texts means no file. Returns whether anything changed."""
        if self.read(name) == texts:
            return False
        uri = self._uri(name)
        if not texts:
            return remove(uri)
        fs, path = locate(uri)
        if isinstance(fs, LocalFileSystem):
            folder, top = Path(path).parent, Path(locate(self.root)[1])
            make_folder(folder)
            for one in {top, folder}:
                os.chmod(one, 0o700)
        return commit_bytes(uri, json.dumps(texts, sort_keys=True, indent=0).encode(), replace=True, mode=0o600)

    def names(self, kind: str) -> list[str]:
        """Names of what is kept of one kind, `list` or `items`."""
        fs, path = locate(f"{self.root}/{kind}")
        try:
            found = [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False)]
        except FileNotFoundError:
            return []
        return sorted(f"{kind}/{name[:-5]}" for name in found if name.endswith(".json") and not name.startswith("."))

    def _uri(self, name: str) -> str:
        return f"{self.root}/{name}.json"
