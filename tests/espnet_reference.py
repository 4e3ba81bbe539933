"""A small OWSM with random values of ESPnet's own modules, in the layout of its hub; and what it makes of sound.

Run by `espnet_package.espnet_writes`, with ESPnet on the path: `python tests/espnet_reference.py FOLDER SEED SECONDS [--tiny]`. It writes
`meta.yaml`, config, weights and SentencePiece model, and `heard.safetensors`: the encoder's frames, CTC's log probabilities, the decoder's
logits, and the tokens that it says greedily, by ESPnet's scorer, which keeps states from token to token.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import yaml
from espnet2.asr.ctc import CTC
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoder
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.layers.global_mvn import GlobalMVN
from espnet2.s2t.espnet_model import ESPnetS2TModel
from safetensors.torch import save_file

from espnet_package import waves

SPECIAL = (
    "<na>", "<nolang>", "<eng>", "<zho>", "<deu>", "<abk>", "<asr>", "<st_eng>", "<st_deu>", "<st_tam>", "<notimestamps>", "<0.00>", "<0.02>",
)  # fmt: skip
LAST = ("<sos>", "<eos>", "<sop>")
SAID = 24
TEXTS = (
    "thank you for the music",
    "all of the lamps are out",
    "谢谢你 的 音乐",
    "the rain in spain",
    "vielen dank für die musik",
)


def sizes(tiny: bool) -> dict[str, dict[str, Any]]:
    dim, heads, hidden = (8, 2, 12) if tiny else (48, 4, 96)
    return {
        "frontend_conf": {"n_fft": 512, "win_length": 400, "hop_length": 160},
        "encoder_conf": {
            "output_size": dim, "attention_heads": heads, "attention_layer_type": "selfattn", "pos_enc_layer_type": "abs_pos",
            "rel_pos_type": "latest", "cgmlp_linear_units": hidden, "cgmlp_conv_kernel": 31, "use_linear_after_conv": False,
            "gate_activation": "identity", "num_blocks": 2 if tiny else 3, "dropout_rate": 0.1, "positional_dropout_rate": 0.1,
            "attention_dropout_rate": 0.1, "input_layer": "conv2d", "layer_drop_rate": 0.0, "linear_units": hidden,
            "positionwise_layer_type": "linear", "use_ffn": True, "macaron_ffn": True, "merge_conv_kernel": 31,
        },
        "decoder_conf": {
            "attention_heads": heads, "linear_units": hidden, "num_blocks": 2 if tiny else 3, "dropout_rate": 0.1,
            "positional_dropout_rate": 0.1, "self_attention_dropout_rate": 0.1, "src_attention_dropout_rate": 0.1,
        },
    }  # fmt: skip


def subwords(*, tiny: bool) -> bytes:
    """A SentencePiece model as ESPnet's recipe trains it: unigrams, special tokens as pieces that a user defined; NFKC unless `tiny`, since
    its table is large."""
    sink = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4), model_writer=sink, model_type="unigram", vocab_size=80, hard_vocab_limit=False,
        user_defined_symbols=list(SPECIAL), character_coverage=1.0, minloglevel=2, num_threads=1,
        normalization_rule_name="identity" if tiny else "nmt_nfkc",
    )  # fmt: skip
    return sink.getvalue()


def token_list(model: bytes) -> list[str]:
    """As ESPnet's recipe lists them: without SentencePiece's own frame tokens."""
    read = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [read.id_to_piece(number) for number in range(read.get_piece_size())]
    return ["<blank>", "<unk>", *(piece for piece in pieces if piece not in ("<unk>", "<s>", "</s>")), *LAST]


def make(folder: Path, seed: int, seconds: int, *, tiny: bool) -> tuple[ESPnetS2TModel, list[str]]:
    """Writes the folder, and returns the network and its tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    drawn = np.random.default_rng(seed)
    conf, model = sizes(tiny), subwords(tiny=tiny)
    tokens = token_list(model)
    mean = drawn.normal(-8, 1, 80)
    np.savez(folder / "stats.npz", count=10.0, sum=10 * mean, sum_square=10 * (mean**2 + drawn.uniform(4, 9, 80)))
    dim = conf["encoder_conf"]["output_size"]
    net = ESPnetS2TModel(
        vocab_size=len(tokens), token_list=tokens, frontend=DefaultFrontend(**conf["frontend_conf"]), specaug=None,
        normalize=GlobalMVN(folder / "stats.npz"), preencoder=None, encoder=EBranchformerEncoder(input_size=80, **conf["encoder_conf"]),
        postencoder=None, decoder=TransformerDecoder(len(tokens), dim, **conf["decoder_conf"]), ctc=CTC(len(tokens), dim), ctc_weight=0.3,
    ).eval()  # fmt: skip
    (folder / "stats.npz").unlink()
    for parameter in net.parameters():
        with torch.no_grad():
            parameter.add_(0.1 * torch.randn_like(parameter))
    (folder / "exp").mkdir(exist_ok=True)
    torch.save(net.state_dict(), folder / "exp" / "best.pth")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "bpe.model").write_bytes(model)
    config = {
        "frontend": "default", "normalize": "global_mvn", "encoder": "e_branchformer", "decoder": "transformer", "preencoder": None,
        "postencoder": None, "model_conf": {"ctc_weight": 0.3}, "token_type": "bpe", "bpemodel": "data/bpe.model", "token_list": tokens,
        "preprocessor_conf": {"speech_length": seconds, "fs": 16000, "notime_symbol": "<notimestamps>"}, **conf,
    }  # fmt: skip
    meta = {"files": {"s2t_model_file": "exp/best.pth"}, "yaml_files": {"s2t_train_config": "exp/config.yaml"}}
    for name, content in (("exp/config.yaml", config), ("meta.yaml", meta)):
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return net, tokens


@torch.no_grad()
def hear(net: ESPnetS2TModel, tokens: list[str], seed: int, seconds: int) -> dict[str, torch.Tensor]:
    """What it makes of `waves`."""
    drawn = np.random.default_rng(seed)
    found: dict[str, torch.Tensor] = {}
    for row, wave in enumerate(waves(seed, seconds)):
        speech = torch.nn.functional.pad(torch.from_numpy(wave), (0, seconds * 16_000 - len(wave)))[None]
        frames, lengths = net.encode(speech, torch.tensor([speech.shape[1]]))
        said = torch.from_numpy(drawn.integers(1, len(tokens), (1, 9)))
        logits, _ = net.decoder(frames, lengths, said, torch.tensor([9]))
        ids = [tokens.index(name) for name in ("<sos>", "<eng>", "<asr>", "<notimestamps>")]
        state: Any = None
        for index in range(len(ids) + SAID - 4):
            score, state = net.decoder.score(torch.tensor(ids[: index + 1]), state, frames[0])
            if index + 1 == len(ids):
                ids.append(int(score.argmax()))
        found |= {
            f"frames.{row}": frames[0], f"ctc.{row}": net.ctc.log_softmax(frames)[0], f"read.{row}": said[0],
            f"logits.{row}": logits[0], f"greedy.{row}": torch.tensor(ids),
        }  # fmt: skip
    return found


def main() -> None:
    folder, seed, seconds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    net, tokens = make(folder, seed, seconds, tiny="--tiny" in sys.argv)
    save_file(
        {name: tensor.contiguous() for name, tensor in hear(net, tokens, seed, seconds).items()}, folder / "heard.safetensors"
    )


if __name__ == "__main__":
    main()
