"""Experiment CI: a GitHub App that runs a repository's experiments and reports them as checks."""

__version__ = "0.1.0"
