"""`make check-start`: does a model that starts from a pretrained network begin as that network?

Adapters are compared with their vendors' own code (transformers' feature extractor and network) on tiny networks of every kind, and on the
real Whisper base, whose weights arrive in packages as CTranslate2 keeps them. That is also decoded greedily beside CTranslate2 itself, in
float32, with the same prompt and nothing suppressed. The clips are recorded prompts of Asterisk (English). Frozen parameters are those of a
tiny Whisper that is trained on a test's shards, once with LoRA beside them. OWSM is held against ESPnet's modules of random values, which a
process of its own runs from ESPnet's wheel: frames, CTC, logits, and tokens said greedily with ESPnet's own scorer.

    python tests/benchmarks/check_start.py [--full]        reduced: 100 clips; full: 400
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from torch import Tensor

import networks
from benchmarks.report import Target, finish, full_form, heading, table
from espnet_package import VERSION, espnet_writes
from samples import read_audio, several
from speech.prompts import prompts
from speech.waves import read_wave
from tiny_owsm import compared
from tiny_pretrained import KINDS, heard, relative, started, vendor_frames, write
from voxmill.models.common.tokenizer import EOT, NO_TIMESTAMPS, SOT, TRANSCRIBE, Tokenizer
from voxmill.models.network.budget import Budget
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.layers import ElasticConfig, upcycle
from voxmill.models.network.model import Conditions, SpeechModel
from voxmill.models.network.pretrained.ctranslate2_file import MODEL_FILE, read_whisper
from voxmill.models.training.pretrained_start import is_frozen
from voxmill.models.training.recipe import Recipe, prepare
from voxmill.operators.weights.registry import resolve
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.writer import pack_shard

Audio = np.ndarray[Any, Any]
MOST_TOKENS = 100


@torch.no_grad()
def check_adapter(folder: Path, waves: Sequence[Audio]) -> float:
    """Largest relative difference of the frames to those of the vendor's code, all clips in one batch."""
    model, _ = started(folder, decoder={"layers": 1, "heads": 2, "hidden": 32})
    encoded = model.encode(*heard(model, waves))
    gaps = []
    for row, wave in enumerate(waves):
        frames = int(encoded.length_B[row])
        gaps.append(relative(encoded.frame_BTD[row, :frames], vendor_frames(folder, wave)[:frames]))
    return max(gaps)


@torch.no_grad()
def check_real(folder: Path, waves: Sequence[Audio]) -> tuple[float, float]:
    """Of Whisper base: the same of the frames of its whole window, and of the decoder's logits."""
    import transformers

    model, _ = started(folder, "all")
    found = read_whisper(folder / MODEL_FILE)
    heads = {key: value for key, value in found.network.items() if key != "model_type"}
    net = transformers.WhisperModel(transformers.WhisperConfig(**heads, pad_token_id=50257)).eval()
    net.load_state_dict(found.tensors)
    features = transformers.WhisperFeatureExtractor()(list(waves), sampling_rate=16_000, return_tensors="pt")["input_features"]
    token_BU = torch.tensor([[50258, 50259, 50359, 50363, 440, 1002]] * len(waves))
    theirs = net(features, decoder_input_ids=token_BU)
    logits = theirs.last_hidden_state @ net.decoder.embed_tokens.weight.t()
    encoded = model.encode(*heard(model, waves))
    said = model.decode(token_BU + 1, encoded)[..., 1 : 1 + logits.shape[-1]]
    return relative(encoded.frame_BTD, theirs.encoder_last_hidden_state), relative(said, logits)


@torch.no_grad()
def check_greedy(folder: Path, waves: Sequence[Audio]) -> tuple[int, dict[str, float]]:
    """(clips in which CTranslate2 says the same tokens, seconds that each took)."""
    import ctranslate2
    import transformers

    model, tokens = started(folder, "all")
    assert tokens is not None
    prompt = [tokens[SOT], tokens.of_class("language", "en"), tokens[TRANSCRIBE], tokens[NO_TIMESTAMPS]]
    theirs = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    extractor = transformers.WhisperFeatureExtractor()
    same, seconds = 0, {"ours": 0.0, "CTranslate2": 0.0}
    for wave in waves:
        begin = time.perf_counter()
        ours = greedy(model, tokens, prompt, wave)
        between = time.perf_counter()
        features = extractor(wave, sampling_rate=16_000, return_tensors="np")["input_features"]
        (result,) = theirs.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(features)), [[token - 1 for token in prompt]], beam_size=1,
            max_length=len(prompt) + MOST_TOKENS, suppress_blank=False, suppress_tokens=[],
        )  # fmt: skip
        same += result.sequences_ids[0] == [token - 1 for token in ours]
        seconds["ours"] += between - begin
        seconds["CTranslate2"] += time.perf_counter() - between
    return same, seconds


def greedy(model: SpeechModel, tokens: Tokenizer, prompt: list[int], wave: Audio) -> list[int]:
    """The likeliest token, again and again."""
    encoded, cache = model.encode(*heard(model, [wave])), DecoderCache()
    said, fresh = list[int](), prompt
    while len(said) < MOST_TOKENS:
        token = int(model.decode(torch.tensor([fresh]), encoded, cache=cache)[0, -1, 1 : tokens.num_given].argmax()) + 1
        if token == tokens[EOT]:
            break
        said.append(token)
        fresh = [token]
    return said


@torch.no_grad()
def check_upcycled(folder: Path, waves: Sequence[Audio]) -> dict[str, float]:
    """Relative differences of models whose feed-forward layers became experts to those they began as, over budgets."""
    said: dict[str, list[list[Tensor]]] = {"Whisper base": [], "Conformer": []}
    token_BU = torch.tensor([[50259, 50260, 50360, 50364, 441]] * len(waves))
    for emoe, budget in ((None, None), (experts(512), None), (experts(512), Budget(3, 3, 512))):
        model, _ = started(folder, "all", emoe=emoe)
        encoded = model.encode(*heard(model, waves), Conditions(budget=budget))
        said["Whisper base"].append([encoded.frame_BTD, model.decode(token_BU, encoded, Conditions(budget=budget))])
    dense, elastic = networks.model(seed=1), networks.model(emoe=ElasticConfig(**experts(8)))
    upcycle(elastic, dense)
    feature_BTM, length_B = networks.features(61, 40)
    for net, budget in ((dense, None), (elastic, None), (elastic, Budget(3, 3, 8))):
        out = net(feature_BTM, length_B, networks.tokens(2), Conditions(budget=budget), networks.tokens(2))
        said["Conformer"].append([out.ctc_BTV, out.forward_BUV, out.backward_BUV])
    return {
        name: max(relative(one, other) for outs in found[1:] for one, other in zip(outs, found[0], strict=True))
        for name, found in said.items()
    }


def experts(width: int) -> dict[str, Any]:
    return {"experts": 6, "shared": 1, "top_k": 3, "width": width, "scale": 3.0, "dropout": 0.0}


def check_owsm(root: Path, *, full: bool) -> tuple[dict[str, float], list[bool]]:
    """(largest relative differences by what is compared, whether ESPnet's greedy tokens are said, for each wave) over networks of random
    values, with a window of 30 s."""
    gaps, same = dict.fromkeys(("frames", "CTC", "logits"), 0.0), []
    for seed in range(8 if full else 3):
        espnet_writes(root / str(seed), seed=seed)
        found = compared(root / str(seed), seed, 30)
        for kind, gap in zip(gaps, (found.frames, found.ctc, found.logits), strict=True):
            gaps[kind] = max(gaps[kind], gap)
        same += found.greedy
    return gaps, same


def check_frozen(folder: Path, shards: Path, lora: dict[str, Any] | None) -> tuple[int, int]:
    """(frozen numbers that moved in five steps, tensors that were trained and moved)."""
    recipe = Recipe.model_validate(
        {
            "model": {
                "start": {
                    "model": str(folder),
                    "parts": "all",
                    "freeze": ["frontend", "encoder", "decoder.embed"],
                    "lora": lora,
                },
                "ctc": False,
            },
            "data": {"plan": {"batch_seconds": 8}, "example": {"targets": {"tasks": ["asr", "language"]}}},
            "train": {
                "steps": 5,
                "rate": {"peak": 1e-2, "warmup": 1},
                "dynamic_chunk": False,
                "average": 0.9,
                "weight_decay": 0.1,
            },
        }
    )
    trainer = prepare(str(shards), recipe)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    for _ in range(5):
        trainer.advance()
    frozen = moved = 0
    for net in (trainer.model, trainer.mean.module):
        for name, tensor in net.state_dict().items():
            if is_frozen(name, recipe.model.start, 0):
                frozen += int((tensor != before[name]).sum())
            else:
                moved += not torch.equal(tensor, before[name])
    return frozen, moved


def pack_samples(root: Path) -> Path:
    """A few recordings as shards."""
    samples = several(recordings=4)
    for plan in plan_shards((sample.entry for sample in samples), 4, 120_000):
        pack_shard(plan, samples, read_audio, str(root))
    return root


def at_most(value: float, limit: float) -> Target:
    return {"value": f"{value:.1e}", "target": f"<= {limit:g}", "met": value <= limit}


def timed(name: str, rows: list[tuple[str, str]], work: Callable[[], Any]) -> Any:
    """The result of `work`; how long it took is a row."""
    begin = time.perf_counter()
    result = work()
    rows.append((name, f"{time.perf_counter() - begin:.0f}"))
    print(f"  {name}: done", file=sys.stderr, flush=True)
    return result


def main() -> None:
    full = full_form(sys.argv)
    torch.set_num_threads(1)
    wanted = 400 if full else 100
    clips = [clip for clip in prompts("en") if 1.0 <= clip.seconds <= 12.0][:: 1 if full else 2][:wanted]
    names = ("torch", "transformers", "ctranslate2", "tokenizers", "safetensors", "sentencepiece", "peft")
    heading(
        "check-start",
        full,
        f"{len(clips)} of Asterisk's English prompts, Whisper base of packages, tiny random networks, ESPnet {VERSION}",
        names,
    )
    waves = [read_wave(clip.path).astype(np.float32) / 32768 for clip in clips]
    few = sorted(waves, key=len)[:: max(1, len(waves) // 3)][:3]
    short = [wave[: 3 * 16_000 - 777] for wave in few]
    whisper = resolve("whisper-base")
    spent: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="voxmill-start-") as name:
        folders = {kind: write(kind, Path(name) / kind) for kind in KINDS}
        gaps = {
            f"{kind}, tiny": timed(f"{kind}, tiny", spent, lambda folder=folder: check_adapter(folder, short))  # type: ignore[misc]
            for kind, folder in folders.items()
        }
        shards = pack_samples(Path(name) / "shards")
        frozen = {
            what: timed(f"frozen parameters, {what}", spent, lambda lora=lora: check_frozen(folders["whisper"], shards, lora))  # type: ignore[misc]
            for what, lora in (("plain", None), ("with LoRA", {"below": ["encoder"]}))
        }
        owsm, owsm_same = timed("OWSM beside ESPnet", spent, lambda: check_owsm(Path(name) / "owsm", full=full))
    gaps |= {f"OWSM of random values, {kind}": gap for kind, gap in owsm.items()}
    gaps["whisper base, encoder"], gaps["whisper base, logits"] = timed("whisper base", spent, lambda: check_real(whisper, few))
    upcycled = timed("upcycling", spent, lambda: check_upcycled(whisper, few[:2]))
    same, seconds = timed("greedy tokens", spent, lambda: check_greedy(whisper, waves))
    table(("pretrained network", "largest relative difference"), [(name, f"{gap:.1e}") for name, gap in gaps.items()])
    table(("greedy decoding", "s"), [(name, f"{value:.0f}") for name, value in seconds.items()])
    table(("part of this check", "s"), spent)
    targets: dict[str, Target] = {
        "every adapter is its vendor's network": at_most(max(gaps.values()), 1e-3),
        f"Whisper base says CTranslate2's tokens, {len(waves)} clips": {
            "value": f"{same / len(waves):.1%}", "target": ">= 98 %", "met": same >= 0.98 * len(waves),
        },
        **{f"upcycled is dense: {name}": at_most(gap, 1e-5) for name, gap in upcycled.items()},
        **{
            f"frozen numbers that moved in 5 steps, {what}": {"value": moved, "target": "0", "met": moved == 0 and trained > 0}
            for what, (moved, trained) in frozen.items()
        },
        "OWSM v3.1's modules are ESPnet's": at_most(max(owsm.values()), 1e-3),
        "OWSM says ESPnet's greedy tokens": {
            "value": f"{sum(owsm_same)} of {len(owsm_same)} waves", "target": "all", "met": all(owsm_same),
        },
    }  # fmt: skip
    figures = {
        "relative": gaps, "greedy_same": same, "clips": len(waves), "greedy_seconds": seconds, "upcycled": upcycled,
        "frozen_moved": {what: moved for what, (moved, _) in frozen.items()},
        "trained_moved": {what: trained for what, (_, trained) in frozen.items()}, "owsm": owsm, "owsm_greedy_same": owsm_same,
    }  # fmt: skip
    finish("check-start", figures, targets, full)


if __name__ == "__main__":
    main()
