"""Wrong input, case by case: what is typed in the folder that `making.py` fills, how it has to end, and what has to be named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.terminal.making import CONFIGS, PROOFS, STATES, TABLES

SAYS_NO, WRONG_USE, WORLD = 1, 2, 3


@dataclass(frozen=True)
class Case:
    """`said`: what the message must hold, in any writing of upper and lower case; parts joined by ` & ` must all be there."""

    words: str
    code: int
    said: str
    how: str = ""
    """`torch`: the command loads it. `poor`: as a user without rights. `small`: files may not grow. `lone`: in a process of its own."""


OF_A_RUN = {
    "stats": "stats {}",
    "verify": "verify {}",
    "status": "status {}",
    "migrate": "migrate {}",
    "revoke": "revoke {} --host example.org",
    "duplicates": "duplicates {} --by text",
    "calibrate": "calibrate {} --reference labelled.jsonl",
    "audit": "audit {}",
    "retention": "retention {}",
    "revote": "revote {} --set select.weak=0.04",
    "replay": "replay {} --stage select --unit x",
    "export-data": "export-data {} --to jsonl -o out",
    "rebuild-data": "rebuild-data nothing --originals {} -o out",
    "release": "release {} --check",
    "report": "report {} -o report.html",
    "view": "view {} -o out",
}
GO_ON = ("verify", "revoke", "duplicates", "calibrate", "audit", "revote", "replay", "release", "report")
ASK_TABLES = ("stats", "calibrate", "audit", "retention", "report", "view")
OF_A_CONFIG = {
    "show": "config show -c {}",
    "check": "config check -c {}",
    "doctor": "doctor -c {}",
    "plan": "plan -c {}",
    "run": "run -c {} -o out -q",
    "crawl": "crawl -c {} -o out -q",
}
NO_CONFIGS = (
    "nosuch.yaml", "nothing", "empty.yaml", "list.yaml", "text.yaml", "broken.yaml", "tab.yaml", "binary.yaml", "utf16.yaml",
    "deep.yaml", "date.yaml", "python.yaml", "key.yaml", "numbered.yaml", "doubled.yaml", "loop", "dangling", "notes.txt/x.yaml", "/dev/zero",
)  # fmt: skip


def cases() -> Iterator[Case]:
    yield from of_runs()
    yield from of_configs()
    yield from of_places()
    for table in (ASKED, CHANGED, SHARDS, WEIGHTS, TYPED, WORLDS):
        yield from (Case(*row) for row in table)


def of_runs() -> Iterator[Case]:
    for command in OF_A_RUN.values():
        for root in ("nosuch", "notes.txt", "nothing", "notes.txt/x", "loop", "dangling", *STATES):
            yield Case(command.format(root), WRONG_USE, f"{root}/run.json" if root in STATES else root)
    for name in GO_ON:
        for root in CONFIGS:
            yield Case(OF_A_RUN[name].format(root), WRONG_USE, f"{root}/run.json")
    for name in ASK_TABLES:
        for root in TABLES:
            yield Case(OF_A_RUN[name].format(root), WRONG_USE, root)
    for root in PROOFS:
        yield Case(f"verify {root}", SAYS_NO, root)
        yield Case(f"release {root}", SAYS_NO, root)
        yield Case(f"revoke {root} --host example.org", WRONG_USE, root)
    yield Case("verify beginning-cut", SAYS_NO, "damaged & beginning-cut")
    yield Case("verify shards-gone", SAYS_NO, "missing")
    yield Case("release shards-gone", SAYS_NO, "missing & must not be handed on")
    yield Case("verify hearing-gone", SAYS_NO, "missing & segment")


def of_configs() -> Iterator[Case]:
    for command in OF_A_CONFIG.values():
        for name in NO_CONFIGS:
            yield Case(command.format(name), WRONG_USE, "sorces" if name == "key.yaml" else name)
    for name, said in SAID.items():
        for command in ("check", "run"):
            code = SAYS_NO if command == "check" and name in LOOKED_UP else WRONG_USE  # `check` finds what `run` would refuse
            yield Case(OF_A_CONFIG[command].format(name), code, said)


LOOKED_UP = (
    "weights.yaml",
    "denyfile.yaml",
    "denyfolder.yaml",
    "denybytes.yaml",
    "calibration.yaml",
    "calibrationtext.yaml",
    "evaluation.yaml",
    "against.yaml",
)
"""Configs whose mistake is in what they name."""

SAID = {
    "nan.yaml": "select.high", "inf.yaml": "pack.shard_mb", "negative.yaml": "pack.buckets", "huge.yaml": "pack.buckets",
    "words.yaml": "select.weak", "engine.yaml": "whisperz", "weights.yaml": "moonshine-tiny-e", "noengine.yaml": "transcribe",
    "twice.yaml": "source names must differ", "stage.yaml": "transcribe:nobody", "denyfile.yaml": "nosuch.txt",
    "denyfolder.yaml": "nothing", "denybytes.yaml": "denied.txt", "calibration.yaml": "nosuch.json",
    "calibrationtext.yaml": "notes.txt", "bytes.yaml": "max_bytes", "evaluation.yaml": "nosuch.jsonl", "against.yaml": "nosuch", "by.yaml": "duplicates.by",
}  # fmt: skip
"""What the message about a config with one thing wrong has to name."""


def of_places() -> Iterator[Case]:
    """Where something is to be written."""
    for command in ("run -c good.yaml -q -o {}", "crawl -c good.yaml -q -o {}"):
        for place in ("notes.txt", "notes.txt/deeper", "loop", "nosuch://x/y"):
            yield Case(command.format(place), WRONG_USE, place)
        yield Case(command.format("locked/run"), WORLD, "locked & permission", "poor")
    for place in ("notes.txt", "nothing", "full", "notes.txt/x.yaml", "nosuch/x.yaml", "dangling", "loop"):
        yield Case(f"config init english -o {place}", WRONG_USE, place)
    yield Case("config init english -o locked/x.yaml", WORLD, "locked & permission", "poor")
    for place, said in (
        ("x.mp3", ".png"), ("x", ".png"), ("nothing", "nothing"), ("nosuch/x.png", "nosuch"), ("notes.txt/x.png", "notes.txt"), ("full/.png", ".png"),
    ):  # fmt: skip
        yield Case(f"retention run --plot {place}", WRONG_USE, said)
    yield Case("retention run --plot locked/x.png", WORLD, "locked & permission", "poor")
    for command in ("train --shards run/shards -c tiny.yaml -q --out {}", "export --model model --out {}"):
        for place in ("notes.txt", "notes.txt/x", "loop"):
            yield Case(command.format(place), WRONG_USE, place, "torch")
        yield Case(command.format("locked/x"), WORLD, "locked & permission", "torch poor")
    yield Case("export --model model --out full", WRONG_USE, "full", "torch")
    yield Case("plan -c good.yaml -o notes.txt", WRONG_USE, "notes.txt")


ASKED = (
    ("stats run --by tpyo", 2, "tpyo"),
    ("stats run --by languag", 2, "language"),
    ("stats run --sql nonsense", 2, "query"),
    ("stats run --sql 'SELECT nosuch FROM segments'", 2, "nosuch"),
    ("stats run --sql 'DROP TABLE segments'", 2, "select"),
    ("stats run --sql 'SELECT 1; SELECT 2'", 2, "select"),
    ("stats run --sql \"COPY segments TO 'x.csv'\"", 2, "select"),
    ("stats run --sql ''", 2, "empty"),
    ("stats run --sql \"FROM read_parquet('nosuch.parquet')\"", 2, "nosuch.parquet"),
    ("stats run --what-if select.agreemnt=0.9", 2, "agreemnt"),
    ("stats run --what-if select.agreement", 2, "name=value"),
    ("stats run --what-if select.agreement=much", 2, "much"),
    ("stats run --what-if select.agreement=", 2, "select.agreement"),
    ("stats run --what-if select.agreement=NaN", 2, "select.agreement"),
    ("stats run --what-if select.agreement=nan", 2, "select.agreement"),
    ("stats run --what-if select.agreement=Infinity", 2, "select.agreement"),
    ("stats run --what-if select.agreement=[1]", 2, "select.agreement"),
    ("stats run --what-if 'select.agreement={\"a\": 1}'", 2, "select.agreement"),
    ("stats run --what-if select.agreement=null", 2, "needs a value"),
    ("stats run --what-if =1", 2, "=1"),
    ("stats run --json --csv", 2, "--csv"),
    ("stats run --by host --sql 'SELECT 1'", 2, "--by & --sql"),
    ("stats run --by host --what-if select.weak=0.5", 2, "--by & --what-if"),
    ("stats crawled", 2, "crawled"),
    ("view run -o page --marks a.wav", 2, "a.wav"),
    ("view run -o page --port 2222", 2, "--port & --out"),
    ("release run --check --url 'javascript:alert(1)'", 2, "--url"),
    ("release run --check --url 'not a url'", 2, "--url"),
    ("release run --check --url 'https://me:pass-word-1@h.test/x'", 2, "password"),
    ("retention run --by tpyo", 2, "tpyo"),
    ("retention crawled", 2, "crawled"),
    ("calibrate run --reference nosuch.jsonl", 2, "nosuch.jsonl"),
    ("calibrate run --reference nothing", 2, "nothing"),
    ("calibrate run --reference empty.jsonl", 2, "empty.jsonl"),
    ("calibrate run --reference broken.jsonl", 2, "broken.jsonl, line"),
    ("calibrate run --reference list.jsonl", 2, "list.jsonl, line 1"),
    ("calibrate run --reference binary.jsonl", 2, "binary.jsonl"),
    ("calibrate run --reference keys.jsonl", 2, "keys.jsonl, line 1"),
    ("calibrate run --reference deep.jsonl", 2, "deep.jsonl, line 1"),
    ("calibrate run --reference nan.jsonl", 2, "nan.jsonl, line 1"),
    ("calibrate run --reference strange.jsonl", 2, "strange.jsonl"),
    ("calibrate run --reference a.wav", 2, "a.wav"),
    ("calibrate run --reference labelled.jsonl --error nan", 2, "--error"),
    ("calibrate run --reference labelled.jsonl --error -1", 2, "--error"),
    ("calibrate run --reference labelled.jsonl --hours inf", 2, "--hours"),
    ("calibrate run --reference labelled.jsonl --hours -3", 2, "--hours"),
    ("calibrate run --reference labelled.jsonl --error much", 2, "--error"),
    ("audit run", 2, "kind `given`"),
    ("audit run --top 0", 2, "--top"),
    ("calibrate crawled --reference labelled.jsonl", 2, "crawled"),
    ("replay run --stage tpyo --unit x", 2, "tpyo"),
    ("replay run --stage select --unit tpyo", 2, "tpyo"),
    ("replay run --stage pack --unit x --only tpyo", 2, "tpyo"),
    ("replay run --stage pack --unit x", 2, "pack"),
    ("replay run --stage items --unit x", 2, "items"),
    ("replay crawled --stage transcribe:sphinx --unit x", 2, "x"),
    ("plan -c good.yaml --sample 0", 2, "--sample"),
    ("plan -c good.yaml --sample -1", 2, "--sample"),
    ("plan -c good.yaml --sample 99999999999999999999", 2, "--sample"),
    ("plan -c good.yaml --sample many", 2, "--sample"),
    ("doctor -c tpyo", 2, "tpyo"),
    ("config init tpyo", 2, "tpyo"),
    ("config schema -o nothing", 2, "nothing"),
    ("config schema -o nosuch/x.json", 2, "nosuch"),
    ("config schema tpyo", 2, "tpyo"),
    ("run nosuch.wav -o out", 2, "nosuch.wav"),
    ("run a.wav -o out --language tpyo", 2, "tpyo"),
    ("run a.wav -o out --set tpyo=1", 2, "tpyo"),
    ("config show -c good.yaml --set select.wek=1", 2, "wek & weak"),
    ("config check -c good.yaml --set select", 2, "select"),
    ("config show -c englisch", 2, "english"),
)

CHANGED = (
    ("duplicates run --by tpyo", 2, "--by tpyo"),
    ("duplicates run --decontaminate nosuch.jsonl", 2, "nosuch.jsonl"),
    ("duplicates run --decontaminate empty.jsonl", 2, "empty.jsonl"),
    ("duplicates run --decontaminate broken.jsonl", 2, "broken.jsonl, line 2"),
    ("duplicates run --decontaminate list.jsonl", 2, "list.jsonl, line 1"),
    ("duplicates run --decontaminate binary.jsonl", 2, "binary.jsonl"),
    ("duplicates run --decontaminate keys.jsonl", 2, "keys.jsonl"),
    ("duplicates run --decontaminate noaudio.jsonl", 2, "noaudio.jsonl & nosuch.wav"),
    ("duplicates run --decontaminate nothing", 2, "nothing"),
    ("duplicates run --decontaminate textsounds", 2, "a.wav"),
    ("duplicates run --decontaminate badshards", 2, "x.parquet"),
    ("duplicates run --decontaminate a.wav", 2, "a.wav"),
    ("duplicates run --decontaminate nosuch.jsonl --dry-run", 2, "nosuch.jsonl"),
    ("duplicates run --against nosuch", 2, "nosuch"),
    ("duplicates run --against run", 2, "itself"),
    ("duplicates run --against ./run --by text", 2, "itself"),
    ("duplicates run --against notes.txt", 2, "notes.txt"),
    ("duplicates run --against state-cut --by text", 2, "state-cut"),
    ("duplicates run --against crawled --by acoustic", 2, "fingerprints"),
    ("duplicates run --by smell", 2, "by"),
    ("duplicates crawled --by text", 2, "crawled"),
    ("revote run --set select.wek=0.5", 2, "wek"),
    ("revote run --set select.weak", 2, "select.weak"),
    ("revote run --set select.weak=much", 2, "select.weak"),
    ("revote run --set select.weak=nan", 2, "select.weak"),
    ("revote run --set select.weak=.nan", 2, "select.weak"),
    ("revote run --set select.weak=7", 2, "select.weak"),
    ("revote run --set select.weak=-1", 2, "select.weak"),
    ("revote run --set crawl.retries=2", 2, "crawl.retries"),
    ("revote run --set select.weak=0.99 --set select.high=0.1", 2, "--set select.weak=0.99 & must fall"),
    ("revote run --set select.weak=2024-13-45", 2, "select.weak"),
    ("revote run --set select.calibration=nosuch.json", 2, "nosuch.json"),
    ("revote run --set select.calibration=notes.txt", 2, "notes.txt"),
    ("revote run --set select.calibration=nothing", 2, "nothing"),
    ("revote run", 2, "--set"),
    ("revote crawled --set select.weak=0.04", 2, "crawled"),
    ("revoke run", 2, "--url"),
    ("revoke run --url http://example.org/unknown.mp3", 2, "http://example.org/unknown.mp3 & --ahead"),
    ("revoke run --url http://[bad", 2, "[bad"),
    ("revoke run --url nosuch.wav", 2, "nosuch.wav"),
    ("revoke run --host example.org", 2, "example.org & --ahead"),
    ("revoke run --host https://", 2, "https://"),
    ("revoke run --id 0123", 2, "0123"),
    ("revoke run --id 000000000000000000000000", 2, "000000000000000000000000 & --ahead"),
    ("revoke run --hash sha256:zz", 2, "zz"),
    ("revoke run --hash " + "0" * 64, 2, "0000 & --ahead"),
    ("revoke run --url nosuch.wav --url a.wav", 2, "nosuch.wav"),
    ("revoke run --host example.org --dry-run", 2, "example.org"),
    ("run -c good.yaml -o run --until tpyo", 2, "tpyo"),
    ("run -c good.yaml -o run --executor tpyo", 2, "tpyo"),
    ("run -c good.yaml -o run --retry tpyo", 2, "tpyo"),
    ("run -c evaluation.yaml -o run -q", 2, "nosuch.jsonl"),
    ("run -c against.yaml -o run -q", 2, "nosuch"),
    ("run -c calibration.yaml -o run -q", 2, "nosuch.json"),
    ("run -c denyfile.yaml -o run -q", 2, "nosuch.txt"),
    ("run -c buckets.yaml -o run -q", 2, "buckets"),
    ("run -c nan.yaml -o run -q", 2, "select.high"),
    ("run -c good.yaml -o state-cut -q", 2, "state-cut/run.json"),
    ("run -c good.yaml -o state-no-buckets -q", 2, "state-no-buckets/run.json"),
    ("run -c good.yaml -o listing-cut -q", 2, "listing-cut"),
    ("crawl -c good.yaml -o state-list -q", 2, "state-list/run.json"),
    ("crawl -c good.yaml -o run --retry tpyo", 2, "tpyo"),
)

SHARDS = (
    ("view run -o notes.txt", 2, "notes.txt"),
    ("view run -o full", 2, "full"),
    ("view run -o out --serve", 2, "--serve"),
    ("view run -o out --against nosuch", 2, "nosuch"),
    ("view run -o out --per-tier 0", 2, "per-tier"),
    ("view run --port 99999", 2, "port"),
    ("export-data run --to tpyo -o out", 2, "tpyo"),
    ("export-data run --to jsonl -o full", 2, "full"),
    ("export-data run --to jsonl -o notes.txt", 2, "notes.txt"),
    ("export-data run --to jsonl -o out --where 'tpyo = 1'", 2, "tpyo"),
    ("export-data run --to jsonl -o out --split tpyo", 2, "tpyo"),
    ("export-data run --to jsonl -o out --tier tpyo", 2, "tpyo"),
    ("export-data run --to nemo -o out --tier unlabelled", 2, "unlabelled"),
    ("export-data run --to jsonl -o out --licence tpyo", 2, "tpyo"),
    ("export-data shards-gone --to jsonl -o out", 2, "shards-gone"),
    ("rebuild-data nosuch --originals run -o out", 2, "nosuch"),
    ("rebuild-data notes.txt --originals run -o out", 2, "notes.txt"),
    ("rebuild-data full --originals run -o out", 2, "full"),
    ("train --shards nosuch --out out", 2, "nosuch", "torch"),
    ("train --shards notes.txt --out out", 2, "notes.txt", "torch"),
    ("train --shards nothing --out out", 2, "nothing", "torch"),
    ("train --shards full --out out", 2, "file.txt", "torch"),
    ("train --shards run --out out", 2, "run/shards", "torch"),
    ("train --shards run/shards --out out -c tpyo", 2, "tpyo", "torch"),
    ("train --shards run/shards --out out -c empty.yaml", 2, "empty.yaml", "torch"),
    ("train --shards run/shards --out out -c binary.yaml", 2, "binary.yaml", "torch"),
    ("train --shards run/shards --out out -c nothing", 2, "nothing", "torch"),
    ("train --shards run/shards --out out -c good.yaml", 2, "good.yaml", "torch"),
    ('train --shards run/shards --out out -c tiny.yaml --where "tier=\'high"', 2, "tier", "torch"),
    ('train --shards run/shards --out out -c tiny.yaml --where "tpyo=1"', 2, "tpyo", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --where \"language='xx'\"", 2, "language='xx'", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --where \"seconds='long'\"", 2, "seconds", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --steps 0", 2, "--steps", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --steps 99999999999999999999", 2, "--steps", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --steps -1", 2, "--steps", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --device tpu9", 2, "tpu9", "torch"),
    ("train --shards run/shards --out out -c tiny.yaml --device cuda:99", 2, "cuda:99", "torch"),
    ("train --shards run/shards --out model -c taste", 2, "model", "torch"),
    ("train --shards run/shards --out model-recipe -c tiny.yaml", 2, "recipe.json", "torch"),
    ("train --shards run/shards --out model-cut -c tiny.yaml --steps 2", 2, "model.safetensors", "torch"),
    ("train --shards run/shards --out out -c splitless.yaml", 2, "dev", "torch"),
    ("train --shards run/shards --out out -c wordless.yaml", 2, "num_subwords", "torch"),
    ("evaluate --model model --shards nosuch", 2, "nosuch", "torch"),
    ("evaluate --model model --shards nothing", 2, "nothing", "torch"),
    ("evaluate --model model --shards run", 2, "run/shards", "torch"),
    ("evaluate --model model --shards run/shards --split tpyo", 2, "split", "torch"),
    ("evaluate --model model --shards run/shards --split dev", 2, "dev", "torch"),
    ("evaluate --model model --shards run/shards --budgets 99", 2, "99", "torch"),
    ("evaluate --model model --shards run/shards --budgets x", 2, "x", "torch"),
    ("evaluate --model model --shards run/shards --budgets 1,", 2, "budget", "torch"),
    ("evaluate --model model --shards run/shards --decode tpyo", 2, "decode", "torch"),
    ("evaluate --model model --shards run/shards --limit 0", 2, "--limit", "torch"),
    ("evaluate --model model --shards run/shards --device tpu9", 2, "tpu9", "torch"),
    ("evaluate --model nosuch --shards run/shards", 2, "nosuch", "torch"),
    ("evaluate --model notes.txt --shards run/shards", 2, "notes.txt", "torch"),
    ("evaluate --model nothing --shards run/shards", 2, "nothing", "torch"),
    ("evaluate --model model-cut --shards run/shards", 2, "model.safetensors", "torch"),
    ("evaluate --model model-json --shards run/shards", 2, "checkpoint.json", "torch"),
    ("evaluate --model model-list --shards run/shards", 2, "checkpoint.json", "torch"),
    ("evaluate --model model-tokens --shards run/shards", 2, "tokens.model", "torch"),
    ("evaluate --model model-gone --shards run/shards", 2, "model.safetensors", "torch"),
    ("transcribe a.wav --model nosuch", 2, "nosuch", "torch"),
    ("transcribe a.wav --model model-json", 2, "checkpoint.json", "torch"),
    ("transcribe nosuch.wav --model model", 1, "nosuch.wav", "torch"),
    ("transcribe nothing --model model", 1, "nothing", "torch"),
    ("transcribe empty.wav --model model", 1, "empty.wav", "torch"),
    ("transcribe text.wav --model model", 1, "text.wav", "torch"),
    ("transcribe nosuch://a.wav --model model", 1, "nosuch://a.wav", "torch"),
    ("transcribe a.wav --model model --budget 99", 2, "99", "torch"),
    ("transcribe a.wav --model model --budget -1", 2, "-1", "torch"),
    ("transcribe a.wav --model model --budget 1:2:3:4", 2, "1:2:3:4", "torch"),
    ("transcribe a.wav --model model --tasks tpyo", 2, "tpyo", "torch"),
    ("transcribe a.wav --model model --tasks asr,", 2, "tasks", "torch"),
    ("transcribe a.wav --model model --to xx", 2, "xx", "torch"),
    ("transcribe a.wav --model model --chunk 0", 2, "--chunk", "torch"),
    ("transcribe a.wav --model model --chunk 99999999999999999999", 2, "chunk", "torch"),
    ("transcribe a.wav --model model --decode tpyo", 2, "decode", "torch"),
    ("transcribe --model model", 2, "FILES"),
    ("export --model model --out out --format tpyo", 2, "tpyo", "torch"),
    ("export --model model --out out --budget tpyo", 2, "tpyo", "torch"),
    ("export --model model --out out --chunk 16", 2, "--chunk", "torch"),
    ("export --model model --out out --format sherpa-onnx --chunk 0", 2, "--chunk", "torch"),
    ("export --model model --out out --format sherpa-onnx --left tpyo", 2, "--left", "torch"),
    ("export --model model --out out --format sherpa-onnx", 2, "transducer", "torch"),
    ("export --model nosuch --out out", 2, "nosuch", "torch"),
    ("export --model model-cut --out out", 2, "model.safetensors", "torch"),
)

WEIGHTS = (
    ("models verify tpyo", 2, "tpyo"),
    ("models verify whisper-bas", 2, "whisper-base"),
    ("models verify nothing", 1, "no weights"),
    ("models verify full", 1, "no weights"),
    ("models verify notes.txt", 2, "notes.txt"),
    ("models verify whisper-large-v3", 1, "whisper-large-v3"),
    ("models verify", 2, "NAMES"),
    ("models fetch tpyo", 2, "tpyo"),
    ("models fetch moonshine-tiny-en tpyo", 2, "tpyo"),
    ("models fetch notes.txt", 2, "notes.txt"),
    ("models fetch whisper-large-v3", 3, "whisper-large-v3", "offline"),
    ("models tpyo", 2, "tpyo"),
    ("models list tpyo", 2, "tpyo"),
)

TYPED = (
    ("tpyo", 2, "tpyo"),
    ("config", 2, ""),
    ("config tpyo", 2, "tpyo"),
    ("--tpyo", 2, "--tpyo"),
    ("stats", 2, "RUN"),
    ("stats run --tpyo", 2, "--tpyo"),
    ("stats run more", 2, "more"),
    ("run -o out", 2, ""),
    ("verify ''", 2, "empty"),
    ("run -c good.yaml -o ''", 2, "empty"),
    ("run -c '' -o out", 2, "empty"),
    ("run -c good.yaml --out=", 2, "--out="),
    ("verify '  '", 2, "empty"),
    ("verify caf\udce9", 2, "locale"),
    ("run -c caf\udce9.yaml -o out", 2, "locale"),
    ("revoke run --host example.org --reason caf\udce9", 2, "locale"),
    ("verify " + "x" * 300, 2, "xxx"),
    ("config show -c " + "x" * 300, 2, "xxx"),
    ("run -c good.yaml -q -o " + "x" * 300, 2, "xxx"),
)

WORLDS = (
    ("verify nosuch://bucket/run", 2, "nosuch://bucket/run"),
    ("verify s3://bucket/run", 3, "bucket/run", "stores"),
    ("stats s3://bucket/run", 3, "bucket/run", "stores"),
    ("run -c good.yaml -q -o s3://bucket/run", 3, "bucket/run", "stores"),
    ("verify gs://bucket/run", 3, "gcsfs", "no-gcsfs"),
    ("calibrate run --reference labelled.jsonl", 3, "calibrate", "no-sklearn"),
    ("retention run --plot x.png", 3, "matplotlib is not installed: pip install 'voxmill[", "no-matplotlib"),
    ("duplicates run --by acoustic", 3, "Chromaprint & voxmill[duplicates]", "no-chromaprint"),
    ("train --shards run/shards --out out -c tiny.yaml", 3, "voxmill[train]", "no-torch"),
    ("evaluate --model model --shards run/shards", 3, "voxmill[train]", "no-torch"),
    ("export --model model --out out", 3, "voxmill[train]", "no-torch"),
    ("transcribe a.wav --model model", 3, "voxmill[train]", "no-torch"),
    ("evaluate --model model --shards run/shards", 3, "voxmill[evaluate]", "torch no-jiwer"),
    ("export --model model --out out --format onnx", 3, "voxmill[export]", "torch no-onnx"),
    ("train --shards run/shards --out out -c tiny.yaml --workers 2", 3, "voxmill[cluster]", "torch no-ray"),
    ("run -c good.yaml -o out -q --executor ray", 3, "voxmill[cluster]", "no-ray"),
    ("run -c good.yaml -o out -q", 3, "onnxruntime", "no-onnxruntime"),
    ("config init english -o x.yaml", 3, "x.yaml & ulimit", "small"),
    ("run -c good.yaml -o out -q --until list", 3, "out & ulimit", "small"),
    ("calibrate run --reference labelled.jsonl", 3, "run & permission", "poor"),
    ("revoke run --url a.wav", 3, "run & permission", "poor"),
    ("duplicates run --by text", 3, "run & permission", "poor"),
    ("revote run --set select.weak=0.04", 3, "run & permission", "poor"),
    ("run -c good.yaml -o run -q --set select.weak=0.04", 3, "run & permission", "poor"),
)
