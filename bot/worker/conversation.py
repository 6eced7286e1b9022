"""What each thing that people ask for means: a reply in words, and what is to be written down with it."""

from collections.abc import Callable, Iterator, Sequence

from bot.clock import MINUTE, Clock
from bot.core import events
from bot.core.commands import Verb
from bot.core.report.figures import counted
from bot.forge.client import Forge
from bot.store import checks, commits, runs, targets
from bot.store.asking import Asking, reasons
from bot.store.comparisons import compare_with
from bot.store.database import Database, Transaction
from bot.store.schema import Commit, Repository, Request
from bot.store.targets import Target
from bot.worker import at_ref, builds
from bot.worker.build import Builder, Decision, Nothing
from bot.worker.builds import Asked, Build
from bot.worker.reply import Declined, Reply
from bot.worker.repo import repo_of

_AFTER = 2 * MINUTE
"""What began so much later than a comment was written, its author cannot have meant. Clocks may differ."""


class Conversation:
    """Answers requests. Reads GitHub and git; writes nothing but through `Reply.do`."""

    def __init__(self, database: Database, clock: Clock, forge: Forge, builder: Builder) -> None:
        self._database, self._clock, self._forge, self._builder = database, clock, forge, builder

    def answer(self, request: Request, repository: Repository) -> Reply:
        """Return the reply to a request of somebody who may ask for it. Raises Declined, ForgeError, GitError."""
        if not request.verb:
            raise Declined(str(request.settings.get("why", "it was not understood")))
        return _ANSWERS[Verb(request.verb)](self, request, repository)

    # run, approve: something new

    def run(self, request: Request, repository: Repository) -> Reply:
        """Run workflows at the head of a pull request, at a ref, or at a commit that was held."""
        if request.ref:
            return self._run_at_ref(request, repository)
        names, asked = frozenset(request.names), None
        asked = Asked(request.sender, "command", names=names, settings=request.settings)
        decision = self._decide(self._place(request, repository), asked)
        self._check_names(decision, names)
        if decision.held is not None:
            sha = decision.build.sha
            raise Declined(f"this commit comes from outside: first somebody writes `/experiment approve {sha}`", sha)
        chosen = [run.workflow.name for run in decision.chosen if run.is_run]
        if not chosen:
            raise Declined("no workflow of this config takes commands", decision.build.sha)
        told = ", ".join(f"`{name}`" for name in chosen)
        return Reply("", decision.build.sha, lambda tx: self._begin(tx, decision, told))

    def _run_at_ref(self, request: Request, repository: Repository) -> Reply:
        """Run what is named, or what a push there selects, whatever has run there before."""
        build = self._place(request, repository)
        with self._database.read() as tx:
            commit = commits.find(tx, repository.github_id, build.sha)
            again = frozenset() if commit is None else targets.ids(targets.of_commit(tx, commit))
        decision = at_ref.decide(self._builder, build, request, again)
        told = ", ".join(f"`{name}`" for name in at_ref.started(decision))
        return Reply("", build.sha, lambda tx: self._begin(tx, decision, told))

    def approve(self, request: Request, repository: Repository) -> Reply:
        """Run exactly one commit from outside, which is still what the pull request proposes."""
        sha = str(request.names[0])
        build = self._place(request, repository)
        if build.sha != sha:
            raise Declined(f"the head is `{build.sha}` by now, not `{sha[:7]}`: look at what was pushed since", sha)
        decision = self._decide(build, Asked(request.sender, "approval"), approved_by=request.sender)
        if not decision.approved_by:
            raise Declined("it needs no approval: its author may write here", sha)
        others = [*self._approved_beside(request, repository, build)]

        def do(tx: Transaction) -> str:
            for each in (decision, *others):
                self._builder.apply(tx, each)
            return f"`{sha[:7]}` runs without secrets and without network"

        return Reply("", sha, do)

    def _approved_beside(self, request: Request, repository: Repository, build: Build) -> Iterator[Decision]:
        """Yield what the other pull requests of the same head select: what is approved is the commit."""
        with self._database.read() as tx:
            numbers = commits.pulls_at(tx, repository.id, build.sha)
        asked = Asked(request.sender, "approval")
        for number in numbers:
            if number == build.number:
                continue
            pull = self._forge.get_pull(repo_of(repository), number)
            if pull.is_open and pull.head_sha == build.sha:
                other = builds.as_asked(builds.of_pull(_event(repository), pull), asked, request.sender)
                decision = self._builder.decide(other)
                if not isinstance(decision, Nothing):
                    yield decision

    def _begin(self, tx: Transaction, decision: Decision, told: str, *, counts: bool = True) -> str:
        applied = self._builder.apply(tx, decision)
        if counts and not applied.attempts:
            return f"running already: {told}"
        return told if not counts else f"{counted(applied.attempts, 'experiment')} begun: {told}"

    def _decide(self, build: Build, asked: Asked, approved_by: str = "") -> Decision:
        decision = self._builder.decide(builds.as_asked(build, asked, approved_by))
        if isinstance(decision, Nothing):
            raise Declined(decision.reason, build.sha)
        if decision.plan is None:
            raise Declined(decision.outcome, build.sha)
        return decision

    def _check_names(self, decision: Decision, names: frozenset[str]) -> None:
        known = [run.workflow.name for run in decision.plan.runs] if decision.plan is not None else []
        unknown = sorted(names - set(known))
        if unknown:
            there = ", ".join(f"`{name}`" for name in known)
            raise Declined(f"there is no workflow `{unknown[0]}`; there are {there}", decision.build.sha)

    # rerun, cancel: something that is there

    def rerun(self, request: Request, repository: Repository) -> Reply:
        """Try again what has ended: what failed, one thing, or all of a commit."""
        sha = request.sha or self._place(request, repository).sha
        with self._database.read() as tx:
            commit = commits.find(tx, repository.github_id, sha)
            why = None if commit is None else next(iter(reasons(tx, commit, repository)), None)
            wanted = () if commit is None else self._wanted(tx, request, commit)
        if commit is None or why is None:
            return self._rerun_unknown(request, repository, sha)
        if not why.is_wanted:
            raise Declined(self._why_unwanted(why, repository), sha)
        if commit.held is not None and not wanted:
            raise Declined("nothing of this commit has run: see the check `experiments`", sha)
        ended = [one for one in wanted if one.is_over]
        if not ended:
            raise Declined("it is running already" if wanted else "there is nothing to run again", sha)
        again = frozenset(one.experiment_id for one in ended)
        asked = Asked(request.sender, "rerun", again, only=frozenset(one.workflow for one in ended))
        decision = self._decide(builds.of_asking(_event(repository), sha, why), asked)
        if decision.held is not None:
            raise Declined(f"another commit came since it was approved: `/experiment approve {sha}`", sha)
        told = _listed([one.label for one in ended])
        return Reply("", sha, lambda tx: self._begin(tx, decision, told))

    def _wanted(self, tx: Transaction, request: Request, commit: Commit) -> Sequence[Target]:
        """Return the experiments that are meant, those that were not started for want of them too."""
        everything = targets.of_commit(tx, commit)
        if request.check_id is not None and not request.names:
            return targets.with_followers(everything, self._of_check(tx, request, commit, everything))
        name = str(request.names[0]) if request.names else ""
        if name == "all":
            return everything
        if name in ("", "failed"):
            failed = [one for one in everything if one.has_failed]
            return targets.with_followers(everything, failed or ([] if name else everything))
        found = targets.named(tx, commit, everything, name)
        if not found:
            raise Declined(f"there is no check, step or workflow `{name}` at this commit", commit.sha)
        return targets.with_followers(everything, found)

    def _of_check(
        self, tx: Transaction, request: Request, commit: Commit, everything: Sequence[Target]
    ) -> Sequence[Target]:
        """Return the experiments of the check whose button was pressed. The newest check of a name governs."""
        check = checks.by_github_id(tx, commit.id, request.check_id or 0)
        if check is None:
            raise Declined("this check is not one of ours any more", commit.sha)
        if not checks.is_newest(tx, check):
            raise Declined("this check has been run again already", commit.sha)
        if check.kind == "rollup":
            return [one for one in everything if one.has_failed] or everything
        return targets.of_check(everything, check)

    def _rerun_unknown(self, request: Request, repository: Repository, sha: str) -> Reply:
        """A commit of which nothing is known: it came while nobody listened, or has no config."""
        build = self._place(request, repository)
        decision = self._builder.decide(builds.as_asked(build, Asked(request.sender, "rerun")))
        if isinstance(decision, Nothing):
            return Reply(decision.reason, sha, lambda tx: self._note(tx, repository, sha, decision.reason))
        return Reply("", sha, lambda tx: self._begin(tx, decision, decision.outcome, counts=False))

    def _note(self, tx: Transaction, repository: Repository, sha: str, reason: str) -> str:
        """Have the commit say why there is nothing: its check suite would wait for us for ever."""
        commit = commits.see_commit(tx, repository.id, sha, "", "", [], self._clock.now())
        commits.touch(tx, commit.id)
        return reason

    def _why_unwanted(self, why: Asking, repository: Repository) -> str:
        if not why.number:
            return "what it was run for is gone: its branch was deleted, or its merge group destroyed"
        with self._database.read() as tx:
            pull = commits.find_pull(tx, repository.id, why.number)
        if pull is not None and pull.is_open:
            return f"it is superseded by `{pull.head_sha[:7]}`"
        return f"pull request {why.number} is closed"

    def cancel(self, request: Request, repository: Repository) -> Reply:
        """Stop what runs at the head of a pull request: all of it, or one thing."""
        sha = request.sha or self._place(request, repository).sha
        until = request.asked_at + _AFTER
        with self._database.read() as tx:
            commit = commits.find(tx, repository.github_id, sha)
            everything = () if commit is None else targets.of_commit(tx, commit)
            name = str(request.names[0]) if request.names else ""
            found = everything if commit is None or not name else targets.named(tx, commit, everything, name)
        if commit is None or (name and not found):
            raise Declined(f"there is no check, step or workflow `{name}` at this commit", sha)
        ids = [one.experiment_id for one in found if not one.is_over and one.began_at <= until]
        if not ids:
            raise Declined("nothing of that is running", sha)
        reason = f"cancelled by {request.sender}"

        def do(tx: Transaction) -> str:
            count = runs.cancel(tx, commit.id, ids, reason, request.sender)
            return f"{counted(count, 'experiment')} asked to stop"

        return Reply("", sha, do)

    # compare, status, help: words

    def compare(self, request: Request, repository: Repository) -> Reply:
        """Show the metrics of a commit beside those of another."""
        sha = request.sha or self._place(request, repository).sha
        where = repo_of(repository)
        with self._database.read() as tx:
            commit = commits.find(tx, repository.github_id, sha)
            why = [] if commit is None else reasons(tx, commit, repository)
        if commit is None:
            raise Declined("nothing was run at this commit", sha)
        base = next((one.ref for one in why if one.number), f"refs/heads/{repository.default_branch}")
        label = str(request.names[0]) if request.names else base.removeprefix("refs/heads/")
        if not request.names:
            return Reply("", sha, lambda tx: compare_with(tx, commit, label, None, self._clock.now()))
        other = self._forge.resolve(where, label)
        if other is None:
            raise Declined(f"there is no branch, tag or commit `{label}`", sha)
        with self._database.read() as tx:
            reference = commits.find(tx, repository.github_id, other)
        if reference is None:
            raise Declined(f"nothing was run at `{label}` (`{other[:7]}`)", sha)
        return Reply("", sha, lambda tx: compare_with(tx, commit, label, reference, self._clock.now()))

    def status(self, request: Request, repository: Repository) -> Reply:
        """Bring the comment up to date, and say how the commit stands."""
        sha = self._place(request, repository).sha
        with self._database.read() as tx:
            commit = commits.find(tx, repository.github_id, sha)
            shown = [] if commit is None else checks.of_commit(tx, commit.id)
        titles = [str(check.desired.get("title", "")) for check in shown if check.kind == "rollup"]
        return Reply(titles[0] if titles else "nothing was run at this commit", sha)

    def help(self, request: Request, repository: Repository) -> Reply:
        """The comment says what can be asked for."""
        build = self._place(request, repository)
        return Reply("", build.sha)

    # Places

    def _place(self, request: Request, repository: Repository) -> Build:
        """Return the commit that a request is about, as GitHub shows it now."""
        where, event = repo_of(repository), _event(repository)
        if request.number:
            pull = self._forge.get_pull(where, request.number)
            if not pull.is_open:
                raise Declined(f"pull request {request.number} is closed", pull.head_sha)
            return self._seen(builds.of_pull(event, pull), repository)
        if request.ref:
            return at_ref.place(self._forge, where, event, request.ref)
        return self._place_of_click(request, repository)

    def _seen(self, build: Build, repository: Repository) -> Build:
        """Remember the pull request as it was just seen: what its events would have told may be on its way."""
        facts = {
            "base_branch": build.base_branch or "",
            "author": build.author,
            "is_fork": build.is_fork,
            "is_draft": build.is_draft,
        }
        with self._database.write() as tx:
            commits.see_pull(tx, repository.id, build.number, build.sha, True, build.updated_at, facts)
        return build

    def _place_of_click(self, request: Request, repository: Repository) -> Build:
        """Return the commit of a check: the head of a pull request of ours, or of the branch that it was pushed to."""
        with self._database.read() as tx:
            numbers = commits.pulls_at(tx, repository.id, request.sha)
        for number in numbers[:1]:
            pull = self._forge.get_pull(repo_of(repository), number)
            return self._still(builds.of_pull(_event(repository), pull), request)
        for branch in (repository.default_branch, *self._branches(request, repository)):
            if self._forge.branch_head(repo_of(repository), branch) == request.sha:
                build = builds.of_branch(_event(repository), branch, request.sha)
                return builds.as_push(build)
        raise Declined("no branch and no pull request is at this commit any more", request.sha)

    def _branches(self, request: Request, repository: Repository) -> Sequence[str]:
        with self._database.read() as tx:
            return commits.branches_at(tx, repository.id, request.sha)

    def _still(self, build: Build, request: Request) -> Build:
        if build.sha != request.sha:
            raise Declined(f"it is superseded by `{build.sha[:7]}`", request.sha)
        return build


_Answers = Callable[[Conversation, Request, Repository], Reply]
_ANSWERS: dict[Verb, _Answers] = {
    Verb.RUN: Conversation.run,
    Verb.RERUN: Conversation.rerun,
    Verb.CANCEL: Conversation.cancel,
    Verb.APPROVE: Conversation.approve,
    Verb.COMPARE: Conversation.compare,
    Verb.STATUS: Conversation.status,
    Verb.HELP: Conversation.help,
}


def _event(repository: Repository) -> events.Repository:
    return events.Repository(
        repository.github_id,
        repository.owner,
        repository.name,
        repository.is_private,
        repository.default_branch,
        repository.installation_id,
    )


def _listed(labels: Sequence[str]) -> str:
    named = [f"`{label}`" for label in labels[:3]]
    return ", ".join([*named, f"{len(labels) - 3} more"] if len(labels) > 3 else named)
