"""A speech model trained from shards. In reading order: `common`, `data`, `network`, `checkpoint`, `inference`, `training`.

Imports point to the left: `data` and `network` know `common` only, `checkpoint` knows these three, `inference` and `training`
know all of them but not each other.

Tensors are named by their axes: `x_BTD` has B utterances, T positions and width D; every file lists its letters.
Needs torch, sentencepiece and safetensors, and nothing of crawling or transcription; only `training/ray_train.py` imports Ray.
"""
