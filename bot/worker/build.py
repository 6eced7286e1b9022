"""A commit that is wanted becomes a decision, and a decision becomes rows.

`decide` reads (configs through git, a role from GitHub) and writes nothing: what it returns says all that would happen,
in words for whoever only wants to know. `apply` writes it down in one transaction.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from bot.clock import Clock
from bot.core.config import Config, EventKind, Loaded, Problem, Step
from bot.core.demands import Demands, demands
from bot.core.limits import Limits
from bot.core.matrix import Cell
from bot.core.permission import Permission
from bot.core.plan import Grants, Plan, PlannedRun, Policy, Trigger, grants, is_watched, plan
from bot.core.skipping import asks_to_skip
from bot.core.states import Observation, State
from bot.forge.repo import Repo
from bot.store import commits, experiments, runs
from bot.store.database import Database, Transaction
from bot.store.schema import Attempt, Commit, Experiment, Pull, Repository, Run
from bot.worker.builds import Build
from bot.worker.configs import Found, Opening, OpenRepository, Tip
from bot.worker.repo import repo_of
from bot.worker.workload import Workload

_WHY_HELD = {
    "fork": "it comes from a fork, and nobody has approved it",
    "author": "its author may not write to the repository, and nobody has approved it",
    "skip": "the commit's message asks for no build",
    "draft": "it is a draft, and runs when it is ready for review",
}


@dataclass(frozen=True)
class Nothing:
    """Nothing is built, and why. `supersedes`: what runs for older heads of its pull request stops all the same.

    `workflows` are those that there are, none of which is selected; `errors` those of the config.
    """

    reason: str
    supersedes: bool = False
    workflows: tuple[str, ...] = ()
    errors: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Held:
    """Nothing runs until somebody says so. `would_run` is a line for each step, `refusals` what would not be run."""

    why: str
    author: str = ""
    words: str = ""
    would_run: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON."""
        return {**vars(self), "would_run": list(self.would_run)}


@dataclass(frozen=True)
class Decision:
    """What is to become of a commit. `plan` is None where the config has errors, or there is none (`path` is "")."""

    build: Build
    title: str
    path: str
    loaded: Loaded
    policy: Policy
    plan: Plan | None = None
    grants: Grants | None = None
    demands: Demands | None = None
    base_sha: str = ""
    held: Held | None = None
    approved_by: str = ""

    @property
    def chosen(self) -> tuple[PlannedRun, ...]:
        """The runs that are to be written: none while it is held, only those that a person asks for."""
        if self.plan is None or self.held is not None:
            return ()
        only = None if self.build.asked is None else self.build.asked.only
        return tuple(run for run in self.plan.visible if only is None or run.workflow.name in only)

    @property
    def selected(self) -> tuple[PlannedRun, ...]:
        """The runs that are to run, at once or as soon as it is not held any more."""
        return () if self.plan is None else tuple(run for run in self.plan.runs if run.is_run)

    @property
    def outcome(self) -> str:
        """What a delivery's row says of it."""
        if self.held is not None:
            return f"nothing runs: {_WHY_HELD[self.held.why]}"
        if self.plan is None:
            return f"{self.path} has errors" if self.path else "this commit has no config, and its base has one"
        count = sum(run.is_run for run in self.plan.runs)
        return f"{count} of {len(self.plan.runs)} workflows run"

    def sentences(self) -> Iterator[str]:
        """Yield what would happen, for a terminal."""
        yield f"{self.build.sha[:7]} “{self.title}”: {self.outcome}"
        for problem in self.loaded.problems:
            yield f"  {problem.path}:{problem.line}: {problem.severity}: {problem.message}"
        for run in self.chosen:
            yield f"  workflow {run.workflow.name}: {run.decision}{f' ({run.reason})' if run.reason else ''}"
            for step in run.workflow.steps if run.is_run else ():
                yield f"    step {step.name}: {step.kind.label}, {max(1, len(step.matrix))} experiments"
        if self.demands is not None:
            names = [f"{one.workflow} / {one.step}" for one in self.demands.steps]
            yield f"  {self.demands.branch} asks for {', '.join(names) or 'nothing'}"


@dataclass(frozen=True)
class Applied:
    """What a decision became: the commit's row, and how many attempts were made."""

    commit: Commit
    attempts: int


@dataclass(frozen=True)
class Variant:
    """A step, or a cell of its matrix, at its place in the workflow."""

    step: Step
    cell: Cell | None
    position: int


@dataclass(frozen=True)
class Writing:
    """What all rows of one decision have in common."""

    decision: Decision
    repository: Repository
    commit: Commit
    grants: Grants
    is_now: bool
    refusal: str = ""


class Roles(Protocol):
    """Who may do what in a repository."""

    def permission_of(self, repo: Repo, login: str) -> Permission:
        """Return what somebody may do there, as it is now. Raises ForgeError."""


class Builder:
    """Decides, and writes down what was decided. `builds_drafts`: pull requests that are drafts run too (DRAFTS)."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        configs: Opening,
        roles: Roles,
        workload: Workload,
        *,
        builds_drafts: bool = True,
    ) -> None:
        self._database, self._clock = database, clock
        self._configs, self._roles, self._workload = configs, roles, workload
        self._builds_drafts = builds_drafts

    # What is to be done

    def decide(self, build: Build) -> Decision | Nothing:
        """Return what is to become of a commit. Raises GitError, ForgeError."""
        code = self._configs.open(build.repository, build.sha, build.fetch_ref)
        found, base = code.config(build.sha), self._base(build, code)
        if found is None and (base is None or base.found is None):
            return Nothing("this commit has no config", supersedes=True)
        policy = self._policy(build, code, found, base)
        trigger = self._trigger(build, code, found, base)
        asked, info = self._demands(policy, trigger, build, base), code.info(build.sha)
        planned = None
        if found is not None and found.config is not None:
            planned = self._plan(build, found.config, policy, trigger, asked, info.message)
        if not (is_watched(policy, trigger) if planned is None else planned.is_reported):
            names = () if planned is None else tuple(run.workflow.name for run in planned.runs)
            errors = () if found is None else found.loaded.errors
            return Nothing(f"{build.ref} is not built: no filter selects it", workflows=names, errors=errors)
        decision = Decision(
            build,
            info.subject,
            "" if found is None else found.path,
            _nothing_to_go_by(build, base) if found is None else found.loaded,
            policy,
            planned,
            demands=asked,
            base_sha="" if base is None else base.sha,
        )
        return decision if planned is None else self._granted(decision, trigger, info.message)

    def _granted(self, decision: Decision, trigger: Trigger, message: str) -> Decision:
        """Return the decision with what its runs may have, or why nothing runs yet."""
        build = decision.build
        is_trusted = self._is_trusted(build, decision.policy)
        approved_by = "" if is_trusted else build.approved_by or self._approval(build)
        granted = grants(decision.policy, trigger, is_trusted=is_trusted)
        decision = replace(decision, grants=granted, approved_by=approved_by)
        if not is_trusted and not approved_by:
            why = "fork" if build.is_fork else "author"
        else:
            why = self._why_it_waits(build, message)
        if not why:
            return decision
        would_run = tuple(self._would_run(decision, granted.limits))
        return replace(decision, held=Held(why, build.author, asks_to_skip(message), would_run))

    def _why_it_waits(self, build: Build, message: str) -> str:
        """Return why its own author wants a pull request not to run by itself, empty where it runs.

        Its checks are not `skipped`: with these it could be merged in the moment in which it is made ready for review.
        """
        if build.kind is not EventKind.PULL_REQUESTS or build.asked is not None:
            return ""
        if asks_to_skip(message):
            return "skip"
        return "draft" if build.is_draft and not self._builds_drafts else ""

    def _base(self, build: Build, code: OpenRepository) -> Tip | None:
        """Return the newest commit of the branch that is to be merged into; None for a push."""
        return None if build.base_branch is None else code.tip(build.base_branch)

    def _policy(self, build: Build, code: OpenRepository, found: Found | None, base: Tip | None) -> Policy:
        """Return what the default branch allows, as it stands now; itself it allows by the config that was pushed.

        A commit that it has left behind (run again, or told of late) allows nothing any more: not even itself.
        """
        branch = build.repository.default_branch
        is_its_own = build.base_branch is None and build.ref == f"refs/heads/{branch}"
        if is_its_own and not self._is_left_behind(build):
            return Policy.of(branch, None if found is None else found.config)
        tip = base if build.base_branch == branch else code.tip(branch)
        return Policy.of(branch, None if tip is None else tip.config)

    def _is_left_behind(self, build: Build) -> bool:
        """Tell whether its branch is known to stand elsewhere by now."""
        with self._database.read() as tx:
            repository = commits.find_repository(tx, build.repository.github_id)
            return repository is not None and commits.has_moved_on(
                tx, repository.id, build.ref, build.sha, build.pushed_at
            )

    def _trigger(self, build: Build, code: OpenRepository, found: Found | None, base: Tip | None) -> Trigger:
        both = (None if found is None else found.config, None if base is None else base.config)
        configs = [config for config in both if config is not None]
        asks = any(workflow.triggers.paths is not None for config in configs for workflow in config.workflows)
        # An event names the base's commit of its own time: what that has taken back since, a merge would bring again.
        is_pull = build.kind is EventKind.PULL_REQUESTS
        since = base.sha if base is not None and is_pull else build.compare_with
        changed = code.changed(since, build.sha) if asks and since is not None and build.asked is None else None
        names = frozenset[str]() if build.asked is None else build.asked.names or frozenset()
        return Trigger(build.kind, build.ref, build.number, changed, names)

    def _demands(self, policy: Policy, trigger: Trigger, build: Build, base: Tip | None) -> Demands | None:
        """Return what the base's own config asks of this change. One with errors asks for nothing that can be told."""
        if base is None or base.config is None or build.base_branch is None:
            return None
        return Demands(build.base_branch, build.number, demands(plan(base.config, policy, trigger)))

    def _plan(
        self, build: Build, config: Config, policy: Policy, trigger: Trigger, asked: Demands | None, message: str
    ) -> Plan:
        wanted = {one.workflow for one in asked.steps if one.is_selected} if asked is not None else set()
        person = build.asked
        if person is not None and person.names is not None:
            return _as_commanded(config, policy, trigger, wanted)
        if person is not None:
            return plan(config, policy, trigger, wanted=wanted | (person.only or set()))
        why_skip = ""
        if build.kind is EventKind.PUSHES and (words := asks_to_skip(message)):
            why_skip = f"the commit's message says `{words}`"
        return plan(config, policy, trigger, wanted=wanted, why_skip=why_skip)

    def _approval(self, build: Build) -> str:
        """Return who approved exactly this commit before, and it still counts."""
        with self._database.read() as tx:
            commit = commits.find(tx, build.repository.github_id, build.sha)
            return "" if commit is None else runs.approval(tx, commit.id)

    def _is_trusted(self, build: Build, policy: Policy) -> bool:
        """Tell whether its author may write to the repository. What was pushed to it was written by such a one."""
        if build.is_fork:
            return False
        if build.kind is not EventKind.PULL_REQUESTS or build.author in policy.trusted_bots:
            return True
        if not build.author or build.author.endswith("[bot]"):
            return False
        repository = build.repository
        where = repo_of(repository)
        return self._roles.permission_of(where, build.author).covers(Permission.WRITE)

    def _would_run(self, decision: Decision, limits: Limits) -> Iterator[dict[str, Any]]:
        """Yield what each step that would run asks for, at most, and how long it last took."""
        github_id = decision.build.repository.github_id
        for run in () if decision.plan is None else decision.plan.runs:
            for step in run.workflow.steps if run.is_run else ():
                with self._database.read() as tx:
                    usual = runs.took(tx, github_id, run.workflow.name, step.name)
                estimate = asdict(self._workload.estimate(step, limits))
                yield {"label": f"{run.workflow.name} / {step.name}", "usual": usual, **estimate}

    # What is done

    def apply(self, tx: Transaction, decision: Decision) -> Applied:
        """Write a decision down."""
        build, now = decision.build, self._clock.now()
        repository = commits.see_repository(tx, build.repository, now)
        repository.policy = decision.policy.to_json()
        problems = [asdict(problem) for problem in decision.loaded.problems]
        commit = commits.see_commit(tx, repository.id, build.sha, decision.title, decision.path, problems, now)
        pull = see_pull(tx, build, repository)
        if pull is not None:
            commits.see_pull_head(
                tx, commit, build.number, pull.base_branch or build.base_branch or "", build.updated_at
            )
        # What is told late of a pull request names the base that it had then: that one asks no more.
        is_late = pull is not None and pull.base_branch != build.base_branch
        if decision.demands is not None and not is_late:
            steps = [one.to_json() for one in decision.demands.steps]
            commits.see_demands(tx, commit.id, build.number, decision.demands.branch, decision.base_sha, steps)
        count = 0
        if decision.grants is not None and decision.chosen:
            is_now = self._is_now(tx, build, repository) if pull is None else _is_head(pull, build)
            refusal = decision.grants.limits.refusal_of_count(_steps(decision.chosen))
            writing = Writing(decision, repository, commit, decision.grants, is_now, refusal)
            count = sum(self._write_run(tx, writing, chosen) for chosen in decision.chosen)
        commit.held = _held_now(tx, commit, decision, is_late=is_late)
        if pull is not None:
            # Last: what was approved while another commit was on its way is taken back as well.
            runs.revoke(tx, pull)
            runs.cancel_pull(tx, pull, why_cancelled(pull))
        commits.touch(tx, commit.id)
        return Applied(commit, count)

    def _is_now(self, tx: Transaction, build: Build, repository: Repository) -> bool:
        """Tell whether a push is the newest of its branch, as far as is known; what a person asks for always is."""
        is_event = build.event == "push" and build.asked is None
        return not (is_event and commits.has_moved_on(tx, repository.id, build.ref, build.sha, build.pushed_at))

    def supersede(self, tx: Transaction, build: Build) -> None:
        """Stop what runs for older heads of a pull request whose newest has no config."""
        pull = see_pull(tx, build, commits.see_repository(tx, build.repository, self._clock.now()))
        if pull is not None:
            runs.revoke(tx, pull)
            runs.cancel_pull(tx, pull, why_cancelled(pull))

    def _write_run(self, tx: Transaction, writing: Writing, chosen: PlannedRun) -> int:
        """Write down what is to run, and return how many attempts that makes.

        A delayed event does not bring back what was called off meanwhile.
        """
        now, decision, build = self._clock.now(), writing.decision, writing.decision.build
        skipped = None if chosen.is_run else chosen.reason
        run = runs.see(tx, writing.commit, chosen.workflow.name, chosen.position, skipped, now)
        run.concurrency = _turn(chosen, build, is_trusted=not decision.approved_by)
        was_raised = runs.trust(tx, run, decision.approved_by)
        runs.see_trigger(tx, run, build.event, build.ref, build.number, build.author, now)
        variants = [
            Variant(step, cell, position)
            for position, step in enumerate(chosen.workflow.steps)
            for cell in step.matrix or (None,)
        ]
        made = [self._write_experiment(tx, writing, run, one, was_raised=was_raised) for one in variants]
        if run.skipped is None and writing.is_now:
            runs.replace_older(tx, run, f"replaced by {build.sha[:7]}, as `concurrency` asks")
        return sum(made)

    def _write_experiment(
        self, tx: Transaction, writing: Writing, run: Run, variant: Variant, *, was_raised: bool
    ) -> bool:
        """Write an experiment down; tell whether a new attempt at it was made."""
        now, step, cell, granted = self._clock.now(), variant.step, variant.cell, writing.grants
        experiment = experiments.find_experiment(tx, run, step.name, "" if cell is None else cell.label)
        if experiment is None:
            row = self._workload.experiment(run.id, variant.position, step, cell, granted, now)
            experiment = experiments.add_experiment(tx, row)
        newest = experiments.newest_attempt(tx, experiment.id)
        number = _next_number(newest, writing, run, experiment, was_raised=was_raised)
        if run.skipped is not None or number is None:
            return False
        # What its first attempt was given, the default branch may have taken back meanwhile.
        experiment.refusal = writing.refusal or self._workload.refusal(step, granted)
        self._add_attempt(tx, self._attempt(writing, experiment, variant, number), experiment.refusal)
        return True

    def _attempt(self, writing: Writing, experiment: Experiment, variant: Variant, number: int) -> Attempt:
        build, asked = writing.decision.build, writing.decision.build.asked
        given = {} if asked is None else dict(asked.settings)
        attempt = self._workload.attempt(
            writing.repository,
            writing.commit,
            experiment,
            variant.step,
            variant.cell,
            writing.grants,
            number,
            build.ref,
            self._clock.now(),
            given,
        )
        attempt.author, attempt.cause = (build.author, "event") if asked is None else (asked.by, asked.cause)
        attempt.settings = given
        return attempt

    def _add_attempt(self, tx: Transaction, attempt: Attempt, refusal: str) -> None:
        """Store an attempt; one that this version cannot run ends where it begins, and says so."""
        experiments.add_attempt(tx, attempt)
        if refusal:
            experiments.observe(tx, attempt.id, [Observation(State.ERROR, self._clock.now(), refusal)])


def _nothing_to_go_by(build: Build, base: Tip | None) -> Loaded:
    """Return what is wrong with a commit without a config: nothing, unless nobody can tell what its base asks of it.

    Where the base's config has errors, who takes the whole config away would else be rid of every check.
    """
    if base is None or base.found is None or base.found.config is not None:
        return Loaded(None, ())
    message = f"This commit has no config, and what {build.base_branch} asks for cannot be read: its own has errors"
    hint = f"Mend the config of {build.base_branch}, or keep one here."
    return Loaded(None, (Problem("error", message, hint, base.found.path, 1, 1),))


def see_pull(tx: Transaction, build: Build, repository: Repository) -> Pull | None:
    """Return the pull request that asks, as the newest of its events tells it; None when none asks."""
    if not build.number:
        return None
    facts = {
        "base_branch": build.base_branch or "",
        "author": build.author,
        "is_fork": build.is_fork,
        "is_draft": build.is_draft,
    }
    return commits.see_pull(tx, repository.id, build.number, build.sha, True, build.updated_at, facts)


def _is_head(pull: Pull, build: Build) -> bool:
    return pull.is_open and pull.head_sha == build.sha


def why_cancelled(pull: Pull) -> str:
    """Return why what runs for a pull request's older heads, or for a closed one, is stopped."""
    return f"superseded by {pull.head_sha[:7]}" if pull.is_open else f"pull request #{pull.number} was closed"


def _as_commanded(config: Config, policy: Policy, trigger: Trigger, wanted: Collection[str]) -> Plan:
    """Return the plan of a person's command: what takes commands, and what would run by itself.

    Names choose among all workflows that take commands; without a name, all of them and all that an event selects.
    """
    by_command = plan(config, policy, Trigger(EventKind.COMMAND, trigger.ref, trigger.number, asked=trigger.asked))
    if trigger.asked or trigger.kind is EventKind.COMMAND:
        return Plan(by_command.runs, is_reported=True)
    by_event = plan(config, policy, trigger, wanted=wanted)
    pairs = zip(by_command.runs, by_event.runs, strict=True)
    return Plan(tuple(one if one.is_run else other for one, other in pairs), is_reported=True)


def _held_now(tx: Transaction, commit: Commit, decision: Decision, *, is_late: bool) -> dict[str, Any] | None:
    """Return why a commit is held: until each workflow has run that its pull requests wait for.

    What ran for another reason (a push, a pull request of the same head into another branch, a command that names one
    workflow) lets no other workflow pass: where it was left out its checks are `skipped`, which lets merge. A push that
    starts nothing (its message asks for no build) takes back nothing that a pull request waits for, nor does what is
    told late of one.
    """
    before, build, ran = commit.held or {}, decision.build, commits.begun(tx, commit.id)
    waits: dict[str, list[str]] = dict(before.get("waits", {}))
    if build.number and not is_late and (decision.held is not None or _is_whole(build)):
        waits[str(build.number)] = [run.workflow.name for run in decision.selected]
    waits = {number: left for number, names in waits.items() if (left := [name for name in names if name not in ran])}
    if decision.held is not None and (str(build.number) in waits or not ran):
        return {**decision.held.to_json(), "waits": waits}
    is_about_it = build.number or any(run.is_run for run in decision.chosen)
    is_over = not waits and (is_about_it or ran)
    return None if is_over or not before else {**before, "waits": waits}


def _is_whole(build: Build) -> bool:
    """Tell whether all that a pull request selects was written down with it, and not only what somebody named."""
    return build.asked is None or (build.asked.only is None and not build.asked.names)


def _steps(chosen: Sequence[PlannedRun]) -> list[Step]:
    return [step for run in chosen if run.is_run for step in run.workflow.steps]


def _turn(chosen: PlannedRun, build: Build, *, is_trusted: bool) -> dict[str, Any] | None:
    """Return the group in which a run takes turns. Code from outside chooses no group in which others would wait."""
    turn = chosen.workflow.concurrency
    if turn is None:
        return None
    places = {
        "{workflow}": chosen.workflow.name,
        "{branch}": build.ref.removeprefix("refs/heads/").removeprefix("refs/tags/"),
        "{pull}": str(build.number or ""),
    }
    group = turn.group
    for place, value in places.items():
        group = group.replace(place, value)
    if not is_trusted:
        group = f"{build.place} {group}"
    return {"group": group[:500], "place": build.place, "cancels": turn.cancels}


def _next_number(
    newest: Attempt | None, writing: Writing, run: Run, experiment: Experiment, *, was_raised: bool
) -> int | None:
    """Return the number of the attempt to make; None when there is one already.

    A commit that comes back (a pull request opened again, a branch forced back, a merge of what was just closed) has
    only the cancelled checks of what was called off: they would block it for ever.
    """
    if newest is None:
        return 1
    asked = writing.decision.build.asked
    by_name = asked is not None and asked.names is not None and (not asked.names or run.workflow in asked.names)
    is_asked = asked is not None and (by_name or experiment.id in asked.again)
    if is_asked and State(newest.state).is_final:
        return newest.number + 1
    # What ran with no rights because it came from outside may have failed for want of them.
    failed_before = was_raised and State(newest.state).is_final and newest.state != State.STOPPED
    comes_back = writing.is_now and (experiments.was_called_off(newest) or failed_before)
    return newest.number + 1 if comes_back else None
