"""The dataset card: a README with the metadata that the Hugging Face Hub and `datasets` read, and what a reader asks first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from voxmill.pipeline.release import statements as said
from voxmill.pipeline.release.release_facts import Amount, ReleaseFacts
from voxmill.sharding.exports.hf_datasets import TAR_FEATURES
from voxmill.sharding.sidecar import ShardSummary

_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"), (10_000_000_000, "1B<n<10B"),
)  # fmt: skip


class _Plain(yaml.SafeDumper):
    """Without anchors: not everybody who reads cards knows them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dataset_card(facts: ReleaseFacts, shards: Iterable[ShardSummary]) -> str:
    """Markdown with a YAML head. The same run has the same words."""
    head = yaml.dump(_metadata(facts, shards), Dumper=_Plain, sort_keys=False, allow_unicode=True)
    return f"""---
{head}---

# {facts.name}

{facts.hours:.2f} hours of speech in {facts.samples:,} samples of {facts.mean_seconds:.1f} s in the mean, with transcripts on which recognisers agree.
Made by voxmill {facts.version} from {len(facts.sources)} sources. How it was made, what is known to be wrong with it and how to have something
taken out: [datasheet](__metadata__/DATASHEET.md). For machines: [Croissant](__metadata__/croissant.json).

{said.amounts("licence", facts.licences)}
Who has to be named is in `__metadata__/attribution/`, one file for each licence and split.

{said.amounts("language", facts.languages)}
| tier | samples | hours | what its labels are |
|---|---|---|---|
{"".join(f"| {one.value} | {one.samples:,} | {one.hours:.3f} | {TIERS.get(one.value, '')} |{chr(10)}" for one in facts.tiers)}
{_expected(facts)}
## How to open it

```python
from datasets import load_dataset

speech = load_dataset(".", split="train", streaming=True)   # of one licence: load_dataset(".", "{_config(facts.licences)}", …)
```

A sample is `KEY.flac` (16 kHz, mono) and `KEY.json` in a tar: text, language, tier, agreement, word times, labels, licence, provenance.
"""


TIERS = {
    "high": "the recognisers agree", "weak": "some words differ: learn from them with their `weight`",
    "unlabelled": "speech without a label to trust", "event": "no speech",
}  # fmt: skip


def _metadata(facts: ReleaseFacts, shards: Iterable[ShardSummary]) -> dict[str, Any]:
    files: dict[str, dict[str, list[str]]] = {}
    for shard in shards:
        splits = files.setdefault(shard.licence, {})
        splits.setdefault(shard.split, []).append(f"{shard.name}.tar")
    everything: dict[str, list[str]] = {}
    for splits in files.values():
        for split, names in splits.items():
            everything.setdefault(split, []).extend(names)
    several = {"all": everything, **{_slug(licence): splits for licence, splits in sorted(files.items())}}
    return {
        "pretty_name": facts.name,
        "license": sorted({one.value if one.value.startswith("cc") else "other" for one in facts.licences}),
        "language": sorted(one.value for one in facts.languages if one.value != "not known"),
        "task_categories": ["automatic-speech-recognition"],
        "size_categories": [next((name for most, name in _SIZES if facts.samples < most), "10B<n<100B")],
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": split, "path": _patterns(names)} for split, names in sorted(splits.items())],
                **({"default": True} if name == "all" else {}),
            }
            for name, splits in several.items()
        ],
        "dataset_info": [{"config_name": name, "features": TAR_FEATURES} for name in several],
    }


def _patterns(names: Sequence[str]) -> list[str]:
    """One pattern for all shards of a licence and a split: a million hours have a hundred thousand of them."""
    return sorted({f"{name.rsplit('-', 2)[0]}-*-*.tar" for name in names})


def _slug(licence: str) -> str:
    return licence.replace(".", "_")


def _config(licences: Sequence[Amount]) -> str:
    return _slug(licences[0].value) if licences else "all"


def _expected(facts: ReleaseFacts) -> str:
    if not facts.expected:
        return "The run has no calibration: how many of the words are wrong has not been estimated.\n"
    each = ", ".join(f"{one.error:.1%} in `{one.tier}`" for one in facts.expected)
    return f"Errors expected per word, by a calibration on labelled samples of the run: {each}.\n"
