"""`experiment-ci init`: a first config that already fits a repository.

`look` reads a checkout into facts, `guess` turns facts into a proposal, `write` says it in YAML and on the terminal.
"""
