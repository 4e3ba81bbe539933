"""A plan's sample is nobody else's state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from voxmill.manifests.records import Item
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.reports import estimate as plan
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError


def config(folder: Path) -> RunConfig:
    for name in ("a", "b", "c", "d"):
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    return parse_config(
        {
            "sources": [{"name": "files", "path": str(folder)}],
            "crawl": {"contact": "tests@example.org"},
            "transcribe": [{"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}],
        }
    )


@pytest.fixture
def only_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans list their sample and run no stage."""

    def listed(settings: RunConfig, run: Run, *_: Any, expand: Callable[[SourceConfig], list[Item]], **__: Any) -> None:
        run.listing.extend(settings.sources, expand)
        run.save({"config": settings.model_dump(mode="json")})

    monkeypatch.setattr(plan, "run_line", listed)
    monkeypatch.setattr(plan, "_tried", lambda run: [])


@pytest.mark.usefixtures("only_listed")
def test_a_run_in_the_folder_of_a_plan_knows_nothing_of_its_sample(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    settings, root = config(tmp_path / "in"), str(tmp_path / "run")
    plan.predict(settings, 2, root, Console(quiet=True))
    assert len(Run(f"{root}/plan").listing.items()) == 2
    assert not Run(root).exists()
    assert Run(root).listing.num_generations() == 0


@pytest.mark.usefixtures("only_listed")
def test_a_second_sample_is_not_mixed_with_the_first(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    settings, root = config(tmp_path / "in"), str(tmp_path / "run")
    Run(root).save({})  # planning beside a run does it no harm
    plan.predict(settings, 1, root, Console(quiet=True))
    with pytest.raises(RunError, match="earlier plan"):
        plan.predict(settings, 2, root, Console(quiet=True))
