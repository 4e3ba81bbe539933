"""A crawl worker in a process of its own: fetches its items through the gate of another process, and prints what came of them."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from voxmill.manifests.ids import item_id
from voxmill.manifests.records import Item, Licence, Provenance
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.crawl import Crawl


def listed(url: str) -> Item:
    """An item as a listing has it."""
    return Item(item_id(url), Provenance("src", url, host="h"), Licence(), "http")


def main(task: Path) -> None:
    """`task` holds a pickled config, folder, handle and addresses."""
    config, folder, gate, urls = pickle.loads(task.read_bytes())
    rows = Crawl(config, folder, gate)(UnitInput("u", items=tuple(map(listed, urls))))
    print(json.dumps([[row.provenance.url, row.rejection.reason if row.rejection else "kept"] for row in rows]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
