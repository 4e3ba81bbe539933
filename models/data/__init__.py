"""Shards to batches. To be read in this order:

`features`, `augment`      sound to log mel features, and what training does to it
`tokens`, `targets`        text and labels to token ids; what one utterance teaches (`inline`: where a label stands in a text)
`batch`                    what a step gets
`plan`, `examples`, `loader`   planned from the sidecars, exact to resume (`where`: a SQL condition; `denied`: what is revoked; `seeds`)
"""
