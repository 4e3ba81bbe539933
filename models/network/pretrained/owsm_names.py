"""The names of ESPnet's tensors of OWSM, and ours."""

from __future__ import annotations

import re

_ATTENTION = tuple(
    (f".linear_{theirs}.", f".{ours}.") for theirs, ours in (("q", "query"), ("k", "key"), ("v", "value"), ("out", "out"))
)
_NAMES = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"^normalize\.mean$", "frontend.mean_M"),
        (r"^normalize\.std$", "frontend.std_M"),
        (r"^encoder\.embed\.out\.0\.", "frontend.out."),
        (r"^encoder\.encoders\.(\d+)\.", r"encoder.layers.\1."),
        (r"^decoder\.decoders\.(\d+)\.", r"decoder.layers.\1."),
        (r"^decoder\.embed\.0\.", "decoder.embed."),
        (r"^decoder\.output_layer\.", "decoder.out."),
        (r"\.after_norm\.", ".norm."),
        (r"^ctc\.ctc_lo\.", "ctc."),
        (r"\.attn\.", ".attention."),
        (r"\.self_attn\.", ".itself."),
        (r"\.src_attn\.", ".sound."),
        (r"\.norm1\.", ".norm_itself."),
        (r"\.norm2\.", ".norm_sound."),
        (r"\.norm3\.", ".norm_feed_forward."),
        (r"\.norm_ff_macaron\.", ".norm_macaron."),
        (r"\.norm_ff\.", ".norm_feed_forward."),
        (r"\.norm_mha\.", ".norm_attention."),
        (r"\.norm_mlp\.", ".norm_gated."),
        (r"\.norm_final\.", ".norm_out."),
        (r"\.feed_forward_macaron\.", ".macaron."),
        (r"\.w_1\.", ".up."),
        (r"\.w_2\.", ".down."),
        (r"\.cgmlp\.channel_proj1\.0\.", ".gated.enter."),
        (r"\.cgmlp\.channel_proj2\.", ".gated.leave."),
        (r"\.cgmlp\.csgu\.norm\.", ".gated.norm."),
        (r"\.cgmlp\.csgu\.conv\.", ".gated.depthwise."),
        (r"\.depthwise_conv_fusion\.", ".depthwise."),
        (r"\.merge_proj\.", ".merge."),
        *((re.escape(theirs), ours) for theirs, ours in _ATTENTION),
    )
)
"""Their names and ours, applied in this order."""
_FRONT = re.compile(r"^encoder\.embed\.conv\.(\d+)\.")
"""A convolution of theirs, between which activations are counted too."""


def renamed(name: str) -> str:
    """Our name of a tensor of ESPnet's."""
    if match := _FRONT.match(name):
        return f"frontend.convolutions.{int(match[1]) // 2}.{name[match.end() :]}"
    for theirs, ours in _NAMES:
        name = theirs.sub(ours, name)
    return name
