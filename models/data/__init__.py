"""Shards to batches. In reading order:

`targets`, `label_positions`     what one utterance teaches: labels as token sequences; where a label stands in the text
`augment`                        changes to sound and features in training
`sampler`, `training_denylist`   which samples, in which order, in which batches; samples that must not be used
`examples`, `batch`, `loader`    a sample as a training example, examples as padded tensors, batches for any number of processes
"""
