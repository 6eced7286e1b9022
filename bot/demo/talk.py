"""What people say to the bot in the demo once they see what it is about: they approve, compare, press a button."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.devhub import Account, CheckRun, DevHub, Pull, Repository


@dataclass(frozen=True)
class Remark:
    """Something that somebody does once it `is_due`; `words` say what."""

    words: str
    is_due: Callable[[], bool]
    act: Callable[[], object]


class Talk:
    """What a person (`by`) is yet to do in a repository. `say` tells whoever watches."""

    def __init__(self, hub: DevHub, repository: Repository, by: Account, say: Callable[[str], None]) -> None:
        self._hub, self._repository, self._by, self._say = hub, repository, by, say
        self._to_come: list[Remark] = []

    @property
    def is_over(self) -> bool:
        return not self._to_come

    def comment(self, pull: Pull, words: str, after: Sequence[Pull]) -> None:
        """Let the person comment on a pull request once all checks that are shown at these heads have concluded."""
        self._plan(
            pull, words, lambda: all(map(self._is_done, after)), lambda: self._hub.comment(pull, words, by=self._by)
        )

    def rerun(self, pull: Pull, name: str, after: Sequence[Pull]) -> None:
        """Let the person press GitHub's own button beside a check later: it may be told after the roll-up."""

        def press() -> None:
            self._hub.rerequest_check_run(self._repository, self._checks(pull)[name], by=self._by)

        def is_due() -> bool:
            return name in self._checks(pull) and all(map(self._is_done, after))

        self._plan(pull, f"presses “Re-run” beside {name}", is_due, press)

    def go_on(self) -> None:
        """Do everything whose time has come."""
        for remark in [one for one in self._to_come if one.is_due()]:
            self._to_come.remove(remark)
            self._say(remark.words)
            remark.act()

    def _plan(self, pull: Pull, words: str, is_due: Callable[[], bool], act: Callable[[], object]) -> None:
        self._to_come.append(Remark(f"          {self._by.login}, on “{pull.title}”: {words}", is_due, act))

    def _is_done(self, pull: Pull) -> bool:
        checks = self._checks(pull)
        return bool(checks) and all(check.status == "completed" for check in checks.values())

    def _checks(self, pull: Pull) -> dict[str, CheckRun]:
        return {run.name: run for run in self._hub.checks(self._repository, pull.head_sha)}
