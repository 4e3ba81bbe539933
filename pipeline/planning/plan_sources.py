"""A plan from a sample of the sources, run here."""

from __future__ import annotations

from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.sample_run import SampleSize, run_sample, sample_config
from voxmill.pipeline.state.run_dir import RunError


def extrapolate_sources(
    config: RunConfig, size: SampleSize, root: str | None, *, seed: int = 0, quiet: bool = False
) -> tuple[Extrapolation, list[str]]:
    """What a sample says of everything that the sources list, with notes on what that rests on.

    Raises RunError where nothing of the sample could be decoded, and what `run_sample` raises.
    """
    sampled = run_sample(config, size, root, seed=seed, quiet=quiet)
    if not sampled.observed.hours:
        why = sorted({one.refused for one in sampled.observed.items if one.refused})
        raise RunError(
            f"none of the {len(sampled.observed.items)} recordings that were tried could be decoded ({', '.join(why)}): "
            "a larger --sample may meet others; `voxmill config check` looks at the sources"
        )
    notes = []
    tried = sample_config(config)
    if tried.transcribe != config.transcribe or tried.label != config.label:
        notes.append("no GPU is here, so the sample was run on cores: its labels may differ in a few words from those of a GPU")
    if len(sampled.observed.items) < 10:
        notes.append(
            "fewer than 10 recordings were tried: intervals of so few are wide, and blind to what is rare; --sample takes more"
        )
    if sampled.observed.contended:
        notes.append("other programs kept this machine busy meanwhile: times rest on CPU seconds, and waits are left out")
    if root:
        notes.append(f"the sample is kept: voxmill stats {root}/plan")
    return Extrapolation(config, sampled.observed, sampled.population, one_per_unit=True, seed=seed), notes
