"""Pretrained networks of the kinds that a model can start from: tiny, with random values, in the folders that transformers writes."""

# mypy: allow-untyped-decorators
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.network.pretrained.open_start import open_start
from voxmill.models.training.pretrained_start import begin_pretrained, filled, pretrained_tokens

DIM = 32
WINDOW_S = 3
"""Of the tiny Whisper."""
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|haw|>", "<|translate|>", "<|transcribe|>", "<|startofprev|>",
    "<|nospeech|>", "<|notimestamps|>", "<|0.00|>",
)  # fmt: skip
"""Special tokens of the tiny Whisper's tokeniser, spelt and ordered as in the real one's."""
_SIZES: dict[str, Any] = {
    "hidden_size": DIM, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2, "conv_dim": [16] * 3, "conv_kernel": [10, 8, 4], "conv_stride": [5, 8, 8],
    "num_feat_extract_layers": 3, "mask_time_prob": 0.05,
}  # fmt: skip
KINDS = ("whisper", "wav2vec2", "wav2vec2-xlsr", "w2v-bert", "moonshine")


def write(kind: str, folder: Path, seed: int = 0) -> Path:
    """Writes a network of a kind, and what makes its features."""
    import transformers as t

    torch.manual_seed(seed)
    if kind == "whisper":
        tokens = write_tokenizer(folder)
        config = t.WhisperConfig(
            vocab_size=tokens, d_model=DIM, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=80, max_source_positions=50 * WINDOW_S, max_target_positions=40,
            pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1, init_std=0.2,
        )  # fmt: skip
        net, extractor = t.WhisperForConditionalGeneration(config), t.WhisperFeatureExtractor(chunk_length=WINDOW_S)
    elif kind == "wav2vec2":
        net, extractor = (
            t.Wav2Vec2ForCTC(t.Wav2Vec2Config(**_SIZES, feat_extract_norm="group", vocab_size=9)),
            t.Wav2Vec2FeatureExtractor(),
        )
    elif kind == "wav2vec2-xlsr":
        config = t.Wav2Vec2Config(**_SIZES, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
        net, extractor = t.Wav2Vec2Model(config), t.Wav2Vec2FeatureExtractor(return_attention_mask=True)
    elif kind == "w2v-bert":
        sizes = {name: size for name, size in _SIZES.items() if "conv" not in name and "feat" not in name}
        net = t.Wav2Vec2BertModel(t.Wav2Vec2BertConfig(**sizes, feature_projection_input_dim=160))
        extractor = t.SeamlessM4TFeatureExtractor()
    else:
        config = t.MoonshineConfig(
            vocab_size=50, hidden_size=DIM, intermediate_size=64, encoder_num_hidden_layers=2, decoder_num_hidden_layers=1,
            encoder_num_attention_heads=2, decoder_num_attention_heads=2, initializer_range=0.2,
        )  # fmt: skip
        net, extractor = t.MoonshineForConditionalGeneration(config), t.Wav2Vec2FeatureExtractor(do_normalize=False)
    net.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path) -> int:
    """Writes a `tokenizer.json` as Whisper's is: byte-level BPE, special tokens behind. Returns the number of tokens."""
    import tokenizers as t

    made = t.Tokenizer(t.models.BPE())
    made.pre_tokenizer, made.decoder = t.pre_tokenizers.ByteLevel(add_prefix_space=False), t.decoders.ByteLevel()
    trainer = t.trainers.BpeTrainer(vocab_size=300, initial_alphabet=t.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    made.train_from_iterator(["thank you for the music", "谢谢"] * 5, trainer)
    made.add_special_tokens([t.AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return int(made.get_vocab_size())


@torch.no_grad()
def vendor_frames(folder: Path, wave: np.ndarray[Any, Any]) -> Tensor:
    """What the vendor's own code makes of a waveform, shape (T, D): its feature extractor and the encoder of its network."""
    import transformers as t

    kind = json.loads((folder / "config.json").read_text())["model_type"]
    extractor = t.AutoFeatureExtractor.from_pretrained(folder)
    given = extractor(wave, sampling_rate=16_000, return_tensors="pt")
    net = t.AutoModel.from_pretrained(folder).eval()
    if kind == "whisper":
        frames: Tensor = net.encoder(given["input_features"]).last_hidden_state[0]
    elif kind == "wav2vec2-bert":
        frames = net(given["input_features"], attention_mask=given["attention_mask"]).last_hidden_state[0]
    elif kind == "moonshine":
        frames = net.encoder(given["input_values"]).last_hidden_state[0]
    else:
        frames = net(given["input_values"]).last_hidden_state[0]
    return frames


def started(folder: Path, parts: str = "encoder", **model: Any) -> tuple[SpeechModel, Tokenizer | None]:
    """A model that starts from the network in a folder, with these switches; and its tokeniser if that came along."""
    given = ModelConfig.model_validate({"start": {"model": str(folder), "parts": parts}, "ctc": parts == "encoder", **model})
    assert given.start is not None
    start = open_start(given.start)
    tokens = pretrained_tokens(start, TokenizerConfig()) if parts == "all" else None
    torch.manual_seed(0)
    made = SpeechModel(filled(given, start).model_copy(update={"vocabulary": len(tokens) if tokens else 20}))
    begin_pretrained(made, start, tokens.num_given if tokens else 0)
    made.eval()
    return made, tokens


def heard(model: SpeechModel, waves: Sequence[np.ndarray[Any, Any]]) -> tuple[Tensor, Tensor]:
    """Features of waveforms, padded, and their lengths."""
    made = [model.config.features.of(torch.from_numpy(wave)) for wave in waves]
    return torch.nn.utils.rnn.pad_sequence(made, batch_first=True), torch.tensor([len(one) for one in made])


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference as a share of the largest number."""
    return float((ours - theirs).abs().max() / theirs.abs().max())
