"""The network and its switches. To be read in this order:

`budget`, `moe`, `guided`  how much of a model to use; elastic experts; experts that a guide chooses (`feed_forward`: what they replace)
`attention`, `conformer`, `decoder`, `transducer`      encoder and heads
`vision`, `images`, `task_vectors`                     what the camera saw; which tasks are on
`assemble`, `model`, `size`                            where the switches meet; the whole; how large it is
"""
