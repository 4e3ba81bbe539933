"""What the experiments share. To be read in this order:

`grammar`     what is said: sentences of a small grammar, with their slots
`voices`      by whom: synthesised voices, some held out for the test
`corpus`      the sound of it, as cached features small enough to travel
`lessons`     what a training learns of it: a list of values, and the project's own loader over them
`trainings`   one training after the other, each resumable, each result kept
`verdict`     seeds, spreads, tables, what makes a comparison void
`room`        the command line, and the run that appends its own results
"""
