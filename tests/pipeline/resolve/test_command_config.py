"""A run without YAML: what its sources become, which engines are chosen, and what is written for its user to edit."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from voxmill.manifests.errors import UserError
from voxmill.pipeline.load_config import ConfigError, parse_config
from voxmill.pipeline.resolve import ResolvedConfig, resolve_config
from voxmill.pipeline.resolve.cli_sources import add
from voxmill.pipeline.resolve.config_file import updated_config_text
from voxmill.pipeline.resolve.engine_choice import NoEngine, choose_engines


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with things to hear."""
    for name in (
        "talks/a.wav",
        "talks/deep/b.mp3",
        "more/talks/c.wav",
        "one.wav",
        "two.wav",
        "录音.m4a",
        "urls.txt",
        "feed.xml",
        "no ending",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VOXMILL_CONTACT", raising=False)
    return tmp_path


def started(*inputs: str, root: str = "run", **more: Any) -> ResolvedConfig:
    """As the first command would leave it."""
    asked = resolve_config(inputs, None, root, **more)
    if asked.text is not None:
        Path(root).mkdir(exist_ok=True)
        Path(root, "config.yaml").write_text(asked.text, encoding="utf-8")
    return asked


@pytest.mark.parametrize(
    ("inputs", "sources"),
    [
        (["talks"], [{"name": "talks", "path": "HERE/talks"}]),
        (["talks/", "./talks", "file://HERE/talks"], [{"name": "talks", "path": "HERE/talks"}]),
        (["talks", "more/talks"], [{"name": "talks", "path": "HERE/talks"}, {"name": "talks-2", "path": "HERE/more/talks"}]),
        (["one.wav"], [{"name": "one", "path": "HERE/one.wav"}]),
        (["录音.m4a"], [{"name": "录音", "path": "HERE/录音.m4a"}]),
        (["no ending"], [{"name": "no-ending", "path": "HERE/no ending"}]),
        (["urls.txt", "feed.xml"], [{"name": "urls", "path": "HERE/urls.txt"}, {"name": "feed", "path": "HERE/feed.xml"}]),
        (["s3://bucket/talks/"], [{"name": "bucket-talks", "url": "s3://bucket/talks/"}]),
        (
            ["https://me:secret@radio.test/a/feed.xml?token=1"],
            [{"name": "radio-test-feed", "url": "https://me:secret@radio.test/a/feed.xml?token=1"}],
        ),
    ],
)
def test_inputs_become_sources(inputs: list[str], sources: list[dict[str, Any]], here: Path) -> None:
    inputs = [one.replace("HERE", str(here)) for one in inputs]
    expected = [{k: v.replace("HERE", str(here)) for k, v in source.items()} for source in sources]
    assert add((), inputs, {}) == expected


def test_files_that_are_named_together_are_one_source(here: Path) -> None:
    (source,) = add((), ["one.wav", "two.wav", "one.wav"], {"language": "en"})
    assert source["urls"] == [f"{here}/one.wav", f"{here}/two.wav"]
    assert source["language"] == "en"
    assert len(add([source], ["two.wav", "录音.m4a"], {})) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nosuch", "no file or folder nosuch"),
        ("demo", "the shipped recipe is --config demo"),
        ("*.flac", "nothing matches that pattern"),
        ("radio.test/feed.xml", "begins with https://"),
        ("ftp://radio.test/a.mp3", "cannot be opened"),
        ("memory://x::https://radio.test/a", "cannot be opened"),
        ("https:///a.mp3", "names no host"),
        ("http://[broken/a.mp3", "names no host"),
        ("mine.yaml", "--config mine.yaml"),
    ],
)
def test_an_input_that_is_none_says_what_is_wrong(given: str, said: str, here: Path) -> None:
    (here / "mine.yaml").write_text("{}")
    with pytest.raises(UserError, match=r".*") as refused:
        add((), [given], {})
    assert said in str(refused.value)


def test_english_has_two_engines_from_packages_and_says_why(here: Path) -> None:
    asked = started("talks", language="en-GB", licence="cc-by-4.0")
    assert [e.model for e in asked.config.transcribe] == ["whisper-base", "moonshine-tiny-en"]
    assert asked.config.sources[0].language == "en-GB"
    assert asked.config.select.languages == ("en",)
    said = "\n".join(asked.notes)
    assert "transcribed by whisper-base and moonshine-tiny-en" in said
    assert "voxmill models fetch whisper-large-v3-turbo" in said
    assert asked.saved_as == "run/config.yaml"


def test_where_one_engine_is_alone_that_is_said(here: Path) -> None:
    for language, model in (("de", "whisper-base"), (None, "whisper-base"), ("no", "whisper-base")):
        chosen = choose_engines(language)
        assert [entry["model"] for entry in chosen.transcribe] == [model]
        assert "agreement cannot be measured" in "\n".join(chosen.notes)
        assert parse_config({"sources": [{"name": "a", "path": "."}], "transcribe": chosen.transcribe})
    assert "voxmill models fetch paraformer-zh (about 980 MB)" in "\n".join(choose_engines("zh").notes)


def test_with_its_weights_there_a_recipe_is_taken_whole(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxmill.operators.weights import registry as weights

    monkeypatch.setattr(weights, "is_ready", lambda name, *_: name != "whisper-base")
    assert [e["model"] for e in choose_engines("cmn-Hans").transcribe] == ["whisper-large-v3-turbo", "paraformer-zh"]
    assert "the recipe `mandarin`" in choose_engines("zh").notes[0]
    assert "the recipe `english`" in choose_engines("en").notes[0]
    assert [e["model"] for e in choose_engines("ja").transcribe] == ["whisper-large-v3-turbo", "SenseVoiceSmall"]


def test_the_light_install_hears_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "whisperx", None)  # as Python marks what cannot be imported
    config = resolve_config(["talks"], None, "run", language="de").config
    assert [(e.kind, e.model) for e in config.transcribe] == [("faster-whisper", "whisper-base")]
    assert config.reconcile.prefer["*"] == ("faster-whisper",)
    assert config.reconcile.prefer["zh"] == ("paraformer", "sensevoice")


def test_where_nobody_hears_it_the_way_to_an_engine_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxmill.operators.weights import registry as weights

    monkeypatch.setattr(weights, "is_ready", lambda *_: False)
    with pytest.raises(NoEngine, match=r"voxmill models fetch whisper-large-v3-turbo \(about 1\.6 GB\)") as none:
        resolve_config(["talks"], None, "run", language="de")
    assert none.value.exit_code == 3


@pytest.mark.parametrize(("language", "near"), [("english", "`en`"), ("xx", ""), ("e", ""), ("en us", "`en`"), ("zz-ZZ", "")])
def test_a_language_that_is_none_is_refused(language: str, near: str, here: Path) -> None:
    with pytest.raises(UserError, match=f"--language {language}") as refused:
        resolve_config(["talks"], None, "run", language=language)
    assert near in str(refused.value)


def test_what_is_written_is_the_config_and_goes_on(here: Path) -> None:
    first = started("talks", language="en", changes=["select.high=0.9"])
    text = Path("run/config.yaml").read_text()
    assert parse_config(yaml.safe_load(text)) == first.config
    assert first.config.select.high == 0.9
    assert "# Least score of the tier `high`" in text
    for again in (
        resolve_config((), None, "run"),
        resolve_config(["talks"], None, "run"),
        resolve_config((), "run/config.yaml", "run"),
    ):
        assert again.config == first.config
        assert again.text is None


def test_another_folder_extends_the_run_and_leaves_what_was_edited(here: Path) -> None:
    started("talks", language="en", licence="cc-by-4.0")
    file = Path("run/config.yaml")
    edited = "# mine\n" + file.read_text().replace("  kind: local", "  kind: local   # my laptop").replace(
        "languages: [en]", "languages: [en, de]"
    )
    file.write_text(edited)
    second = started("more/talks", language="de")
    assert [s.name for s in second.config.sources] == ["talks", "talks-2"]
    assert [s.licence for s in second.config.sources] == ["cc-by-4.0", None]
    lines = file.read_text().splitlines()
    assert [line for line in lines if line not in edited.splitlines()] == [
        "  - name: talks-2", f"    path: {here}/more/talks", "    language: de",
    ]  # fmt: skip
    assert lines[lines.index("  - name: talks-2") - 1] == "    licence: cc-by-4.0"
    third = started("more/talks", licence="cc0-1.0", changes=["select.weak=0.7", "units.seconds=60"])
    assert third.config.sources[1].licence == "cc0-1.0"
    assert file.read_text().startswith("# mine\n")
    assert "# my laptop" in file.read_text()
    assert (third.config.select.weak, third.config.units.seconds) == (0.7, 60)


def test_what_changes_for_a_source_that_is_there_is_said(here: Path) -> None:
    started("talks", language="en", licence="cc-by-4.0")
    assert not [one for one in started("talks", language="en").notes if "from now on" in one]
    said = [one for one in started("talks", language="de", licence="cc0-1.0").notes if "from now on" in one]
    assert said == [
        "source talks: language is de from now on, of what was fetched before as well (it was en)",
        "source talks: licence is cc0-1.0 from now on, of what was fetched before as well (it was cc-by-4.0)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "sources: [{name: talks, path: HERE/talks}]\ntranscribe: [{kind: moonshine}]",
        "sources:\n- name: talks\n  path: HERE/talks\ntranscribe:\n- kind: moonshine",
        "{sources: [{name: talks, path: HERE/talks}], transcribe: [{kind: moonshine}]}",
        "transcribe:\n- &a {kind: moonshine}\nsources:\n  -\n    name: talks\n    path: |-\n      HERE/talks\n",
    ],
)
def test_however_the_user_writes_it_it_is_extended(text: str, here: Path) -> None:
    Path("run").mkdir()
    Path("run/config.yaml").write_text(text.replace("HERE", str(here)))
    extended = started("one.wav", language="no")
    assert [s.name for s in extended.config.sources] == ["talks", "one"]
    assert parse_config(yaml.safe_load(Path("run/config.yaml").read_text())) == extended.config


def test_what_cannot_be_changed_in_place_is_written_anew(here: Path) -> None:
    config = parse_config({"sources": [{"name": "a", "path": "."}], "transcribe": [{"kind": "moonshine"}]})
    data = {"sources": [{"name": "a", "path": "."}], "transcribe": [{"kind": "moonshine"}]}
    assert yaml.safe_load(updated_config_text("sources: [", data, config)) == data
    assert yaml.safe_load(updated_config_text("select: {}\n", data, config)) == data


def test_a_config_and_sources_go_together(here: Path) -> None:
    mine = here / "mine.yaml"
    mine.write_text(f"sources: [{{name: first, path: {here}/one.wav}}]\ntranscribe: [{{kind: moonshine}}]\n")
    both = resolve_config(["talks"], str(mine), "run")
    assert [s.name for s in both.config.sources] == ["first", "talks"]
    assert [e.kind for e in both.config.transcribe] == ["moonshine"]
    recipe = resolve_config(["talks"], "demo", "run")
    assert [s.name for s in recipe.config.sources] == ["talks"]
    assert recipe.recipe is None
    assert resolve_config((), "demo", "run").recipe == "demo"
    started("talks")
    with pytest.raises(UserError, match="has a config of its own"):
        resolve_config(["one.wav"], str(mine), "run")


@pytest.fixture
def corpus(here: Path) -> Path:
    (here / "libri" / "5" / "1").mkdir(parents=True)
    (here / "libri" / "5" / "1" / "5-1.trans.txt").write_text("5-1-0001 WORDS\n")
    return here / "libri"


def test_a_corpus_is_told_and_its_transcripts_are_an_opinion(corpus: Path) -> None:
    asked = started("libri", "talks", language="en")
    assert [source.kind for source in asked.config.sources] == ["librispeech", "auto"]
    assert [engine.kind for engine in asked.config.transcribe] == ["whisperx", "moonshine", "given"]
    (note,) = [note for note in asked.notes if "is taken for" in note]
    assert note.startswith(
        f"{corpus} is taken for the layout of LibriSpeech (kind: librispeech): its transcripts are an opinion"
    )
    assert resolve_config(None, None, "run").config == asked.config


def test_a_corpus_beside_a_config_without_the_engine_is_told_too(corpus: Path) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump({"sources": [], "transcribe": [{"kind": "pocketsphinx"}]}))
    asked = resolve_config(["libri"], "mine.yaml", "run")
    assert [engine.kind for engine in asked.config.transcribe] == ["pocketsphinx"]
    assert any("its transcripts are not used: for that, add {kind: given, name: given}" in note for note in asked.notes)
    light = resolve_config(["libri"], "light", "run")
    assert [engine.kind for engine in light.config.transcribe][-1] == "given"
    started("talks", root="grown", language="en")
    grown = resolve_config(["libri"], None, "grown")
    assert any("librispeech" in note for note in grown.notes)


def test_the_web_wants_a_name(here: Path) -> None:
    feed = "https://radio.test/feed.xml"
    with pytest.raises(ConfigError, match=r"crawl\.contact.*--contact"):
        resolve_config([feed], None, "run")
    assert resolve_config([feed], None, "run", contact="me@radio.test").config.crawl.contact == "me@radio.test"
    assert resolve_config(["talks"], None, "run").config.crawl.contact is None
    (here / "mine.yaml").write_text(
        f"sources: [{{name: a, url: '{feed}'}}]\ncrawl: {{contact: you@example.org}}\ntranscribe: [{{kind: moonshine}}]\n"
    )
    assert resolve_config((), "mine.yaml", None, contact="me@radio.test").config.crawl.contact == "me@radio.test"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"inputs": ()}, "no sources"),
        ({"inputs": (), "config": "demo", "language": "en"}, "--set sources.NAME.language"),
        ({"inputs": ["talks"], "licence": "???"}, "--licence: '???' is no licence"),
        ({"inputs": ["talks"], "contact": "me"}, "contact"),
        ({"inputs": ["talks"], "changes": ["selct.high=1"]}, "did you mean `select`"),
        ({"inputs": ["talks"], "root": "made"}, "was made with a config"),
        ({"inputs": (), "root": "made"}, "was made with a config"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_written(asked: dict[str, Any], said: str, here: Path) -> None:
    Path("made").mkdir()
    Path("made/run.json").write_text("{}")
    before = sorted(os.walk("."))
    with pytest.raises(UserError, match=r".*") as refused:
        resolve_config(asked.pop("inputs"), asked.pop("config", None), asked.pop("root", "run"), **asked)
    assert said in str(refused.value)
    assert sorted(os.walk(".")) == before
