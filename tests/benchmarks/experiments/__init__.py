"""What the experiments share. To be read in this order:

`grammar`     what is said: sentences of a small grammar, with their slots
`voices`      by whom: synthesised voices, some held out for the test
`corpus`      the sound of it, as cached features small enough to travel
`lessons`     what a training learns of it: a list of values, and the project's own loader over them
`sizes`       the model and the recipe that every arm begins with
`trainings`   one training after the other, each resumable, each result kept
`hearing`     what a trained model makes of the test, and how fast
`verdict`     seeds, spreads, what makes a comparison void
`estimate`    how long a full run takes
`room`        the command line, and the run that appends its own results

The rest belongs to one experiment each and says so.
"""
