"""Training. In reading order:

`loss`, `schedule`, `data_parallel`, `forward`, `trainer`   what a step minimises, the learning rate, several ranks, the loop
`pretrained_start`                   a pretrained network as the beginning: sizes, tokeniser, values, what is frozen, rates
`recipe`, `session`, `metrics_log`   all settings of a training; running one in this process; what it writes for people
`ray_train`                          running one on several workers of a Ray cluster
"""
