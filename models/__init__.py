"""What learns from shards. Four rooms, to be read in this order: `data`, `network`, `training`, `inference`.

Tensors are named by their axes: `x_BTD` has utterances, time and width; every file says its letters.
It needs torch, sentencepiece and safetensors, and nothing of crawling or recognisers; Ray is asked for by `training.distributed` alone.
"""
