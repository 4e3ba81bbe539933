"""A model that is still a Whisper, as a folder that the package transformers loads, with its tokeniser and what makes its features.

Our tokens are Whisper's and new ones behind them, moved up by one for CTC's blank, which is left out here. So are a CTC head and a transducer:
transformers' network has none. Shape suffixes: B utterances, T feature frames, M mel bins, U tokens, V vocabulary.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.tasks import TASKS
from voxmill.models.common.tokenizer import EOT, SOT, TRANSCRIBE, class_token, translate_token
from voxmill.models.inference.per_task import own_tokens
from voxmill.models.network.model import Conditions, ModelConfig, SpeechModel
from voxmill.models.network.pretrained.open_start import TOKENIZER
from voxmill.models.network.pretrained.vendor_layers import vendor
from voxmill.models.network.pretrained.whisper import own_name

_OF_GENERATION = ("forced_decoder_ids", "suppress_tokens", "begin_suppress_tokens", "max_length", "preprocessor")
"""Keys of an old Whisper's `config.json` that belong to `generation_config.json`, and ours for what makes features."""


def refuse_transformers(config: ModelConfig) -> None:
    """Raises UserError for a model that is no network of transformers."""
    start = config.start
    lacks = {
        "it did not start from a Whisper (model.start)": start is None or (start.network or {}).get("model_type") != "whisper",
        "its decoder is not Whisper's (model.start.parts)": start is not None and start.parts != "all",
        "it has elastic experts (model.emoe)": config.emoe is not None,
        "it has guided experts (model.smoe)": config.smoe is not None,
        "it looks at video (model.vision)": config.vision is not None,
        "it has task vectors (model.tasks)": config.tasks is not None,
    }
    if found := [why for why, so in lacks.items() if so]:
        raise UserError(f"transformers has no network like this model: {'; '.join(found)}; take --format safetensors")


@torch.no_grad()
def export_transformers(bundle: Bundle, folder: Path) -> None:
    """Writes the folder. Raises UserError as `refuse_transformers` does, and Unavailable without transformers."""
    refuse_transformers(bundle.model.config)
    t, ours, config = vendor(), bundle.model.state_dict(), _config(bundle)
    net = t.WhisperForConditionalGeneration(config)
    net.load_state_dict(
        {name: _tensor(ours, name.removeprefix("model.")) for name in net.model.state_dict(prefix="model.")}, strict=False
    )
    net.tie_weights()  # its output layer is the embedding
    net.generation_config = _generation(bundle, config)
    net.save_pretrained(folder)
    t.WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=config.max_source_positions // 50).save_pretrained(
        folder
    )
    (folder / TOKENIZER).write_text(json.dumps(_with_new_tokens(bundle), ensure_ascii=False), encoding="utf-8")
    about = {
        "tokenizer_class": "WhisperTokenizer",
        "model_max_length": config.max_target_positions,
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


@torch.no_grad()
def transformers_difference(model: SpeechModel, folder: Path, batch: int = 2, tokens: int = 7) -> float:
    """Largest absolute difference of the logits of a random window of sound to those of the folder, as transformers loads it."""
    net = vendor().WhisperForConditionalGeneration.from_pretrained(folder).eval()
    model, generator = model.cpu().eval(), torch.Generator().manual_seed(tokens)
    frames = 2 * net.config.max_source_positions
    feature_BTM = torch.rand(batch, frames, net.config.num_mel_bins, generator=generator)
    token_BU = torch.randint(0, net.config.vocab_size, (batch, tokens), generator=generator)
    theirs_BUV = net(input_features=feature_BTM.transpose(1, 2), decoder_input_ids=token_BU).logits
    encoded = model.encode(feature_BTM, torch.full((batch,), frames), Conditions())
    return float((model.decode(token_BU + 1, encoded)[..., 1:] - theirs_BUV).abs().max())


def _tensor(ours: dict[str, torch.Tensor], theirs: str) -> torch.Tensor:
    tensor = ours[own_name(theirs)]
    return tensor[1:] if theirs == "decoder.embed_tokens.weight" else tensor


def _config(bundle: Bundle) -> Any:
    start, tokens = bundle.model.config.start, bundle.tokens
    assert start is not None
    network = {key: value for key, value in (start.network or {}).items() if key not in _OF_GENERATION}
    end = tokens[EOT] - 1
    ids = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": tokens[SOT] - 1}
    return vendor().WhisperConfig(**{**network, **ids, "vocab_size": len(tokens) - 1})


def _generation(bundle: Bundle, config: Any) -> Any:
    """The prompt as `generate` makes it, and that nothing is said which the model has not learnt to say."""
    tokens = bundle.tokens
    languages = [name for name in tokens.config.language if name != "nospeech"]
    forbidden = [token for task in TASKS if task not in bundle.tasks for token in own_tokens(task, tokens)]
    translates = {"translate": tokens[translate_token("en")] - 1} if "en" in tokens.config.translate_to else {}
    return vendor().GenerationConfig(
        pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        max_length=config.max_target_positions,
        is_multilingual=True,
        lang_to_id={class_token(name): tokens[class_token(name)] - 1 for name in languages},
        task_to_id={"transcribe": tokens[TRANSCRIBE] - 1, **translates},
        suppress_tokens=sorted(token - 1 for token in forbidden),
        **({"no_timestamps_token_id": tokens.after_task[0] - 1} if tokens.after_task else {}),
    )


def _with_new_tokens(bundle: Bundle) -> dict[str, Any]:
    """Its `tokenizer.json`, and our tokens that it lacks."""
    document: dict[str, Any] = json.loads(bundle.tokens.subwords)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    document["added_tokens"] += [
        {"id": token - 1, "content": bundle.tokens.name(token), **plain}
        for token in range(bundle.tokens.num_given, len(bundle.tokens))
    ]
    return document
