"""A trained model in use. In reading order:

`decode`, `per_task`, `recognizer`   searches over a head's predictions; each task by itself; from audio to text and labels
`load`                               a model from a folder, with the options of a command line
`metrics`, `evaluate_split`          scores from references and predictions; a model evaluated on a split of shards
`onnx`, `export`                     ONNX graphs; one budget as a model of its own, checked against the original
"""
