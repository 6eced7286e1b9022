"""What the demo shows: each change of a check as it comes, and the comments at the end."""

import textwrap
from datetime import UTC, datetime

from bot.clock import SECOND, Clock
from bot.devhub import CheckRun, Pull

_SIGNS = {
    "success": "✅",
    "failure": "❌",
    "timed_out": "❌",
    "cancelled": "⏹ ",
    "skipped": "⏭ ",
    "neutral": "◻ ",
    "action_required": "✋",
}


class Terminal:
    """Prints a line for every check whose status, conclusion or title changed since it was last looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown: dict[int, tuple[str, str | None, str]] = {}

    def say(self, sentence: str) -> None:
        print(sentence, flush=True)

    def show(self, label: str, checks: list[CheckRun]) -> None:
        """Print what is new about a commit's checks; `label` says which commit it is."""
        for check in checks:
            title = check.output.title or ""
            now = (check.status, check.conclusion, title)
            if self._shown.get(check.id) == now:
                continue
            self._shown[check.id] = now
            sign = _SIGNS.get(check.conclusion or "", "⏳")
            state = check.conclusion or check.status
            print(f"{self._time()}  {label:<18} {sign} {check.name:<44} {state:<11} {title}", flush=True)

    def show_comments(self, repository: str, pull: Pull) -> None:
        """Print a pull request's comments as they are, indented."""
        for comment in pull.comments:
            felt = "".join(f" ({reaction.content})" for reaction in comment.reactions)
            print(f"\n  ── {repository}#{pull.number} “{pull.title}”: {comment.author.login} comments{felt}\n")
            print(textwrap.indent(comment.body, "  │ ", lambda _line: True), flush=True)

    def _time(self) -> str:
        return datetime.fromtimestamp(self._clock.now() / SECOND, UTC).strftime("%H:%M:%S")
