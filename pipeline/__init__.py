"""How operators become a run. To be read in this order:

`config`, `stage`, `build`   the tree of settings; a stage as data; every stage of the line
`line`, `pack`               the one straight line, from sources to shards and tables
`state`                      what a run keeps: listing, units, ledger, tables, the lease
`execution`                  how keys get through stages: workers, the two executors, the gate before every host
`reports`, `revote`, `duplicates`, `settle`   questions to a run, and second thoughts about it
`rights`                     revocation and attribution
`console_script`, `cli`, `commands`   the command line, a file for each group of commands (`modelling`: what those for models need of the line)
"""
