"""A story for a soak: what people do on GitHub and what their experiments do, as a seed tells it.

The author knows nothing of the bot. What he does not do: a second act within the same second (GitHub's times have
seconds, so that nobody could tell their order), and meddle twice with our comment of one pull request (that is meant).
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bot.clock import SECOND, ManualClock
from bot.devhub import Account, CheckRun, Comment, DevHub, Pull, Repository
from bot.devhub.git import GitError
from tests.scenarios.scripted import ScriptedBackend

_STEP = """\
      - name: {name}
        command: experiment.run_single_node
        timeout: 1h
        params: {{command: python3 {name}.py}}
"""
_GATE = """\
        checks:
          custom:loss: {target: ..0.5, aggregate: /loss}
"""
_FIT = _STEP.format(name="fit")
_TRAIN = "version: 2\nworkflows:\n  train:\n"
_PLAIN = f"{_TRAIN}    steps:\n{_FIT}{_GATE}"
CONFIGS = {
    "plain": _PLAIN,
    "two steps": _PLAIN + _STEP.format(name="evaluate"),
    "matrix": f"{_TRAIN}    steps:\n{_FIT}        matrix: {{size: [1, 2]}}\n{_GATE}",
    "every branch": f"{_TRAIN}    triggers: {{branches: {{only: '.*'}}}}\n    steps:\n{_FIT}{_GATE}",
    "turns": f"{_TRAIN}    concurrency: {{group: gpu}}\n    steps:\n{_FIT}{_GATE}",
    "replacing": f"{_TRAIN}    concurrency: {{group: 'of-{{branch}}', cancel: true}}\n    steps:\n{_FIT}{_GATE}",
    "on command": f"{_PLAIN}  bench:\n    triggers: {{events: [command]}}\n    steps:\n{_STEP.format(name='speed')}",
    "broken": "version: 2\nworkflows: {train: {stepps: []}}\n",
}
_PATH = ".ps_project/config.yaml"
_COMMANDS = (
    """
run|run train|run nothing|run train LR=0.1|rerun|rerun failed|rerun train / fit|rerun nonsense|cancel|cancel train
status|help|compare main|compare nowhere|dance|approve 0000000000000000000000000000000000000000
""".strip()
    .replace("\n", "|")
    .split("|")
)
_ROLES = {"mona": "write", "mark": "maintain", "tria": "triage", "rea": "read"}
_BRANCHES = ("one", "two", "three", "four", "five", "six", "seven", "eight")


class Author:
    """Writes the story act by act. `told` is what was done, in words, `count` how often of each kind."""

    def __init__(self, hub: DevHub, seed: int) -> None:
        self.hub, self._dice = hub, random.Random(f"people {seed}")  # noqa: S311 - to be repeated, not to be secret
        self.told: list[str] = []
        self.count: Counter[str] = Counter()
        self._serial = 0
        self._meddled: set[Pull] = set()
        self._people = [hub.add_user(login) for login in _ROLES]
        self.repositories = [
            self._create(*name) for name in (("acme", "digits"), ("acme", "words"), ("umbra", "letters"))
        ]
        self._forks = [hub.fork(repository, "stranger") for repository in (self.repositories[0], self.repositories[2])]

    def _create(self, owner: str, name: str) -> Repository:
        repository = self.hub.create_repository(owner, name)
        for login, role in _ROLES.items():
            self.hub.set_role(repository, login, role)  # type: ignore[arg-type]
        files = {_PATH: CONFIGS["plain"], "fit.py": "print(0)\n"}
        self.hub.commit_files(repository, files, message="First")
        self.hub.commit_files(repository, {"notes": "for the release\n"}, branch="release", message="Release")
        return repository

    @property
    def pushes(self) -> int:
        return self.count["push"] + self.count["push to pull"]

    @property
    def pulls(self) -> list[Pull]:
        return [pull for repository in self.repositories for pull in repository.pulls.values()]

    def act(self, pushes: int, pulls: int) -> str:
        """Do one thing that is possible now, pushing and proposing until there were so many; return what was done."""
        weights: dict[Callable[[], str], int] = {
            self._push: 22 if self.pushes < pushes else 0,
            self._push_to_pull: 24 if self.pushes < pushes else 0,
            self._propose: 10 if len(self.pulls) < pulls else 0,
            self._say: 14,
            self._press: 8,
            self._close: 3,
            self._reopen: 2,
            self._merge: 3,
            self._retarget: 2,
            self._redraft: 3,
            self._entitle: 1,
            self._queue: 3,
            self._unqueue: 3,
            self._delete_branch: 2,
            self._tag: 1,
            self._rewind: 2,
            self._meddle: 2,
            self._rename: 1,
        }
        for _ in range(50):
            [chosen] = self._dice.choices(list(weights), list(weights.values()))
            done = chosen()
            if done:
                self.count[chosen.__name__.strip("_").replace("_", " ")] += 1
                self.told.append(done)
                return done
        raise AssertionError("nothing is possible any more")

    # Who, where

    def _one(self, *logins: str) -> Account:
        return self.hub.add_user(self._dice.choice(logins))

    def _repository(self) -> Repository:
        return self._dice.choice(self.repositories)

    def _open(self) -> Pull | None:
        found = [pull for pull in self.pulls if pull.is_open]
        # What was opened lately is looked at most.
        return self._dice.choice(found[-12:]) if found else None

    def _branches(self, repository: Repository) -> list[str]:
        refs = self.hub.site.git(repository).refs()
        return [ref.removeprefix("refs/heads/") for ref in sorted(refs) if ref.startswith("refs/heads/")]

    def _files(self) -> tuple[dict[str, str], str]:
        self._serial += 1
        files, message = {f"work/{self._serial}": f"{self._serial}\n"}, f"Work {self._serial}"
        if self._dice.random() < 0.12:
            kind = self._dice.choice(list(CONFIGS))
            files[_PATH], message = CONFIGS[kind], f"{message}, {kind}"
        if self._dice.random() < 0.05:
            message += "\n\n" + self._dice.choice(["[skip ci]", "skip-checks: true"])
        return files, message

    # Pushes

    def _push(self) -> str:
        repository, branch = self._repository(), self._dice.choice(("main", "release", *_BRANCHES))
        files, message = self._files()
        if branch == "main" and self._dice.random() < 0.5:
            files.pop(_PATH, None)
        sha = self.hub.commit_files(repository, files, branch=branch, message=message, by=self._one("mona", "mark"))
        return f"push {sha[:7]} to {repository.full_name}:{branch}"

    def _push_to_pull(self) -> str:
        pull = self._open()
        if pull is None or not self._has_head(pull):
            return ""
        files, message = self._files()
        by = self.hub.add_user("stranger") if pull.is_fork else self._one("mona", "mark")
        sha = self.hub.commit_files(pull.head_repository, files, branch=pull.head_ref, message=message, by=by)
        return f"push {sha[:7]} to {_named(pull)}"

    def _rewind(self) -> str:
        """Force a branch back to where it was, and on from there."""
        pull = self._open()
        if pull is None or not self._has_head(pull):
            return ""
        commits = self.hub.site.git(pull.head_repository).log(pull.head_sha, limit=3)
        files, message = self._files()
        by = self.hub.add_user("stranger") if pull.is_fork else self._one("mona")
        sha = self.hub.commit_files(
            pull.head_repository, files, branch=pull.head_ref, message=message, parent=commits[-1].sha, by=by
        )
        return f"force {sha[:7]} to {_named(pull)}"

    def _delete_branch(self) -> str:
        repository = self._repository()
        found = [name for name in self._branches(repository) if name in _BRANCHES]
        if not found:
            return ""
        branch = self._dice.choice(found)
        self.hub.delete_branch(repository, branch, by=self._one("mona"))
        return f"delete {repository.full_name}:{branch}"

    def _tag(self) -> str:
        repository = self._repository()
        self._serial += 1
        sha = self.hub.site.git(repository).tip("main")
        assert sha is not None
        self.hub.tag(repository, f"v{self._serial}", sha)
        return f"tag {repository.full_name} v{self._serial}"

    # Pull requests

    def _has_head(self, pull: Pull) -> bool:
        return self.hub.site.git(pull.head_repository).tip(pull.head_ref) is not None

    def _propose(self) -> str:
        if self._dice.random() < 0.2:
            return self._propose_from_fork()
        repository = self._repository()
        self._serial += 1
        taken = {pull.head_ref for pull in repository.open_pulls()}
        old = [name for name in self._branches(repository) if name in _BRANCHES and name not in taken]
        branch = self._dice.choice([*old, f"idea-{self._serial}"])
        if branch not in old:
            files, message = self._files()
            self.hub.commit_files(repository, files, branch=branch, message=message, by=self._one("mona"))
        base = self._dice.choice(("main", "main", "main", "release"))
        by = self._one("mona", "mona", "mark", "rea")
        draft = self._dice.random() < 0.1
        pull = self.hub.open_pull(repository, head=branch, base=base, title=branch, by=by, draft=draft)
        return f"open {_named(pull)} of {branch} onto {base} by {by.login}"

    def _propose_from_fork(self) -> str:
        fork = self._dice.choice(self._forks)
        repository = fork.parent
        assert repository is not None
        self._serial += 1
        branch, (files, message) = f"gift-{self._serial}", self._files()
        self.hub.commit_files(fork, files, branch=branch, message=message)
        pull = self.hub.open_pull(repository, head=branch, head_repository=fork, title=branch)
        return f"open {_named(pull)} from a fork"

    def _close(self) -> str:
        pull = self._open()
        if pull is None:
            return ""
        self.hub.close_pull(pull, by=self._one("mona"))
        return f"close {_named(pull)}"

    def _reopen(self) -> str:
        found = [pull for pull in self.pulls if not pull.is_open and pull.merged_at is None and self._can_reopen(pull)]
        if not found:
            return ""
        pull = self._dice.choice(found)
        self.hub.reopen_pull(pull, by=self._one("mona"))
        return f"reopen {_named(pull)}"

    def _can_reopen(self, pull: Pull) -> bool:
        """GitHub reopens only what nobody moved, and only one of a branch."""
        same = [other for other in pull.repository.open_pulls() if other.head_ref == pull.head_ref]
        return not same and self.hub.site.git(pull.head_repository).tip(pull.head_ref) == pull.head_sha

    def _merge(self) -> str:
        pull = self._open()
        if pull is None or pull.is_draft:
            return ""
        try:
            self.hub.merge_pull(pull, by=self._one("mona"))
        except GitError:
            return ""
        return f"merge {_named(pull)}"

    def _retarget(self) -> str:
        pull = self._open()
        if pull is None:
            return ""
        base = "release" if pull.base_ref == "main" else "main"
        self.hub.edit_base(pull, base, by=self._one("mona"))
        return f"turn {_named(pull)} to {base}"

    def _redraft(self) -> str:
        pull = self._open()
        if pull is None:
            return ""
        (self.hub.mark_ready if pull.is_draft else self.hub.convert_to_draft)(pull)
        return f"{'draft' if pull.is_draft else 'ready'} {_named(pull)}"

    def _entitle(self) -> str:
        pull = self._open()
        if pull is None:
            return ""
        self.hub.edit_pull(pull, f"{pull.title}!")
        return f"title of {_named(pull)}"

    def _queue(self) -> str:
        pull = self._open()
        if pull is None or pull.is_queued:
            return ""
        try:
            sha = self.hub.request_merge_group(pull)
        except GitError:
            return ""
        return f"queue {_named(pull)} as {sha[:7]}"

    def _unqueue(self) -> str:
        groups = [(repository, sha) for repository in self.repositories for sha in repository.merge_groups]
        if not groups:
            return ""
        repository, sha = self._dice.choice(groups)
        reason = self._dice.choice(("merged", "dequeued", "invalidated"))
        is_open = repository.merge_groups[sha].pull.is_open
        try:
            self.hub.destroy_merge_group(repository, sha, reason if is_open else "dequeued")  # type: ignore[arg-type]
        except ValueError:
            self.hub.destroy_merge_group(repository, sha, "invalidated")
        return f"end the group {sha[:7]} ({reason})"

    # Words and buttons

    def _say(self) -> str:
        pull = self._open()
        if pull is None:
            return ""
        who = self._one("mona", "mona", "mark", "tria", "rea", "stranger")
        if self._dice.random() < 0.25:
            words = f"/experiment approve {pull.head_sha}"
        else:
            words = f"/experiment {self._dice.choice(_COMMANDS)}"
        if self._dice.random() < 0.1:
            words = self._dice.choice(
                [f"> {words}", f"Looks good.\n\n{words}", f"{words}\n/experiment status", "Nice!"]
            )
        self.hub.comment(pull, words, by=who)
        return f"{who.login} on {_named(pull)}: {words!r}"

    def _press(self) -> str:
        repository = self._repository()
        suites = [suite for suite in repository.suites.values() if suite.runs][-15:]
        if not suites:
            return ""
        suite, who = self._dice.choice(suites), self._one("mona", "mark", "rea")
        run: CheckRun = self._dice.choice(suite.latest())
        if self._dice.random() < 0.3:
            self.hub.rerequest_check_suite(repository, suite, by=who)
            return f"{who.login} runs all of {suite.sha[:7]} again"
        if run.actions and self._dice.random() < 0.5:
            action = self._dice.choice(run.actions)["identifier"]
            self.hub.request_action(repository, run, action, by=who)
            return f"{who.login} presses {action} on {run.name} of {suite.sha[:7]}"
        self.hub.rerequest_check_run(repository, run, by=who)
        return f"{who.login} runs {run.name} of {suite.sha[:7]} again"

    def _meddle(self) -> str:
        found = [(pull, comment) for pull in self.pulls if pull not in self._meddled for comment in mine(pull)]
        if not found:
            return ""
        pull, comment = self._dice.choice(found)
        self._meddled.add(pull)
        if self._dice.random() < 0.5:
            self.hub.delete_comment(pull, comment, by=self._one("mona"))
            return f"delete our comment on {_named(pull)}"
        self.hub.edit_comment(pull, comment, "Nothing to see here", by=self._one("mona"))
        return f"edit our comment on {_named(pull)}"

    # Repositories

    def _rename(self) -> str:
        repository = self._repository()
        self._serial += 1
        old = repository.full_name
        self.hub.rename_repository(repository, f"{repository.name.partition('-')[0]}-{self._serial}")
        return f"rename {old} to {repository.full_name}"


def mine(pull: Pull) -> list[Comment]:
    """The comments of the bot."""
    return [comment for comment in pull.comments if comment.author.kind == "Bot"]


def _named(pull: Pull) -> str:
    return f"{pull.repository.full_name}#{pull.number}"


class Machine:
    """Runs what the backend was given: how long, and to which end, depends on the seed, the commit and the number."""

    ENDS = ("good",) * 9 + ("bad",) * 3 + ("silent", "exit", "exit", "exit", "lost", "platform", "interrupted", "long")

    def __init__(self, backend: ScriptedBackend, clock: ManualClock, seed: int) -> None:
        self._backend, self._clock, self._seed = backend, clock, seed
        self._numbers: Counter[str] = Counter()
        self._plans: dict[str, tuple[int, int, str]] = {}
        self._begun: set[str] = set()
        self._interrupted: set[str] = set()
        self.ends: dict[str, str] = {}

    def was_interrupted(self, attempt: str) -> bool:
        return attempt in self._interrupted

    def work(self) -> None:
        """Let everything that was submitted go on as far as the clock has come."""
        now = self._clock.now()
        for attempt, spec in list(self._backend.specs.items()):
            if attempt in self._backend.cancelled:
                self.ends.setdefault(attempt, "cancelled")
            if attempt in self.ends:
                continue
            if attempt not in self._plans:
                self._plans[attempt] = self._plan(now, spec.labels["sha"])
            begins, ends, how = self._plans[attempt]
            if now >= begins and attempt not in self._begun:
                self._begun.add(attempt)
                self._backend.begin(attempt)
            if now >= ends:
                self._end(attempt, how, Path(spec.run_dir))

    def _plan(self, now: int, sha: str) -> tuple[int, int, str]:
        self._numbers[sha] += 1
        dice = random.Random(f"{self._seed} {sha} {self._numbers[sha]}")  # noqa: S311 - to be repeated
        begins = now + dice.randint(1, 90) * SECOND
        how = dice.choice(self.ENDS)
        return begins, begins + dice.randint(5, 900) * SECOND, how

    def _end(self, attempt: str, how: str, directory: Path) -> None:
        if how == "interrupted":
            self._interrupted.add(attempt)
            self._backend.interrupt(attempt)
            self._plans[attempt] = (0, self._clock.now() + 60 * SECOND, "good")
            return
        if how == "long":  # it has a timeout, which the bot keeps
            return
        self.ends[attempt] = how
        if how == "exit":
            self._backend.fail(attempt)
        elif how == "lost":
            self._backend.lose(attempt)
        elif how == "platform":
            self._backend.break_down(attempt)
        else:
            if how != "silent":
                artifacts = directory / "artifacts"
                artifacts.mkdir(parents=True, exist_ok=True)
                loss = 0.25 if how == "good" else 0.75
                (artifacts / "gradient-model-metadata.json").write_text(json.dumps({"loss": loss}))
            self._backend.succeed(attempt)
