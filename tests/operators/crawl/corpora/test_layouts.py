"""Every layout, written by its own project's writers: voxmill finds the same utterances, as long, and the same samples of audio."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from corpus_layouts import FORMS, RATE, Clip
from samples import read_audio, several
from voxmill.manifests.records import Item, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.corpora.layout_table import BY_KIND, told_kind
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.local_gate import LocalGate
from voxmill.operators.decode.audio import Playback, read
from voxmill.operators.decode.probe import Decode, DecodeConfig
from voxmill.sharding.exports.data_export import export_data
from voxmill.sharding.exports.export_plan import ExportChoice
from voxmill.sharding.exports.format_table import FORMATS
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.sample import Sample
from voxmill.sharding.writer import pack_shard

Fetch = Callable[[SourceConfig], tuple[list[Item], list[Recording]]]


@pytest.fixture(scope="module")
def clips() -> Sequence[Clip]:
    """Tones over noise, which no step may take for silence, an offset or a level to be mended."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(7):
        time = np.arange(RATE * 3 + 1237 * number) / RATE
        sound = 0.3 * np.sin(2 * np.pi * (300 + 40 * number) * time) + rng.normal(0, 0.02, len(time))
        made.append(Clip(f"clip{number}", f"spk{number % 2}", f"This is number {number}, “quoted”.", sound.astype(np.float32)))
    return made


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    def run(source: SourceConfig) -> tuple[list[Item], list[Recording]]:
        config = CrawlConfig()
        gate = LocalGate(config)
        items = Lister(config, gate)(source)
        fetched = Crawl(config, str(tmp_path / "audio"), gate)(UnitInput("u", items=tuple(items)))
        decode = Decode(DecodeConfig())
        here = [r if r.audio is None or r.audio.startswith("/") else _at(r, tmp_path) for r in fetched]
        return items, decode(UnitInput("u", recordings=tuple(here)))

    return run


def _at(recording: Recording, root: Path) -> Recording:
    return replace(recording, audio=str(root / str(recording.audio)))


@pytest.mark.parametrize("name", FORMS)
def test_utterances_and_audio_are_those_of_its_own_reader(
    name: str, clips: Sequence[Clip], fetch: Fetch, tmp_path: Path
) -> None:
    form, folder = FORMS[name], tmp_path / "corpus"
    try:
        form.write(clips, folder)
        theirs = sorted(form.read(folder))
    except (ImportError, OSError) as error:
        pytest.skip(f"its own project's code is not here: {error}")
    told = told_kind(str(folder))
    assert told is not None
    assert told.kind == form.kind
    items, recordings = fetch(SourceConfig(name="corpus", path=str(folder)))
    assert [item.rejection for item in items] == [None] * len(items)
    spans = [(recording, span) for recording in recordings for span in recording.given or ()]
    assert all(recording.rejection is None for recording in recordings)
    assert all(span.rejection is None for _, span in spans)
    ours = sorted((span.text, (span.num_samples or 0) / RATE) for _, span in spans)
    assert [text for text, _ in ours] == [one.text for one in theirs]
    assert [seconds for _, seconds in ours] == pytest.approx([one.seconds for one in theirs], abs=1.01 / RATE)
    if name != "nemo":  # whose lines are halves of a clip
        by_text = {clip.text: clip.audio for clip in clips}
        for recording, span in spans:
            heard = read(Playback.of(recording), span.start, span.num_samples or 0)
            likeness = np.corrcoef(heard, by_text[str(span.text)])[0, 1]
            assert likeness > 0.9999


def test_every_kind_of_source_has_a_layout() -> None:
    assert set(BY_KIND) == {form.kind for form in FORMS.values()}


EXPORTS = {"hf": "hf", "hf-webdataset": "webdataset", "nemo": "nemo", "nemo-files": "nemo", "lhotse": "lhotse", "lhotse-files": "lhotse", "kaldi": "kaldi"}  # fmt: skip
"""Exports of a run, and the kinds of sources that they are."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Sample]]:
    made = {one.key: one for one in [*several(4, 2), *several(2, 2, licence="cc0-1.0")]}
    root = str(tmp_path_factory.mktemp("packed") / "shards")
    for plan in plan_shards((one.entry for one in made.values()), 2, 60_000):
        pack_shard(plan, made.values(), read_audio, root)
    return root, made


@pytest.mark.parametrize("name", EXPORTS)
def test_what_export_data_wrote_is_a_source(
    name: str, shards: tuple[str, dict[str, Sample]], fetch: Fetch, tmp_path: Path
) -> None:
    """Round trip: a folder for each licence and split, below the one that is named."""
    root, made = shards
    export_data(root, str(tmp_path / "export"), FORMATS[name], ExportChoice())
    items, recordings = fetch(SourceConfig(name="again", path=str(tmp_path / "export"), kind=EXPORTS[name]))  # type: ignore[arg-type]
    assert [item.rejection for item in items] == [None] * len(items)
    heard = [(span.text, span.num_samples) for recording in recordings for span in recording.given or ()]
    assert sorted(heard) == sorted((one.text, one.segment.num_samples) for one in made.values())
    if name != "kaldi":  # which has no place for it
        assert {item.language for item in items} == {"zh"}


def test_only_what_is_named_is_taken_for_a_corpus(clips: Sequence[Clip], tmp_path: Path) -> None:
    """A folder of talks with a corpus in it is a folder of talks."""
    FORMS["kaldi"].write(clips, tmp_path / "talks" / "old" / "kaldi")
    (tmp_path / "talks" / "a.wav").write_bytes(b"RIFF")
    assert told_kind(str(tmp_path / "talks")) is None
    told = told_kind(str(tmp_path / "talks" / "old" / "kaldi"))
    assert told is not None
    assert told.kind == "kaldi"
    assert told_kind(str(tmp_path / "nosuch")) is None


@pytest.mark.parametrize("name", ["webdataset", "nemo, tarred", "hf, Parquet", "lhotse, Shar", "librispeech", "common-voice"])
def test_a_corpus_in_a_store_is_read_where_it_is(name: str, clips: Sequence[Clip], fetch: Fetch, tmp_path: Path) -> None:
    store = f"memory://corpora-{uuid.uuid4().hex}"
    FORMS[name].write(clips, tmp_path / "corpus")
    fsspec.filesystem("memory").put(f"{tmp_path / 'corpus'}/", store, recursive=True)
    items, recordings = fetch(SourceConfig(name="corpus", url=store))
    assert [item.rejection for item in items] == [None] * len(clips)
    assert {item.provenance.host for item in items} == {store.split("/")[2]}
    found = sorted((span.text, span.num_samples) for recording in recordings for span in recording.given or ())
    assert found == sorted((clip.text, len(clip.audio)) for clip in clips)
