"""`experiment-ci run --repo … --ref …`: asked on the bot's machine, answered by its worker, told on GitHub."""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bot.clock import Clock, SystemClock
from bot.core.commands import Command, Verb, run_of
from bot.devhub import DevHub, Repository
from bot.run.asking import Asking, Target
from bot.run.errors import CannotRun
from bot.run.screen import Screen
from bot.store import commits
from bot.worker_sign import WorkerSign
from tests.backends.lab import eventually as soon
from tests.run.person import typed
from tests.scenarios.processes import Bot, eventually
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import TWO

pytestmark = pytest.mark.service

PLAIN = CONFIG[: CONFIG.index("        checks:")]
ALWAYS = PLAIN.replace("  train:\n", "  train:\n    triggers: {branches: {only: [.*]}}\n")


class Waiting:
    """The clock of somebody who waits at a terminal: meanwhile the worker works, and the backend does what it is to."""

    def __init__(self, road: Road, meanwhile: Callable[[], None]) -> None:
        self._road, self._meanwhile = road, meanwhile

    def now(self) -> int:
        return self._road.clock.now()

    def monotonic(self) -> float:
        return self._road.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._road.clock.advance(seconds)
        self._meanwhile()
        self._road.tick()


class Terminal:
    """Somebody at the bot's machine. What is started succeeds, unless `ends` says otherwise; `under_way` was before."""

    def __init__(self, road: Road, backend: ScriptedBackend) -> None:
        self._road, self._backend = road, backend
        self._ended = 0
        self.ends: Callable[[str], object] = backend.succeed
        self.sign = WorkerSign(road.settings.data_dir, road.clock)
        self.sign.hold()
        self.said, self.under_way = "", 0

    def run(self, ref: str, *words: str, repository: str = "acme/digits", waits: bool = True) -> int:
        return self._ask(repository, ref, run_of(words), waits=waits)

    def cancel(self, ref: str, *names: str) -> int:
        return self._ask("acme/digits", ref, Command(Verb.CANCEL, names), waits=False)

    def refusal(self, ref: str, *words: str, repository: str = "acme/digits") -> str:
        """Why it is not run."""
        with pytest.raises(CannotRun) as refused:
            self.run(ref, *words, repository=repository)
        return str(refused.value)

    def _ask(self, repository: str, ref: str, command: Command, *, waits: bool) -> int:
        stream, self._ended = io.StringIO(), len(self._backend.submissions) - self.under_way
        clock: Clock = Waiting(self._road, self._meanwhile)
        asking = Asking(self._road.settings, clock, Screen({}, stream), "ada")
        try:
            return asking.ask(Target(repository, ref), command, waits=waits)
        finally:
            self.said = stream.getvalue()

    def _meanwhile(self) -> None:
        self.sign.beat()
        for attempt in self._backend.submissions[self._ended :]:
            self.ends(attempt)
        self._ended = len(self._backend.submissions)


@pytest.fixture
def terminal(road: Road, backend: ScriptedBackend) -> Iterator[Terminal]:
    terminal = Terminal(road, backend)
    yield terminal
    terminal.sign.release()


def known(road: Road, backend: ScriptedBackend, config: str = PLAIN) -> tuple[Repository, str]:
    """A repository whose default branch has been run."""
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(5)
    return repository, sha


def pushed(road: Road, repository: Repository, branch: str, files: Mapping[str, str] | None = None) -> str:
    """A branch that the bot builds for nobody."""
    sha = road.hub.commit_files(repository, files or {"train.py": f"# {branch}\n"}, branch=branch, message="Try it")
    road.settle()
    return sha


def test_a_branch_is_run_without_a_push_and_told_like_one(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    repository, _ = known(road, backend)
    sha = pushed(road, repository, "idea")
    assert road.shown(repository, sha) == {}

    assert terminal.run("idea", "train", "LR=0.1") == 0

    spec = backend.specs[backend.submissions[-1]]
    assert (spec.labels["sha"], spec.env["LR"]) == (sha, "0.1")
    assert spec.env["PS_GRADIENT_CI_GIT_REF"] == "refs/heads/idea"
    said = terminal.said.splitlines()
    assert said[0] == f"acme/digits at {sha[:7]}: 1 experiment begun: `train`"
    assert any(line.startswith("✓ train / fit  Succeeded in 0.0 s · with LR=0.1") for line in said)
    assert any(line.startswith("  page  http://bot.example/experiments/") for line in said)
    assert said[-2:] == ["✓ 1 experiment succeeded", f"  {road.hub.url}/acme/digits/commit/{sha}"]
    road.wait(5)
    assert road.shown(repository, sha) == {
        "experiments": ("completed", "success"),
        "train / fit": ("completed", "success"),
    }
    summary = road.hub.check(repository, sha, "experiments").output.summary or ""
    assert "`ada (terminal)`" in summary
    assert "`experiment-ci run train LR=0.1`" in summary


def test_without_names_it_is_what_a_push_selects_run_once_more(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    repository, sha = known(road, backend, TWO[: TWO.index("        checks:")] + TWO[TWO.index("  bench:") :])
    before = {run.id for run in road.hub.checks(repository, sha)}

    assert terminal.run("main") == 0

    assert "1 experiment begun: `train`" in terminal.said
    assert [attempt.rpartition("-")[2] for attempt in backend.submissions] == ["1", "2"]
    road.wait(5)
    assert before.isdisjoint({run.id for run in road.hub.checks(repository, sha)})


def test_a_workflow_that_takes_no_commands_is_run_by_whoever_has_the_machine(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    config = PLAIN.replace("  train:\n", "  train:\n    triggers: {events: [merge-queue]}\n")
    repository, _ = road.repository({".ps_project/config.yaml": config})
    road.settle()
    assert repository.full_name == "acme/digits"
    assert terminal.refusal("main") == "a push to refs/heads/main would run nothing; name one: `train`"
    assert terminal.run("main", "train") == 0


def test_what_fails_is_status_1_and_its_reason(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    repository, _ = known(road, backend)
    pushed(road, repository, "idea")
    backend.log = b'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: no\n'
    terminal.ends = backend.fail
    assert terminal.run("idea", "train") == 1
    assert "✗ train / fit  ValueError: no\n" in terminal.said
    assert "    │ ValueError: no\n" in terminal.said


def test_a_tag_and_a_commit_of_the_default_branch(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    repository, first = known(road, backend)
    road.hub.tag(repository, "v1", first)
    second = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Second")
    road.settle()
    for attempt in backend.submissions[1:]:
        backend.succeed(attempt)
    road.wait(5)

    assert terminal.run("v1", "train") == 0
    assert backend.specs[backend.submissions[-1]].env["PS_GRADIENT_CI_GIT_REF"] == "refs/tags/v1"
    assert terminal.refusal("v1") == "refs/tags/v1 is not built: no filter selects it; name one: `train`"

    for ref in (first, first[:8]):
        assert terminal.run(ref, "train") == 0
        assert backend.specs[backend.submissions[-1]].labels["sha"] == first
    assert "no filter selects it; name one: `train`" in terminal.refusal(first)
    assert terminal.run(second, "train") == 0


def test_a_commit_of_a_fork_is_nothing_of_ours(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    """GitHub shows it under our repository's name, as devhub does once it is a pull request."""
    repository, _ = known(road, backend)
    fork = road.hub.fork(repository, "stranger")
    sha = road.hub.commit_files(fork, {"train.py": "evil()"}, branch="nice", message="Nice")
    road.hub.open_pull(repository, head="nice", head_repository=fork, base="main", title="Nice", body="")
    road.settle()
    count = len(backend.submissions)

    assert terminal.refusal(sha, "train") == f"`{sha}` is no commit of `main`: name the branch that has it"
    assert len(backend.submissions) == count


def test_an_old_commits_own_config_gives_it_no_rights(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    greedy = PLAIN + "          experimentEnv: {TOKEN: 'secret:token'}\n"
    repository, old = known(road, backend, greedy)
    road.hub.commit_files(repository, {".ps_project/config.yaml": PLAIN}, message="No secrets any more")
    road.settle()

    assert terminal.run(old, "train") == 1
    assert "the secret token is not given to this code" in terminal.said


def test_the_limits_of_the_default_branch_hold_a_branch(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    limited = PLAIN.replace("version: 2\n", "version: 2\nlimits: {runs: 1}\n")
    repository, _ = known(road, backend, limited)
    pushed(
        road,
        repository,
        "idea",
        {".ps_project/config.yaml": PLAIN.replace("params:", "matrix: {seed: [1, 2]}\n        params:")},
    )
    assert terminal.run("idea", "train") == 1
    assert "this commit asks for 2 experiments, and no more than 1 are given" in terminal.said


def test_what_is_not_there_is_said(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    repository, _ = known(road, backend)
    pushed(road, repository, "idea")
    pushed(road, repository, "broken", {".ps_project/config.yaml": PLAIN.replace("steps:", "stepps:")})
    road.hub.commit_files(repository, {".ps_project/config.yaml": None, "x": "1"}, branch="none", message="None")
    assert terminal.refusal("nowhere") == "there is no branch, tag or commit `nowhere`"
    assert terminal.refusal("f" * 40) == f"there is no branch, tag or commit `{'f' * 40}`"
    assert terminal.refusal("idea") == "refs/heads/idea is not built: no filter selects it; name one: `train`"
    assert terminal.refusal("idea", "trian") == "there is no workflow `trian`; there are `train`"
    assert terminal.refusal("broken", "train").startswith(".ps_project/config.yaml has errors: line 3: ")
    assert terminal.refusal("none") == "this commit has no config"
    assert terminal.refusal("main", repository="acme/letters") == (
        "the bot has never heard of acme/letters: install its App there, and push or open a pull request once"
    )
    road.hub.archive_repository(repository)
    road.settle()
    assert terminal.refusal("main") == "nothing can be told to acme/digits: it is archived"


def test_without_a_worker_it_is_said_at_once_and_nothing_is_asked(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    known(road, backend)
    terminal.sign.release()
    assert terminal.refusal("main").startswith("no worker runs (")
    with road.database.read() as tx:
        found = commits.repository_named(tx, "ACME", "Digits")
    assert found is not None
    road.settle()
    assert len(backend.submissions) == 1


def test_a_worker_that_goes_meanwhile_is_not_waited_for(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    known(road, backend)
    road.stations.clear()
    terminal.sign.beat = terminal.sign.release  # type: ignore[method-assign] # the play's own object
    assert terminal.refusal("main") == "the worker has gone; what was asked for is done when there is one again"


def test_ctrl_c_leaves_it_to_the_bot_and_cancel_stops_it(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    repository, _ = known(road, backend)
    sha = pushed(road, repository, "idea")

    def interrupted(attempt: str) -> None:
        backend.begin(attempt)
        raise KeyboardInterrupt

    terminal.ends = interrupted
    assert terminal.run("idea", "train") == 130
    assert terminal.said.endswith(
        f"They go on, and GitHub is told. To stop them: experiment-ci cancel --repo acme/digits --ref {sha}\n"
    )
    terminal.ends = lambda _: None
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("in_progress", None)

    assert terminal.cancel(sha) == 0
    assert terminal.said == f"acme/digits at {sha[:7]}: 1 experiment asked to stop\n"
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "cancelled")
    with pytest.raises(CannotRun, match="nothing of that is running"):
        terminal.cancel("idea", "train / fit")


def test_who_does_not_wait_hears_what_has_begun(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    repository, _ = known(road, backend)
    sha = pushed(road, repository, "idea")
    assert terminal.run("idea", "train", waits=False) == 0
    assert terminal.said == f"acme/digits at {sha[:7]}: 1 experiment begun: `train`\n"


def test_what_runs_already_is_watched_and_not_run_twice(
    road: Road, backend: ScriptedBackend, terminal: Terminal
) -> None:
    repository, _ = known(road, backend, ALWAYS)
    pushed(road, repository, "idea")
    count = len(backend.submissions)
    [running] = backend.submissions[count - 1 :]
    backend.begin(running)
    road.wait(1)
    terminal.under_way = 1

    assert terminal.run("idea") == 0
    assert "running already: `train`" in terminal.said
    assert len(backend.submissions) == count


def test_github_that_is_away_only_makes_one_wait(road: Road, backend: ScriptedBackend, terminal: Terminal) -> None:
    repository, _ = known(road, backend)
    pushed(road, repository, "idea")
    road.hub.faults.fail_next("GET", r"/branches/idea$", status=502)
    assert terminal.run("idea", "train") == 0


def conclusions(hub: DevHub, repository: Repository, sha: str) -> set[tuple[str, str | None]]:
    return {(check.name, check.conclusion) for check in hub.checks(repository, sha)}


@pytest.mark.slow
def test_with_a_bot_of_real_processes(tmp_path: Path) -> None:
    with DevHub(tmp_path / "hub", SystemClock()) as hub:
        bot = Bot(tmp_path, hub)
        bot.start()
        try:
            assert eventually(bot.is_ready, 60)
            repository = hub.create_repository("acme", "digits", private=False)
            files = {".ps_project/config.yaml": PLAIN.replace("python3 train.py", "echo trained"), "x": "1"}
            hub.commit_files(repository, files, message="First")
            hub.wait_delivered()
            sha = hub.commit_files(repository, {"x": "2"}, branch="idea", message="Try it")
            ask = ["run", "--repo", "acme/digits", "--ref", "idea", "train"]
            environ = {**bot.environ, "HOME": str(tmp_path), "USER": "ada"}
            soon(lambda: typed(ask, tmp_path, environ).status != 2)

            done = typed(ask, tmp_path, environ)

            assert (done.status, done.complained) == (0, "")
            assert f"acme/digits at {sha[:7]}: 1 experiment begun: `train`\n" in done.said
            assert "✓ train / fit  Succeeded in " in done.said
            assert eventually(lambda: ("train / fit", "success") in conclusions(hub, repository, sha), 30)
        finally:
            bot.close()
    assert os.environ.get("GITHUB_WEBHOOK_SECRET") is None
