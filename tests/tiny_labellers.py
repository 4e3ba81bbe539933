"""Tiny models of the kinds that labellers load, made by the libraries that load them: what they say is noise, how they are run is real.

Each is written in seconds, a few megabytes or less, with seeded random weights.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import yaml

EMOTIONS = ("生气/angry", "开心/happy", "中立/neutral", "其他/other", "难过/sad", "<unk>")
EVENTS = ("Speech", "Music", "Clapping", "Laughter", "Dog")
ENTITIES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
SENTENCES = (
    "good morning ladies and gentlemen", "the train to Paris leaves at nine", "Maria lives in London", "guten Morgen meine Damen",
    "der Zug nach Paris fährt um neun", "Maria wohnt in London", "please hold the line", "bitte bleiben Sie am Apparat",
)  # fmt: skip


def write_emotion2vec(folder: Path) -> Path:
    """The published config with other sizes."""
    import torch

    audio = {
        "type": "AUDIO", "prenet_depth": 1, "prenet_layerdrop": 0.0, "prenet_dropout": 0.0, "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0, "num_extra_tokens": 2, "init_extra_token_zero": True, "mask_noise_std": 0.01,
        "mask_prob_min": None, "mask_prob": 0.5, "inverse_mask": False, "mask_prob_adjust": 0.05, "keep_masked_pct": 0.0,
        "mask_length": 5, "add_masks": False, "remove_masks": False, "mask_dropout": 0.0, "encoder_zero_mask": True,
        "mask_channel_prob": 0.0, "mask_channel_length": 64, "ema_local_encoder": False, "local_grad_mult": 1.0,
        "use_alibi_encoder": True, "alibi_scale": 1.0, "learned_alibi": False, "alibi_max_pos": None,
        "learned_alibi_scale": True, "learned_alibi_scale_per_head": True, "learned_alibi_scale_per_layer": False,
        "num_alibi_heads": 2, "model_depth": 1, "decoder": None, "extractor_mode": "layer_norm",
        "feature_encoder_spec": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32,2,2)] + [(32,2,2)]",
        "conv_pos_width": 15, "conv_pos_groups": 4, "conv_pos_depth": 1, "conv_pos_pre_ln": False,
    }  # fmt: skip
    network = {
        "loss_beta": 0.0, "loss_scale": None, "depth": 1, "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0, "num_heads": 2,
        "norm_eps": 1e-5, "norm_affine": True, "encoder_dropout": 0.0, "post_mlp_drop": 0.0, "attention_dropout": 0.0,
        "activation_dropout": 0.0, "dropout_input": 0.0, "layerdrop": 0.0, "embed_dim": 32, "mlp_ratio": 2.0,
        "layer_norm_first": False, "average_top_k_layers": 1, "end_of_block_targets": False, "clone_batch": 1,
        "normalize": True, "modalities": {"audio": audio},
    }  # fmt: skip
    config = {
        "model": "Emotion2vec", "model_conf": network, "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True}, "frontend_conf": {"fs": 16000},
    }  # fmt: skip
    paths = {"init_param": "model.pt", "config": "config.yaml", "tokenizer_conf": {"token_list": "tokens.txt"}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    (folder / "configuration.json").write_text(json.dumps({"framework": "pytorch", "file_path_metas": paths}))
    (folder / "tokens.txt").write_text("\n".join(EMOTIONS) + "\n", encoding="utf8")
    torch.manual_seed(0)
    torch.save({"state_dict": {}}, folder / "model.pt")
    torch.save({"state_dict": _funasr(folder).model.state_dict()}, folder / "model.pt")
    return folder


def _funasr(folder: Path) -> Any:
    from funasr import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):  # it lists every weight that a first checkpoint lacks
        return AutoModel(
            model=str(folder), device="cpu", ncpu=1, disable_update=True, disable_pbar=True, disable_log=True, log_level="ERROR"
        )


def write_audio_classifier(folder: Path, names: tuple[str, ...] = EVENTS, kind: str = "wav2vec2") -> Path:
    """A wav2vec 2.0 or an Audio Spectrogram Transformer with a head of classes."""
    import torch
    import transformers as hf

    torch.manual_seed(0)
    labels: dict[str, Any] = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "ast":
        hf.ASTForAudioClassification(hf.ASTConfig(**sizes, **labels, max_length=256)).save_pretrained(folder)
        hf.ASTFeatureExtractor(max_length=256).save_pretrained(folder)
    else:
        config = hf.Wav2Vec2Config(
            **sizes,
            **labels,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            classifier_proj_size=8,
        )
        hf.Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
        hf.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def write_token_classifier(folder: Path) -> Path:
    """A BERT that has learnt by heart which words of `SENTENCES` are names."""
    import torch
    import transformers as hf

    names = {"Maria": 1, "Paris": 3, "London": 3}
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), encoding="utf8")
    tokens: Any = hf.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=False, strip_accents=False)
    torch.manual_seed(0)
    network: Any = hf.BertForTokenClassification(
        hf.BertConfig(
            vocab_size=len(tokens), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, id2label=dict(enumerate(ENTITIES)),
        )
    )  # fmt: skip
    inputs = tokens(list(SENTENCES), return_tensors="pt", padding=True)
    ids = inputs["input_ids"]
    wanted = torch.zeros_like(ids)
    for word, entity in names.items():
        wanted[ids == tokens.convert_tokens_to_ids(word)] = entity
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        loss = network(**inputs, labels=wanted).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def write_rules(folder: Path) -> Path:
    """A spaCy pipeline without weights: an EntityRuler."""
    import spacy

    pipeline = spacy.blank("en")
    ruler: Any = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": "GPE", "pattern": "London"}, {"label": "ORG", "pattern": [{"LOWER": "acme"}, {"LOWER": "ltd"}]}]
    )
    pipeline.to_disk(folder)
    return folder


def write_marian(folder: Path, repeat: bool = False) -> Path:
    """A Marian model that has learnt to copy its input word for word; with `repeat`, one that loops on its first word."""
    import sentencepiece
    import torch
    import transformers as hf

    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=model, vocab_size=90, hard_vocab_limit=False, minloglevel=2
    )
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(model.getvalue())
    pieces: Any = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = ["</s>", "<unk>", *(pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(vocabulary)}), encoding="utf8")
    tokens: Any = hf.MarianTokenizer(
        str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"), source_lang="de", target_lang="en"
    )
    pad = len(vocabulary) - 1
    torch.manual_seed(0)
    network: Any = hf.MarianMTModel(
        hf.MarianConfig(
            vocab_size=len(vocabulary), d_model=64, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=pad, eos_token_id=0,
            decoder_start_token_id=pad, forced_eos_token_id=0, max_position_embeddings=128, dropout=0.0,
            scale_embedding=True, static_position_embeddings=True, activation_function="swish", share_encoder_decoder_embeddings=True,
        )
    )  # fmt: skip
    targets = [" ".join([s.split()[0]] * 12) for s in SENTENCES] if repeat else list(SENTENCES)
    _teach(network, tokens, list(SENTENCES), targets, pad)
    network.generation_config.num_beams = 1
    network.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def write_nllb(folder: Path) -> Path:
    """NLLB's architecture (M2M-100) and tokeniser, untrained: languages are tokens."""
    import sentencepiece
    import torch
    import transformers as hf

    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=model, vocab_size=90, hard_vocab_limit=False, minloglevel=2
    )
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
    tokens: Any = hf.NllbTokenizer(str(folder / "sentencepiece.bpe.model"))
    torch.manual_seed(0)
    config = hf.M2M100Config(
        vocab_size=len(tokens), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=128, dropout=0.0, decoder_start_token_id=2,
    )  # fmt: skip
    hf.M2M100ForConditionalGeneration(config).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def write_ctranslate2(folder: Path, source: Path) -> Path:
    """The model in `source` as CTranslate2 reads it, with the tokeniser beside it, as its converter's users do."""
    from ctranslate2.converters import TransformersConverter

    files = [
        f.name for f in source.iterdir() if f.suffix in (".spm", ".model") or f.name.startswith(("vocab", "tok", "special"))
    ]
    TransformersConverter(str(source), copy_files=files).convert(str(folder), force=True)
    return folder


def _teach(network: Any, tokens: Any, sources: list[str], targets: list[str], pad: int, steps: int = 250) -> None:
    import torch

    inputs = tokens(sources, return_tensors="pt", padding=True)
    wanted = tokens(text_target=targets, return_tensors="pt", padding=True)["input_ids"]
    wanted[wanted == pad] = -100
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    network.train()
    for _ in range(steps):
        loss = network(**inputs, labels=wanted).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        network.get_input_embeddings().weight.data[pad] = 0  # as in all of Marian's models, and what CTranslate2 relies on
    network.eval()
