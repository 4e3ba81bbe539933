"""A trained model in use. In reading order:

`decode`, `attention_beam`, `transducer_beam`   searches over a head's predictions
`per_task`, `search`, `recognizer`   each task by itself; the search that is asked for; from audio to text and labels
`fusion`, `arpa`                     hotwords, and n-gram language models, in these searches
`ctc_align`, `recognized_words`      when tokens were said; words with times and confidences
`load`                               a model from a folder, with the options of a command line
`metrics`, `evaluate_split`          scores from references and predictions; a model evaluated on a split of shards
`onnx`, `export`, `…_export`         ONNX graphs; one budget as a model of its own, checked against the original
"""
