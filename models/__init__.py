"""What learns from shards. To be read in this order:

`features`, `augment`      sound to log mel features, and what training does to it
`tokens`, `targets`        text and labels to token ids; what one utterance teaches (`inline`: where a label stands in a text)
`budget`, `moe`, `guided`  how much of a model to use; elastic experts; experts that a guide chooses
`attention`, `conformer`, `decoder`, `transducer`, `vision`, `task_vectors`, `assemble`, `model`   the network, and its switches
`batch`, `loss`            what a step gets, and what it minimises
`plan`, `examples`, `data` shards to batches: planned from the sidecars, exact to resume (`where`: a SQL condition)
`recipe`, `schedule`, `team`, `train`, `checkpoint` (`checkpoint_json`)   training, and what it leaves
`training`, `journal`, `distributed`     around the loop: in one process, what it tells, on several workers
`decode`, `listen`, `images`, `export`   inference, video frames, ONNX
`opening`, `evaluate`, `trial`, `size`, `delivery`   a trained model in use: opened, judged, measured, handed over

Tensors are named by their axes: `x_BTD` has utterances, time and width; every file says its letters.
It needs torch, sentencepiece and safetensors, and nothing of crawling or recognisers; Ray is asked for by `distributed` alone.
"""
