"""Recognisers in the folders that `transformers` reads: Whisper base with its trained values, and tiny ones whose text is noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

import tiny_pretrained
from voxmill.models.network.pretrained.ctranslate2_file import MODEL_FILE, read_whisper
from voxmill.operators.weights.registry import resolve

QWEN = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>", "<asr_text>",
)  # fmt: skip
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}<|audio_start|><|audio_pad|><|audio_end|>{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def whisper_base(folder: Path) -> Path:
    """Whisper base as `transformers` keeps it, from the file of CTranslate2 that a package carries."""
    import transformers as t

    source = resolve("whisper-base")
    found, told = read_whisper(source / MODEL_FILE), json.loads((source / "config.json").read_text(encoding="utf-8"))
    sizes = {name: value for name, value in found.network.items() if name != "model_type"}
    special = {"pad_token_id": 50257, "bos_token_id": 50257, "eos_token_id": 50257, "decoder_start_token_id": 50258}
    net = t.WhisperForConditionalGeneration(t.WhisperConfig(**sizes, **special))
    net.model.load_state_dict({name: value.float() for name, value in found.tensors.items()})
    net.proj_out.weight = net.model.decoder.embed_tokens.weight
    net.save_pretrained(folder)
    t.WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"), eos_token="<|endoftext|>")
    known = tokenizer.get_vocab()
    tokenizer.add_special_tokens({"additional_special_tokens": [name for name in known if name.startswith("<|")]})
    tokenizer.save_pretrained(folder)
    languages = {tokenizer.convert_ids_to_tokens(number): number for number in told["lang_ids"]}
    return _generates(
        folder, known, languages, told["alignment_heads"], special,
        {"suppress_tokens": told["suppress_ids"], "begin_suppress_tokens": told["suppress_ids_begin"], "max_length": 448},
    )  # fmt: skip


def tiny_whisper(folder: Path) -> Path:
    """A Whisper of two small layers with random values and a window of three seconds."""
    import transformers as t

    tiny_pretrained.write("whisper", folder, seed=3)
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(tiny_pretrained.SPECIAL)})
    tokenizer.save_pretrained(folder)
    known = tokenizer.get_vocab()
    special = {
        name: known[f"<|{token}|>"]
        for name, token in (
            ("pad_token_id", "endoftext"),
            ("bos_token_id", "endoftext"),
            ("eos_token_id", "endoftext"),
            ("decoder_start_token_id", "startoftranscript"),
        )
    }
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | special
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    languages = {name: known[name] for name in ("<|en|>", "<|zh|>", "<|haw|>")}
    return _generates(folder, known, languages, [[0, 0], [1, 1]], special, {"max_length": 40})


def _generates(
    folder: Path,
    known: dict[str, int],
    languages: dict[str, int],
    heads: list[Any],
    special: dict[str, int],
    more: dict[str, Any],
) -> Path:
    import transformers as t

    t.GenerationConfig(
        **special, **more, is_multilingual=True, lang_to_id=languages, alignment_heads=heads,
        task_to_id={"transcribe": known["<|transcribe|>"], "translate": known["<|translate|>"]},
        no_timestamps_token_id=known["<|notimestamps|>"],
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_moonshine(folder: Path) -> Path:
    """An encoder-decoder that is no Whisper, with random values."""
    import transformers as t

    tiny_pretrained.write("moonshine", folder, seed=1)
    tiny_pretrained.write_tokenizer(folder)
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    return folder


def tiny_wav2vec2(folder: Path) -> Path:
    """A CTC model with random values over seven characters and the space."""
    import transformers as t

    tiny_pretrained.write("wav2vec2", folder)
    vocabulary = {"<pad>": 0, "|": 1, **{letter: 2 + row for row, letter in enumerate("aeinrst")}}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    t.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), unk_token="<pad>", pad_token="<pad>", bos_token=None, eos_token=None
    ).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"pad_token_id": 0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def tiny_qwen3_asr(folder: Path) -> Path:
    """Qwen3-ASR of one small layer each with random values, by the classes of its package."""
    import tokenizers
    import transformers as t

    from voxmill.operators.vendors.qwen3_asr_classes import backend

    classes = backend()
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer, made.decoder = (
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        tokenizers.decoders.ByteLevel(),
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(["language English", "language Chinese", "thank you for the music"] * 5, trainer)
    tokenizer = t.Qwen2TokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens={"audio_token": "<|audio_pad|>", "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>"},
        additional_special_tokens=[name for name in QWEN if name != "<asr_text>"],
    )  # fmt: skip
    tokenizer.add_tokens(["<asr_text>"])
    known = tokenizer.get_vocab()
    text = {
        "vocab_size": len(known) + 8, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512, "initializer_range": 0.3,
        "rope_scaling": {"mrope_section": [4, 2, 2], "rope_type": "default", "interleaved": True, "mrope_interleaved": True},
        "pad_token_id": known["<|endoftext|>"],
    }  # fmt: skip
    audio = {
        "num_mel_bins": 128, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "d_model": 32, "output_dim": 32,
        "downsample_hidden_size": 8, "n_window": 50, "n_window_infer": 800,
    }  # fmt: skip
    thinker = {
        "text_config": text, "audio_config": audio, "audio_token_id": known["<|audio_pad|>"],
        "audio_start_token_id": known["<|audio_start|>"], "user_token_id": known["<|im_start|>"],
    }  # fmt: skip
    torch.manual_seed(0)
    net = classes.Qwen3ASRForConditionalGeneration(classes.Qwen3ASRConfig(thinker_config=thinker))
    net.save_pretrained(folder)
    extractor = t.WhisperFeatureExtractor(feature_size=128, return_attention_mask=True)
    classes.Qwen3ASRProcessor(extractor, tokenizer, chat_template=QWEN_TEMPLATE).save_pretrained(folder)
    return folder
