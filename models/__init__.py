"""What learns from shards. To be read in this order:

`features`, `augment`      sound to log mel features, and what training does to it
`tokens`, `targets`        text and labels to token ids; what one utterance teaches (`inline`: where a label stands in a text)
`budget`, `moe`, `guided`  how much of a model to use; elastic experts; experts that a guide chooses
`attention`, `conformer`, `decoder`, `transducer`, `vision`, `task_vectors`, `assemble`, `model`   the network, and its switches
`batch`, `loss`            what a step gets, and what it minimises
`plan`, `examples`, `data` shards to batches: planned from the sidecars, exact to resume (`where`: a SQL condition)
`recipe`, `schedule`, `train`, `checkpoint`   training, and what it leaves
`decode`, `listen`, `images`, `export`        inference, video frames, ONNX

Tensors are named by their axes: `x_BTD` has utterances, time and width; every file says its letters.
It needs torch, sentencepiece and safetensors, and nothing of crawling, recognisers or Ray.
"""
