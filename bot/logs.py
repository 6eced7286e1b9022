"""What the bot's own log looks like: one line for each message, whatever GitHub, git or a stranger put into it.

Names of branches, words of servers and texts of exceptions end up here. None of them may write a line of its own,
command the terminal that shows the log, or leave a credential in it.
"""

import copy
import logging
import re

from bot.core.text import clean

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CREDENTIALS = re.compile(
    r"\bgh[pousr]_\w{10,}"
    r"|\bgithub_pat_\w{10,}"
    r"|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
"""GitHub's tokens by their beginnings, JWTs, private keys. Nothing of ours logs one: this is the second wall."""


class LineFormatter(logging.Formatter):
    """Formats records as `FORM` says."""

    def __init__(self) -> None:
        super().__init__(FORM)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, and the lines of its traceback."""
        shown = copy.copy(record)  # other handlers have it, too
        message = clean(record.getMessage().replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
        shown.msg, shown.args = message.replace("\n", "\\n"), None
        return _CREDENTIALS.sub("***", clean(super().format(shown)))


def to_terminal() -> None:
    """Let everything from INFO on go to the standard error, as lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
