"""A trained model in use. To be read in this order:

`decode`, `listen`     searches over what the heads say; sound in, text and labels out
`opening`              from a folder, as a command line asks
`evaluate`, `trial`    figures from what was true and what was said; a model put to the test
`export`, `delivery`   ONNX; one budget as a model of its own, proved to be the same
"""
