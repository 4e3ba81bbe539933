"""`train`, `transcribe`, `evaluate` and `export`: the only file of `pipeline` that imports `models`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from voxmill.pipeline.commands import complete, options
from voxmill.pipeline.terminal.display import working
from voxmill.pipeline.terminal.output import console

if TYPE_CHECKING:
    from pydantic import BaseModel

    from voxmill.models.training.recipe import Recipe


def train(
    shards: Annotated[list[str], typer.Option(help="The shards of a run: `RUN/shards`. Several times: of several runs.")],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for checkpoints, log and curve.")],
    config: Annotated[
        str,
        typer.Option(
            "--config",
            "-c",
            help="A YAML file, or `compact`, `dense`, `taste` or `whisper`.",
            autocompletion=complete.training_recipes,
        ),
    ] = "compact",
    where: Annotated[str | None, typer.Option(help="Only these samples, as in `tier='high' and language='en'`.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=10**9, help="Optimiser steps, instead of the recipe's.")] = None,
    change: options.Set = None,
    device: options.Device = "auto",
    workers: Annotated[
        int, typer.Option(min=1, max=100_000, help="Processes that share each step, under Ray Train; on GPUs one each.")
    ] = 1,
    address: Annotated[str | None, typer.Option(help="Ray cluster for the workers; default: this machine.")] = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a speech model from shards, or continue a training.

    Ctrl-C finishes the step and saves; the same command goes on from there, to the same end. Any number of workers makes the same
    steps; where one dies, all go on from the last checkpoint.

    Examples:

        voxmill train --shards runs/one/shards --out runs/one-model

        voxmill train --shards runs/one/shards --shards runs/two/shards --out models/both --dry-run

        voxmill train --shards runs/one/shards --out models/en -c mine.yaml --where "tier='high' and language='en'"

        voxmill train --shards runs/one/shards --out runs/one-student -c whisper

        voxmill train --shards runs/one/shards --out runs/one-model --workers 4 --address auto

        voxmill train --shards runs/one/shards --out runs/one-model --dry-run
    """
    with working("loading torch", quiet=quiet):
        from voxmill.models.training import ray_train, session
    from voxmill.models.training.recipe import load_recipe
    from voxmill.pipeline.modelling import model_display

    given = session.with_overrides(load_recipe(config, change or ()), where=where, steps=steps)
    recipe = ray_train.for_workers(_with_weights(given), workers)
    stderr = console(stderr=True)
    before = session.check_folder(shards, out, recipe)
    if dry_run or not quiet:
        with working("reading the shards", quiet=quiet):
            estimate = session.estimate(shards, out, recipe, memory=dry_run)
        model_display.print_estimate(estimate, ", ".join(shards), out, recipe.train.steps, stderr, before)
    if dry_run or session.why_over(out, recipe):
        return
    best = None if quiet else estimate.best
    with model_display.TrainingDisplay(recipe.train.steps, stderr, quiet=quiet, best=best) as display:
        if workers == 1 and address is None:
            trained = session.train(shards, out, recipe, device, [display])
        else:
            together = ray_train.WorkersConfig(workers=workers)
            trained = ray_train.train(shards, out, recipe, together, address, device, [display])
    if not model_display.print_trained(trained, out, stderr, quiet=quiet):
        sys.exit(130)


def transcribe(
    files: Annotated[list[str], typer.Argument(help="Audio or video files of any format, or URLs that fsspec knows.")],
    model: options.Model,
    budget: options.Budget = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Such as `asr,lid,emotion`; default: all that it was trained for. A model with task vectors decodes each task by itself, so "
            "that its result does not depend on the other tasks (except with `--decode attention` or `transducer`, which decode all at once)."
        ),
    ] = None,
    decode: options.Decode = None,
    beam: options.Beam = None,
    hotword: options.Hotword = None,
    boost: options.Boost = None,
    lm: options.Lm = None,
    lm_weight: options.LmWeight = None,
    chunk: options.Chunk = None,
    to: Annotated[str | None, typer.Option(help="Translate into this language, if the model learnt it.")] = None,
    device: options.Device = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each file, with the times and confidences of words.")
    ] = False,
) -> None:
    """Transcribe files with a trained model. Long files are cut at their pauses.

    A file without audio is reported and the others go on; the command then exits with 1.

    Examples:

        voxmill transcribe talk.mp3 --model runs/one-model

        voxmill transcribe *.wav --model runs/one-model --budget 6 --decode greedy --json

        voxmill transcribe talk.mp3 --model runs/one-student --decode attention-beam --beam 5

        voxmill transcribe talk.mp3 --model runs/one-model --hotword Voxmill --hotword "Ray Train" --lm english.arpa.gz
    """
    with working("loading the model", quiet=as_json):
        from voxmill.models.common.device import choose_device
        from voxmill.models.inference.load import checkpoint_of, open_bundle, open_recognizer
        from voxmill.pipeline.modelling import model_display, transcribing
        from voxmill.pipeline.modelling.audio_inputs import AudioLoader

        place = checkpoint_of(model)
        bundle = open_bundle(place, budget, choose_device(device))
        wanted = tuple(part.strip() for part in tasks.split(",")) if tasks else None
        recognizer = open_recognizer(
            bundle,
            method=decode,
            beam=beam,
            chunk=chunk,
            tasks=wanted,
            translate_to=to,
            words=as_json,
            hotwords=hotword and tuple(hotword),
            hotword_boost=boost,
            lm=lm,
            lm_weight=lm_weight,
        )
        loader = AudioLoader()
    model_display.print_model(place, model, quiet=as_json)
    failed = 0
    with model_display.TranscribeDisplay(files, quiet=as_json) as display:
        for result in transcribing.transcribe(files, recognizer, loader):
            transcribing.print_transcribed(result, display.results(), as_json=as_json)
            failed += result.error is not None
            display.next()
    sys.exit(1 if failed else 0)


def evaluate(
    model: options.Model,
    shards: Annotated[str, typer.Option(help="Shards with the reference texts: `RUN/shards`.")],
    split: Annotated[str | None, typer.Option(help="`test`, `dev` or `train`; default: the first of these there is.")] = None,
    where: Annotated[str | None, typer.Option(help="Only these samples, as in `language='en'`.")] = None,
    budgets: Annotated[
        str | None, typer.Option(help="`all` that it was trained for, or some, as in `6,15`; default: the whole model.")
    ] = None,
    decode: options.Decode = None,
    beam: options.Beam = None,
    hotword: options.Hotword = None,
    boost: options.Boost = None,
    lm: options.Lm = None,
    lm_weight: options.LmWeight = None,
    chunk: options.Chunk = None,
    limit: Annotated[int | None, typer.Option(min=1, max=10**12, help="Evaluate at most this many samples.")] = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Measure word and character errors, labels, events, translation, size and speed of a model, for each budget and language.

    Examples:

        voxmill evaluate --model runs/one-model --shards runs/one/shards --budgets all

        voxmill evaluate --model runs/one-model --shards runs/one/shards --where "language='en'" --budgets 6,15 --json
    """
    with working("loading the model", quiet=as_json):
        from voxmill.models.common.device import choose_device
        from voxmill.models.data.sampler_config import sampler_config
        from voxmill.models.inference.evaluate_split import EvaluationSamples, evaluate_model, first_split
        from voxmill.models.inference.load import budgets_of, checkpoint_of, open_bundle
        from voxmill.pipeline.modelling import model_display

        plan = sampler_config(split=split or first_split(shards), where=where, batch_seconds=60.0)
        samples = EvaluationSamples(shards, plan, limit)
        place = checkpoint_of(model)
        bundle = open_bundle(place, device=choose_device(device))
        wanted = budgets_of(bundle, budgets)
    model_display.print_model(place, model, quiet=as_json)
    asked = {
        "method": decode, "beam": beam, "chunk": chunk, "hotwords": hotword and tuple(hotword), "hotword_boost": boost,
        "lm": lm, "lm_weight": lm_weight,
    }  # fmt: skip
    results = []
    with model_display.CountDisplay(len(samples) * len(wanted), "evaluated", quiet=as_json) as count:
        for budget in wanted:
            part = bundle.extract(budget) if budget else bundle
            results.append(evaluate_model(part, str(budget or "whole"), samples, asked, count))
    model_display.print_evaluation(results, plan.split, as_json=as_json)


def export(
    model: options.Model,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to write.")],
    budget: options.Budget = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            autocompletion=complete.model_formats,
            help="`safetensors` (to use or train with voxmill), `onnx`, `sherpa-onnx` (a transducer that sherpa-onnx streams), or "
            "`transformers` (a model that started as all of a Whisper).",
        ),
    ] = "safetensors",
    chunk: options.Chunk = None,
    left: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="With `sherpa-onnx`: frames of 40 ms before a chunk that it may see."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Save one budget of a model as a smaller model of its own; refused if the two do not compute the same.

    Examples:

        voxmill export --model runs/one-model --budget 6 --out runs/one-6

        voxmill export --model runs/one-model --budget 6 --format onnx --out runs/one-6-onnx

        voxmill export --model runs/one-model --format sherpa-onnx --chunk 16 --left 64 --out runs/one-live

        voxmill export --model runs/one-plain --format transformers --out runs/one-whisper
    """
    from voxmill.pipeline.modelling import model_display

    chosen = model_display.export_format(form)
    if (chunk or left) and chosen != "sherpa-onnx":
        from voxmill.manifests.errors import UserError

        raise UserError(f"--chunk and --left belong to --format sherpa-onnx: leave them out with `{chosen}`")
    with working("loading the model, exporting and comparing", quiet=as_json):
        from voxmill.models.inference.export import export_model, new_output_folder
        from voxmill.models.inference.load import checkpoint_of, open_bundle
        from voxmill.models.inference.streaming import StreamingConfig

        new_output_folder(out)
        given = {name: value for name, value in (("chunk", chunk), ("left", left)) if value is not None}
        place = checkpoint_of(model)
        report = export_model(open_bundle(place), budget, chosen, out, StreamingConfig.model_validate(given))
    model_display.print_model(place, model, quiet=as_json)
    model_display.print_export(report, as_json=as_json)


def _with_weights(recipe: Recipe) -> Recipe:
    """The recipe with the folder of known weights in place of their name, in `model.start`. Raises WeightsMissing."""
    from voxmill.operators.weights.registry import find, resolve

    start = recipe.model.start
    if start is None or find(start.model) is None:
        return recipe
    known = start.model_copy(update={"model": str(resolve(start.model))})
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"start": known})})


def training_config(source: str, changes: Sequence[str] = ()) -> BaseModel:
    """The resolved training recipe of `voxmill train`, for `voxmill config show --training`."""
    from voxmill.models.training.recipe import load_recipe

    return load_recipe(source, changes)


def training_class() -> type[BaseModel]:
    """The class of training recipes, for `voxmill config schema --training`."""
    from voxmill.models.training.recipe import Recipe

    return Recipe
