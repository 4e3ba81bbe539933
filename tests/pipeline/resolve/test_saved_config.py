"""The config that a run keeps for its user to edit, and its secrets, which lie apart from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from voxmill.pipeline.resolve.saved_config import keep, read
from voxmill.pipeline.state.run import Run

SECRET = "Sup3rS3cretValue99"


@pytest.mark.parametrize(
    "text",
    [
        "# for http://me:{s}@a.net/\nsources:\n- name: a\n  url: http://a.net/feed?key={s}&n=1  # mine\nselect: {{high: 0.9}}\n",
        "sources: [{{name: a, url: 'http://me:{s}@a.net/it''s?n=1'}}]\n",
        'sources:\n- {{name: a, url: "http://a.net/feed?\\x6bey={s}"}}\n',
        "sources:\n- name: a\n  urls:\n  - >-\n    http://a.net/?token={s}\n  - http://a.net/?token={s}2\n",
    ],
)
def test_what_is_kept_is_public_and_what_is_read_is_whole(text: str, tmp_path: Path) -> None:
    run, text = Run(str(tmp_path)), text.format(s=SECRET)
    keep(run, text)
    kept = (tmp_path / "config.yaml").read_text()
    assert SECRET not in kept
    assert read(str(tmp_path)) == (yaml.safe_load(text), False)
    if "# mine" in text:
        assert "# mine\nselect: {high: 0.9}" in kept  # every other byte stays


def test_a_secret_that_somebody_wrote_into_it_is_noticed(tmp_path: Path) -> None:
    keep(Run(str(tmp_path)), f"sources: [{{name: a, url: 'http://a.net/?key={SECRET}'}}]\n")
    (tmp_path / "config.yaml").write_text(f"sources: [{{name: a, url: 'http://b.net/?key={SECRET}2'}}]\n")
    assert read(str(tmp_path)) == ({"sources": [{"name": "a", "url": f"http://b.net/?key={SECRET}2"}]}, True)
