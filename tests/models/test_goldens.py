"""Seeds and seals: a training that goes on draws as before, a checkpoint is known by the digest that it was written with."""

from __future__ import annotations

from voxmill.models.checkpoint.manifest import seal
from voxmill.models.common.seeds import choice, integer, seeded, shuffled, uniform
from voxmill.models.common.tokenizer import Tokenizer


def test_golden_seeds() -> None:
    assert seeded(7, "example", 2, "key").initial_seed() == 80552020974018008
    assert seeded().initial_seed() == 1025426827051516353


def test_golden_draws() -> None:
    generator = seeded(7, "draws")
    assert round(uniform(generator, -1.0, 3.0), 6) == 2.491297
    assert [integer(generator, 3, 9) for _ in range(12)] == [6, 7, 4, 6, 8, 9, 5, 5, 6, 4, 8, 6]
    assert [choice(generator, [1.0, 2.0, 0.0, 5.0]) for _ in range(12)] == [3, 3, 0, 0, 1, 3, 0, 3, 1, 0, 0, 0]
    assert shuffled(generator, 8) == [6, 2, 3, 0, 1, 5, 4, 7]


def test_golden_tokenizer_digests() -> None:
    tokens = Tokenizer.__new__(Tokenizer)  # no trained one is the same for every version of SentencePiece
    tokens.subwords, tokens._names = b"model", ["<en>", "<麦>"]
    assert tokens.digest == "d1cc3734258dff4db8118f9d688d0d50ce971b91da53b045abf00d873f6ff71f"


def test_golden_seals() -> None:
    document = {"step": 3, "b": {"y": [1, 2.5], "x": None}, "seal": "another"}
    assert seal(document) == "839561f5b64623c721967ec21d2e775f00e60d5b6a1240bfbc8e42126d2eb621"
