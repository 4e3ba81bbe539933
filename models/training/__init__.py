"""What a step minimises, the loop, and what it leaves. To be read in this order:

`loss`, `schedule`, `team`, `train`            a step, and the ranks that share it
`checkpoint`, `checkpoint_json`                a model in a folder; nothing is ever unpickled
`recipe`, `training`, `journal`, `distributed` around the loop: its settings, in one process, what it tells, on several workers
"""
