"""Shares and effects against data whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxmill.manifests.catalog import open_catalog, query
from voxmill.pipeline.reports.retention import Retention, classes, effects, plot, retention, shares

from ...manifests.factory import made_up_run  # type: ignore[import-not-found]  # tests are no package to mypy

Data = dict[str, Any]


@pytest.fixture(scope="module")
def data() -> Data:
    """400 recordings of 5 segments. Noise costs 40 points of what is kept, language nothing; but most noise is in Spanish."""
    rng = np.random.default_rng(1)
    recordings = np.repeat(np.array([f"r{k:03d}" for k in range(400)]), 5)
    spanish = np.repeat(rng.random(400) < 0.5, 5)
    noisy = np.repeat(rng.random(400), 5) < np.where(spanish, 0.7, 0.2)
    kept = rng.random(2000) < np.where(noisy, 0.45, 0.85)
    language, quality = np.where(spanish, "es", "en"), np.where(noisy, "noisy", "clean")
    return {"recordings": recordings, "language": language, "quality": quality, "kept": kept}


def test_a_share_is_of_hours_and_has_its_interval(data: Data) -> None:
    seconds = np.where(data["kept"], 3.0, 1.0)
    clean, noisy = sorted(shares("quality", data["quality"], data["recordings"], seconds, data["kept"]), key=lambda s: s.value)
    mine = data["quality"] == "clean"
    assert clean.kept == pytest.approx((seconds * data["kept"])[mine].sum() / seconds[mine].sum())
    assert clean.low < clean.kept < clean.high < 1
    assert noisy.high < clean.low
    assert clean.hours * 3600 == pytest.approx(seconds[mine].sum())


def test_an_effect_is_of_one_property_while_the_others_stay(data: Data) -> None:
    plain = {v: data["kept"][data["language"] == v].mean() for v in ("en", "es")}
    assert plain["en"] - plain["es"] > 0.1  # what the plain shares would blame on the language
    found, model = effects({k: data[k] for k in ("language", "quality")}, data["recordings"], data["kept"])
    by_factor = {e.factor: e for e in found}
    assert model.startswith("logistic")
    assert by_factor["language"].low < 0 < by_factor["language"].high
    noise = by_factor["quality"]
    sign = 1 if noise.value == "noisy" else -1
    assert noise.low < sign * -0.4 < noise.high


def test_a_class_that_is_kept_wholly_has_an_answer_too(data: Data) -> None:
    kept = data["kept"] | (data["quality"] == "clean")
    found, model = effects({"quality": data["quality"]}, data["recordings"], kept)
    assert model.startswith("linear probability model")
    assert abs(found[0].change) == pytest.approx(1 - kept[data["quality"] == "noisy"].mean())


def test_too_little_to_tell(data: Data) -> None:
    found, model = effects({}, data["recordings"], data["kept"])
    assert (found, model[:8]) == ([], "no model")
    assert effects({"quality": data["quality"]}, data["recordings"], np.ones(2000, bool))[0] == []


def test_rare_classes_are_put_together() -> None:
    found = classes(["en"] * 30 + ["es"] * 25 + ["fr"] * 3 + ["it"] * 2 + [None] * 22)
    assert set(found) == {"en", "es", "other", "unknown"}
    assert set(classes(["en"] * 30 + ["fr"] * 2)) == {"en", "fr"}  # one class alone keeps its name


def test_the_bars_are_drawn(data: Data, tmp_path: Path) -> None:
    seconds = np.ones(2000)
    found = Retention(shares=shares("quality", data["quality"], data["recordings"], seconds, data["kept"]))
    found.effects, found.model = effects({"quality": data["quality"]}, data["recordings"], data["kept"])
    plot(found, str(tmp_path / "bars.png"))
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_a_large_run_is_sampled_by_whole_recordings(tmp_path: Path) -> None:
    root = str(made_up_run(seed=5, recordings=60).write(tmp_path / "run"))
    rows = query(open_catalog(root, "factors"), "SELECT recording_id, count(*) AS n FROM factors GROUP BY 1").to_pylist()
    total = sum(row["n"] for row in rows)
    sample = retention(root, ("language",), most=total // 3)
    assert 0.15 < sample.sampled < 0.55
    assert 0 < sample.recordings < len(rows)
    read = sum(share.segments for share in sample.shares)
    assert read == round(sample.sampled * total)
    whole = retention(root, ("language",))
    assert (whole.sampled, whole.recordings) == (1.0, len(rows))
