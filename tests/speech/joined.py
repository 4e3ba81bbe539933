"""Recordings of any length from real prompts: clips in a seeded order, joined with pauses as a speaker leaves them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from speech.cache import cache_root, made_once
from speech.prompts import Prompt, prompts
from speech.waves import RATE, Pcm, join, read_wave, write_wave

PAUSES = (0.3, 1.2)
"""Shortest and longest pause between clips (s)."""


@dataclass(frozen=True, slots=True)
class Joined:
    """One recording, and what is said in it when: `(start, end, prompt)` in 16 kHz samples."""

    path: Path
    said: tuple[tuple[int, int, Prompt], ...]


def joined(language: str, count: int, seconds: float, seed: int = 0) -> list[Joined]:
    """`count` recordings of about `seconds` each; the same arguments give the same bytes. Kept in the cache."""
    home = cache_root() / "speech" / f"joined-{language}-{count}x{seconds:g}s-{seed}"
    planned = _plan(language, count, seconds, seed)
    made_once(home, lambda work: _write(work, planned))
    return [
        Joined(home / f"{i:03d}.wav", tuple((*span, clip) for span, clip in zip(_join(plan)[1], plan.clips, strict=True)))
        for i, plan in enumerate(planned)
    ]


@dataclass(frozen=True, slots=True)
class _Plan:
    clips: tuple[Prompt, ...]
    pauses: tuple[int, ...]


def _plan(language: str, count: int, seconds: float, seed: int) -> list[_Plan]:
    dice = random.Random(f"{language} {count} {seconds} {seed}")
    clips = [clip for clip in prompts(language) if clip.num_samples > RATE]
    plans = []
    queue: list[Prompt] = []
    for _ in range(count):
        chosen: list[Prompt] = []
        pauses = [_pause(dice)]
        while sum(c.num_samples for c in chosen) + sum(pauses) < seconds * RATE:
            if not queue:
                queue = dice.sample(clips, len(clips))
            chosen.append(queue.pop())
            pauses.append(_pause(dice))
        plans.append(_Plan(tuple(chosen), tuple(pauses)))
    return plans


def _pause(dice: random.Random) -> int:
    return round(dice.uniform(*PAUSES) * RATE)


def _join(plan: _Plan) -> tuple[Pcm, list[tuple[int, int]]]:
    return join([read_wave(clip.path) for clip in plan.clips], list(plan.pauses))


def _write(work: Path, plans: list[_Plan]) -> None:
    for i, plan in enumerate(plans):
        write_wave(work / f"{i:03d}.wav", _join(plan)[0])
