"""Station five: GitHub is made to show what it should. Level-triggered: what counts is the difference between the
desired view and what was last told, so a lost answer, a crash or a missed tick is mended by the next one.

Here the desired views are worked out; `bot.worker.tell` tells what differs.
"""

from concurrent.futures import Executor

from bot.backends.base import Capabilities
from bot.clock import Clock
from bot.core.report import CommentView, Renderer, desired_checks, desired_comment
from bot.forge.client import Forge
from bot.settings import Settings
from bot.store import checks, commits, facts
from bot.store.checks import Desired
from bot.store.database import Database, Transaction
from bot.store.schema import Commit, Pull, Repository
from bot.store.surroundings import Surroundings
from bot.worker.each import Each
from bot.worker.tell import Teller

_AT_ONCE = 20


class Report:
    """Works out what should be shown, and shows it. Requests leave in threads of `pool`."""

    name = "report"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        forge: Forge,
        renderer: Renderer,
        settings: Settings,
        capabilities: Capabilities,
        pool: Executor,
    ) -> None:
        self._database = database
        self._renderer = renderer
        self._settings, self._capabilities = settings, capabilities
        self._teller = Teller(database, clock, forge, pool)
        self._each = Each(clock)
        self._known = facts.Known()

    def tick(self) -> bool:
        self._work_out()
        self._teller.tell()
        return False

    def _work_out(self) -> None:
        """Write down what GitHub should show of every commit and every pull request that has news."""
        with self._database.read() as tx:
            news, pulls = commits.with_news(tx, _AT_ONCE), commits.pulls_with_news(tx, _AT_ONCE)
        self._each.do(news, lambda commit: f"reporting on {commit.sha}", self._work_out_one)
        self._each.do(pulls, lambda pull: f"commenting on pull request {pull.number}", self._work_out_pull)

    def _work_out_one(self, commit: Commit) -> None:
        """What changes meanwhile stays news: `commit` has the revision from before all that is read here.

        Written in moments of its own: who has a million points to look through must not keep the door waiting.
        """
        with self._database.read() as tx:
            repository = facts.repository_of(tx, commit)
            around = self._surroundings(repository)
            wanted = self._wanted(tx, commit, repository, around)
        with self._database.write() as tx:
            checks.desire(tx, commit.id, wanted)
        # Comments tell of the roll-ups of earlier commits: that of this one must be written by now.
        with self._database.read() as tx:
            comments = {n: self._comment(tx, n, repository, around) for n in facts.pulls_of(tx, commit.id)}
        with self._database.write() as tx:
            for number, view in comments.items():
                self._desire_comment(tx, repository, number, view)
            commits.caught_up(tx, commit)

    def _work_out_pull(self, pull: Pull) -> None:
        with self._database.read() as tx:
            repository = tx.get_one(Repository, pull.repository_id)
            view = self._comment(tx, pull.number, repository, self._surroundings(repository))
        with self._database.write() as tx:
            self._desire_comment(tx, repository, pull.number, view)
            commits.pull_caught_up(tx, pull)

    def _desire_comment(self, tx: Transaction, repository: Repository, number: int, view: CommentView | None) -> None:
        if view is not None:
            checks.desire_comment(tx, repository.id, number, view.body, view.digest(), view.is_final)

    def _surroundings(self, repository: Repository) -> Surroundings:
        settings = self._settings
        return Surroundings(
            public_url=settings.public_url,
            web_url=settings.web_url,
            isolation=self._capabilities.isolation,
            is_isolated=self._capabilities.is_isolated,
            shows_images=settings.shows_images(repository.is_private),
        )

    def _wanted(self, tx: Transaction, commit: Commit, repository: Repository, around: Surroundings) -> list[Desired]:
        views = desired_checks(facts.commit_facts(tx, commit, repository, around, self._known), self._renderer)
        ids = facts.experiment_ids(tx, commit.id)
        return [
            Desired(
                kind=view.kind,
                name=view.name,
                # A name that only the base has belongs to no experiment of this commit.
                experiment_id=ids.get(view.experiment or ""),
                view=view.to_json(),
                digest=view.digest(),
                headline=view.headline,
                is_final=view.is_final,
            )
            for view in views
        ]

    def _comment(
        self, tx: Transaction, number: int, repository: Repository, around: Surroundings
    ) -> CommentView | None:
        return desired_comment(facts.pull_facts(tx, number, repository, around, self._known), self._renderer)
