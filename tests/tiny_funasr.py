"""Tiny FunASR models that the real `AutoModel` code loads offline: what they hear is noise, how they are run is real.

Written in seconds, a megabyte or less. They prove loading, batching, time stamps and tags; never quality. A config names the same
classes as the published models, with other sizes. Run as a script, it writes all of them: `tiny_funasr.py FOLDER`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import yaml

HIDDEN = 32
HAN = "今天气很好我们去公园语音识别测试"
TOKENS = ["<blank>", "<s>", "</s>", *dict.fromkeys(HAN), "hel@@", "lo", "world", "test@@", "ing", "<unk>"]
TAGS = ("<|zh|>", "<|NEUTRAL|>", "<|Speech|>", "<|woitn|>")
"""What the tiny SenseVoice says before its text, as the published one does: language, emotion, event, text normalisation."""

FBANK: dict[str, Any] = {"fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10}
SANM: dict[str, Any] = {
    "attention_heads": 2,
    "linear_units": 64,
    "num_blocks": 2,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
    "kernel_size": 11,
    "sanm_shfit": 0,  # FunASR's spelling
}
ENCODER: dict[str, Any] = {
    **SANM,
    "output_size": HIDDEN,
    "attention_dropout_rate": 0.1,
    "input_layer": "pe",
    "pos_enc_class": "SinusoidalPositionEncoder",
    "normalize_before": True,
    "selfattention_layer_type": "sanm",
}
PARAFORMER: dict[str, Any] = {
    "model": "BiCifParaformer",
    "model_conf": {
        "ctc_weight": 0.0,
        "lsm_weight": 0.1,
        "length_normalized_loss": True,
        "predictor_weight": 1.0,
        "predictor_bias": 1,
        "sampling_ratio": 0.75,
    },
    "encoder": "SANMEncoder",
    "encoder_conf": ENCODER,
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": {**SANM, "self_attention_dropout_rate": 0.1, "src_attention_dropout_rate": 0.1, "att_layer_num": 2},
    "predictor": "CifPredictorV3",
    "predictor_conf": {
        "idim": HIDDEN,
        "threshold": 1.0,
        "l_order": 1,
        "r_order": 1,
        "tail_threshold": 0.45,
        "smooth_factor2": 0.25,
        "noise_threshold2": 0.01,
        "upsample_times": 3,
        "use_cif1_cnn": False,
        "upsample_type": "cnn_blstm",
    },
    "frontend": "WavFrontend",
    "frontend_conf": {**FBANK, "lfr_m": 7, "lfr_n": 6, "dither": 1.0},
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
}
SEACO: dict[str, Any] = {
    **PARAFORMER,
    "model": "SeacoParaformer",
    "model_conf": {
        **PARAFORMER["model_conf"],
        "inner_dim": HIDDEN,
        "bias_encoder_type": "lstm",
        "bias_encoder_bid": False,
        "seaco_weight": 1.0,
        "NO_BIAS": len(TOKENS) - 1,
    },
    "seaco_decoder": "ParaformerSANMDecoder",
    "seaco_decoder_conf": {
        **PARAFORMER["decoder_conf"],
        "wo_input_layer": True,
        "use_output_layer": False,
    },
}
SENSEVOICE: dict[str, Any] = {
    "model": "SenseVoiceSmall",
    "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    "encoder": "SenseVoiceEncoderSmall",
    "encoder_conf": {**ENCODER, "tp_blocks": 1},
    "frontend": "WavFrontend",
    "frontend_conf": {**FBANK, "lfr_m": 7, "lfr_n": 6, "dither": 1.0},
    "tokenizer": "SentencepiecesTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
}
FSMN_VAD: dict[str, Any] = {
    "model": "FsmnVADStreaming",
    "model_conf": {
        "sample_rate": 16000,
        "detect_mode": 1,
        "snr_mode": 0,
        "max_end_silence_time": 800,
        "max_start_silence_time": 3000,
        "do_start_point_detection": True,
        "do_end_point_detection": True,
        "window_size_ms": 200,
        "sil_to_speech_time_thres": 150,
        "speech_to_sil_time_thres": 150,
        "speech_2_noise_ratio": 1.0,
        "do_extend": 1,
        "lookback_time_start_point": 200,
        "lookahead_time_end_point": 100,
        "max_single_segment_time": 60000,
        "snr_thres": -100.0,
        "noise_frame_num_used_for_snr": 100,
        "decibel_thres": -100.0,
        "speech_noise_thres": 0.6,
        "fe_prior_thres": 0.0001,
        "silence_pdf_num": 1,
        "sil_pdf_ids": [0],
        "speech_noise_thresh_low": -0.1,
        "speech_noise_thresh_high": 0.3,
        "output_frame_probs": False,
        "frame_in_ms": 10,
        "frame_length_ms": 25,
    },
    "encoder": "FSMN",
    "encoder_conf": {
        "input_dim": 400,
        "input_affine_dim": 32,
        "fsmn_layers": 2,
        "linear_dim": 32,
        "proj_dim": 16,
        "lorder": 20,
        "rorder": 0,
        "lstride": 1,
        "rstride": 0,
        "output_affine_dim": 32,
        "output_dim": 8,
    },
    "frontend": "WavFrontendOnline",
    "frontend_conf": {**FBANK, "lfr_m": 5, "lfr_n": 1, "dither": 0.0},
}


def write_paraformer(folder: Path, seaco: bool = False, seed: int = 0) -> Path:
    """A Paraformer with time stamps; `seaco` writes the kind that is published as paraformer-zh."""
    return _write(folder, SEACO if seaco else PARAFORMER, {"tokens.json": json.dumps(TOKENS, ensure_ascii=False)}, seed)


def write_sensevoice(folder: Path, seed: int = 0) -> Path:
    """A SenseVoiceSmall that has been taught one thing: to say `TAGS` first, and none of them later.

    Its files are found through `configuration.json`, as in the published folder; Paraformer's by their usual names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sentencepieces(folder / "spectok.bpe.model")
    paths = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": "spectok.bpe.model"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    _write(folder, SENSEVOICE, {"configuration.json": json.dumps({"framework": "pytorch", "file_path_metas": paths})}, seed)
    _teach_tags(folder)
    return folder


def write_fsmn_vad(folder: Path, seed: int = 0) -> Path:
    """A streaming FSMN voice activity detector."""
    return _write(folder, FSMN_VAD, {}, seed)


def write_all(home: Path) -> None:
    """One of each, in `paraformer`, `seaco`, `sensevoice` and `fsmn-vad`."""
    write_paraformer(home / "paraformer")
    write_paraformer(home / "seaco", seaco=True)
    write_sensevoice(home / "sensevoice")
    write_fsmn_vad(home / "fsmn-vad")


def load(folder: Path) -> Any:
    from funasr import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):  # it lists every weight that a first checkpoint lacks
        return AutoModel(
            model=str(folder), device="cpu", ncpu=1, disable_update=True, disable_pbar=True, disable_log=True, log_level="ERROR"
        )


def _write(folder: Path, config: dict[str, Any], files: dict[str, str], seed: int) -> Path:
    """Config, statistics, tokens, and weights as the library itself initialises them."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "seed": seed}, allow_unicode=True, sort_keys=False))
    for name, text in files.items():
        (folder / name).write_text(text)
    _mean_variance(folder / "am.mvn", config["frontend_conf"]["lfr_m"] * config["frontend_conf"]["n_mels"])
    torch.save({"state_dict": {}}, folder / "model.pt")  # the loader wants a checkpoint; missing keys keep their initial values
    torch.save({"state_dict": load(folder).model.state_dict()}, folder / "model.pt")
    return folder


def _mean_variance(path: Path, dim: int) -> None:
    """Feature statistics in Kaldi's text form: subtract a plausible mean of log energies, divide by a plausible spread."""
    shift, scale = " ".join(["-10.0"] * dim), " ".join(["0.2"] * dim)
    path.write_text(
        f"<Nnet>\n<Splice> {dim} {dim}\n[ 0 ]\n<AddShift> {dim} {dim}\n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> {dim} {dim}\n<LearnRateCoef> 0 [ {scale} ]\n</Nnet>\n"
    )


def _sentencepieces(path: Path) -> None:
    """A tokenizer of under 200 pieces, with the tags as symbols of their own."""
    import sentencepiece

    lines = [HAN, "hello world testing one two three", "the quick brown fox jumps over the lazy dog", *HAN]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=200,
        hard_vocab_limit=False,
        character_coverage=1.0,
        model_type="unigram",
        add_dummy_prefix=False,  # so that a piece encodes back to itself, as FunASR's time stamps need
        user_defined_symbols=[
            *TAGS,
            "<|en|>",
            "<|nospeech|>",
            *(f"<|unused{i}|>" for i in range(120)),
        ],  # FunASR names piece 124
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())


def _teach_tags(folder: Path, steps: int = 80) -> None:
    """Fit the four query frames to the four tags, and the others to some ordinary piece, on random features."""
    import torch

    auto = load(folder)
    model, pieces, size = auto.model, auto.kwargs["tokenizer"].sp, auto.kwargs["input_size"]
    generator = torch.Generator().manual_seed(0)
    tags = torch.tensor([pieces.PieceToId(tag) for tag in TAGS]).repeat(4, 1)
    ordinary = [i for i in range(3, pieces.GetPieceSize()) if not pieces.IdToPiece(i).startswith("<|")]
    sounds = torch.tensor(ordinary)
    chart = torch.randn(size, len(sounds), generator=generator)  # which sound a frame is: some fixed function of it
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        frames = torch.randn(4, 20, size, generator=generator)
        queries = model.embed(torch.tensor([[0, 1, 2, 15]])).repeat(4, 1, 1)
        encoded, _ = model.encoder(torch.cat((queries, frames), dim=1), torch.full((4,), 24))
        wanted = torch.cat((tags, sounds[(frames @ chart).argmax(-1)]), dim=1)
        loss = torch.nn.functional.cross_entropy(model.ctc.ctc_lo(encoded).transpose(1, 2), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.save({"state_dict": model.state_dict()}, folder / "model.pt")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
