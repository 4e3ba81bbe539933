"""What the experiments share. To be read in this order:

`grammar`     what is said: sentences of a small grammar, with their slots
`voices`      by whom: synthesised voices, some held out for the test
`corpus`      the sound of it, as cached features small enough to travel
`lessons`     what a training learns of it: a list of values, and the project's own loader over them
`sizes`       the model and the training that all of them begin with; `estimate`: how long that takes
`trainings`   one training after the other, each resumable, each result kept
`hearing`     what CTC makes of the test (`saying`: the attention decoder)
`verdict`     seeds, spreads, tables, what makes a comparison void
`room`        the command line, and the run that appends its own results

And what one of them needs: `translation` (smoe), `dialogue` and `marked` (tokenverse), `digits` and `sight` (eva), `pseudo` (filter).
"""
