"""What was committed is there after a power cut, in folders that were new as well."""

from __future__ import annotations

from pathlib import Path

from crash.unsynced import SyncedDisk
from voxmill.manifests.storage import commit_bytes, remove


def test_commits_and_removals_outlive_a_power_cut(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    disk = SyncedDisk(root, tmp_path / "hoard")
    with disk.watching():
        commit_bytes(root / "run" / "ledger" / "kept", b"once")
        commit_bytes(root / "run" / "other" / "changed", b"first")
        commit_bytes(root / "run" / "other" / "changed", b"second", replace=True)
        commit_bytes(root / "run" / "other" / "gone", b"x")
        remove(root / "run" / "other" / "gone")
        (root / "run" / "unsynced").write_bytes(b"x")
        disk.image(tmp_path / "after")
    after = tmp_path / "after"
    files = [p for p in after.rglob("[!.]*") if p.is_file()]  # a temporary name may stay, and is swept
    assert {str(p.relative_to(after)): p.read_bytes() for p in files} == {
        "run/ledger/kept": b"once",
        "run/other/changed": b"second",
    }
