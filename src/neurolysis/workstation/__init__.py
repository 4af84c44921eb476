"""The workstation: the local web server and its workers; it translates arguments and nothing else."""
