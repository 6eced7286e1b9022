"""Commit messages that ask for no build, in the words that GitHub's own CI knows.

docs.github.com, "Skipping workflow runs": `[skip ci]` and its kin anywhere in the message, or `skip-checks: true` among
the trailers at its end.
"""

import re

_WORDS = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
_TRAILER = re.compile(r"skip-checks: ?true", re.IGNORECASE)
_LONGEST = 65_536


def asks_to_skip(message: str) -> str:
    """Return the words by which a commit's message asks for no build, empty when it does not."""
    message = message[:_LONGEST]
    if found := _WORDS.search(message):
        return found[0]
    body, _, trailers = message.rstrip().rpartition("\n\n")
    if body:
        for line in trailers.split("\n"):
            if found := _TRAILER.fullmatch(line.strip()):
                return found[0]
    return ""
