"""Checks what a run reads besides its sources (deny-lists, a calibration, other runs, evaluation sets) before anything is written.

Failing later would leave a config in run.json that cannot be carried out, and `voxmill verify` would report the run as damaged.
"""

from __future__ import annotations

from pathlib import Path

from voxmill.operators.decode.audio import read
from voxmill.operators.decode.container import Undecodable
from voxmill.operators.dedup.evaluation_sets import EvaluationClip, NoEvaluationSet, clips
from voxmill.operators.dedup.fingerprint import Chromaprint, DuplicatesConfig
from voxmill.operators.select.calibration import load_calibration
from voxmill.pipeline.build import as_written, build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError


def check_inputs(config: RunConfig, run: Run) -> None:
    """Opens every input once and builds every stage. Raises UserError, RunError or ImportError; writes nothing."""
    _ = config.crawl.denied
    if config.select.calibration:
        load_calibration(config.select.calibration)
    if config.duplicates and not _settled(config, run):
        _check_duplicates(config.duplicates, run)
    build(config, run, no_gate())  # asks for all weights


def check_rerun(run: Run, config: RunConfig) -> None:
    """`check_inputs`, then `check_engines_done`: what a rerun of a finished run needs."""
    check_inputs(config, run)
    check_engines_done(run, config)


def check_engines_done(run: Run, config: RunConfig) -> None:
    """Raises RunError unless every unit has been segmented and transcribed under this config, so that a rerun needs no engine and no network."""
    _, old = as_written(run)
    ledger, listing = run.ledger, run.listing
    units = listing.num_units
    if not units or not all(listing.has_units(g) for g in range(listing.num_generations())):
        raise RunError(f"{run.root} has not been crawled to its end: finish it with `voxmill run`, then ask again")
    for name, stage in build(config, run, no_gate()).items():
        if not stage.of.engine:
            continue
        if old[name].fingerprint != stage.fingerprint:
            raise RunError(
                f"{name} of {run.root} was made with other weights or by another version: `voxmill run` would redo it"
            )
        if missing := sum(end - first for first, end in ledger.done(stage).missing(0, units)):
            raise RunError(
                f"{run.root}: {name} lacks {missing} of {units} units: finish the run with `voxmill run`, then ask again"
            )


def _settled(config: RunConfig, run: Run) -> bool:
    """Whether `duplicates` is finished under exactly this config; then what it was compared with may be gone."""
    if not run.exists() or run.load().get("config") != config.model_dump(mode="json"):
        return False
    _, stages = as_written(run)
    return run.ledger.done(stages["duplicates"]).holds(0, run.listing.num_units)


def _check_duplicates(settings: DuplicatesConfig, run: Run) -> None:
    acoustic = "acoustic" in settings.by
    _ = Chromaprint() if acoustic else None  # its library is here
    for root in settings.against:
        if Run(root).absolute() == run.absolute():
            raise RunError(f"{root} is the run itself: it is held against itself anyway; name another run")
        _, stages = as_written(Run(root))
        if acoustic and "fingerprint" not in stages:
            raise RunError(f"{root} has no fingerprints: give it `duplicates: {{by: [acoustic]}}` and run it again")
    for source in settings.evaluation:
        for clip in clips(source):
            if acoustic and clip.audio and clip.offset is None:
                _check_audio(source, clip)


def _check_audio(source: str, clip: EvaluationClip) -> None:
    """Decodes the first second. Raises NoEvaluationSet for a missing file and for what is no audio."""
    path = Path(str(clip.audio))
    if not path.is_file():
        raise NoEvaluationSet(f"{source}: no audio at {path}: mend the path, or leave it out where there is a text")
    try:
        read(str(path), 0, 16000)
    except Undecodable as error:
        raise NoEvaluationSet(f"{source}: {path} cannot be decoded ({error}): take it out of the set") from error
