"""The datasheet: the questions of "Datasheets for Datasets" (arXiv 1803.09010), answered from the run's own tables."""

from __future__ import annotations

from voxmill.pipeline.release import statements as said
from voxmill.pipeline.release.release_facts import ReleaseFacts


def datasheet(facts: ReleaseFacts) -> str:
    """Markdown. The same run has the same words."""
    losses = "".join(
        f"| {one.stage} | {one.reason} | {one.rows:,} | {one.hours:.3f} | {one.meaning} |\n" for one in facts.losses
    )
    sources = "".join(
        f"| {one.name} | {', '.join(one.licences)} | {one.recordings:,} | {one.hours:.3f} | {one.kept_hours:.3f} |\n"
        for one in facts.sources
    )
    return f"""# Datasheet of {facts.name}

## Motivation

{said.uses(facts)}

## Composition

{facts.samples:,} samples, {facts.hours:.3f} hours, in {facts.shards} shards.

{said.amounts("licence", facts.licences)}
{said.amounts("language", facts.languages)}
{said.amounts("tier", facts.tiers)}
{said.amounts("split", facts.splits)}
{said.limitations(facts)}

{said.personal(facts)}

## Collection

{said.collection(facts)}

| source | licences | recordings | hours decoded | hours kept |
|---|---|---|---|---|
{sources}
## What was left out

| stage | reason | rows | hours | meaning |
|---|---|---|---|---|
{losses}
## Preprocessing and labels

{said.preprocessing(facts)}

{said.annotation(facts)}

{said.biases(facts)}

## Distribution and maintenance

Each shard has one licence, and its attribution is in `__metadata__/attribution/`. {said.maintenance(facts)}
"""
