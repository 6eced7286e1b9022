"""Why nothing is run."""


class CannotRun(Exception):
    """Nothing was run; the message says why, and what to do."""
