"""Pretrained networks as parts of the model. In reading order:

`start_config`             which network a model starts from, and how it is tuned
`family`, `families`       what is particular to a kind of network: the interface, and the kinds that there are
`whisper`, `owsm`, `wav2vec2`, `w2v_bert`, `moonshine_encoder`   one kind each
`vendor_layers`            layers of transformers behind our interface
`ctranslate2_file`         Whisper as CTranslate2 keeps it
`espnet_folder`            a model as ESPnet's hub keeps it
`open_start`               a folder or a name on a hub, opened
"""
