"""The network and its four switches. In reading order:

`budget`, `route`                  how much of an elastic model a call uses; per-call inputs of feed-forward layers
`feed_forward`, `smoe`, `emoe`     a dense layer; what replaces it: guided and elastic experts (`grouped_mlp`: fast on CPUs)
`attention`, `conformer`, `decoder`, `transducer`  encoder and heads
`sound_encoder`, `pretrained`      the interface of encoders; networks that others trained, as encoder and decoder
`vision`, `task_vectors`           tokens from video frames; vectors that switch tasks on
`layers`, `model`, `size`          which layer stands where; the whole model; its parameters counted
"""
