"""Station: what GitHub shows is looked at, and what no event has told is taken in as if one had.

The second net, beneath `bot.worker.recover`: for events that GitHub has forgotten (three days), or never sent because
the App was suspended. Repositories, open pull requests and branches are read with ETags: what has not changed costs
none of the hour's requests. Tags and merge groups are not looked at: GitHub names nobody who still waits for them.
"""

import logging
from collections.abc import Iterator

from bot.clock import DAY, HOUR, MINUTE, SECOND, Clock, time_of
from bot.core import events, sightings
from bot.core.sightings import Sighting
from bot.forge.client import Forge, Pull, Repo
from bot.forge.errors import ForgeError, Moved, Refused
from bot.forge.repo import Standing
from bot.forge.shown import Installed
from bot.store import commits, deliveries, installations
from bot.store.database import Database
from bot.store.schema import Installation, Repository
from bot.worker.repo import repo_of

_EVERY, _EVERY_POLL = 10 * MINUTE, 1 * MINUTE
_EVERY_PUBLIC = 1 * HOUR
"""How often it is asked whether the App still reaches a public repository, which GitHub shows to everybody."""
_SETTLED = 1 * MINUTE
"""What is newer is on its way."""
_MERGE_QUEUE = "gh-readonly-queue/"
_log = logging.getLogger(__name__)


class Scan:
    """Looks at one repository after the other, and at where the App is installed."""

    name = "scan"

    def __init__(self, database: Database, clock: Clock, forge: Forge, *, polls: bool) -> None:
        self._database, self._clock, self._forge = database, clock, forge
        self._every = _EVERY_POLL if polls else _EVERY
        self._next = clock.now() + MINUTE
        self._reached: dict[int, int] = {}
        """When the App last reached each public repository."""

    def tick(self) -> bool:
        now = self._clock.now()
        if now >= self._next:
            self._next = now + self._every
            self._look_at_installations()
        with self._database.read() as tx:
            repository = installations.to_scan(tx, before=now - self._every)
        if repository is None:
            return False
        with self._database.write() as tx:
            installations.scanned(tx, repository, now)
        try:
            if self._is_reached(repository, now):
                self._look_at(repository, now)
        except ForgeError as trouble:
            _log.info("%s/%s cannot be looked at: %s", repository.owner, repository.name, trouble)
            if isinstance(trouble, Refused) and trouble.status == 404:
                self._close_if_gone(repository)
        return True

    def _is_reached(self, repository: Repository, now: int) -> bool:
        """Tell whether a repository is the App's to look at. Raises ForgeError."""
        is_shown_to_all = repository.closed is None and not repository.is_private
        if not is_shown_to_all or now - self._reached.get(repository.id, 0) < _EVERY_PUBLIC:
            return True
        try:
            if self._give_up_if_gone(repository):
                return False
        except Moved:
            return True  # the look finds it under its new name
        self._reached[repository.id] = now
        return True

    def _close_if_gone(self, repository: Repository) -> None:
        try:
            self._give_up_if_gone(repository)
        except ForgeError as trouble:
            _log.info("whether %s/%s is the App's cannot be seen: %s", repository.owner, repository.name, trouble)

    def _give_up_if_gone(self, repository: Repository) -> bool:
        """Look no more at a repository to which GitHub says that we have no way; tell so. What runs there may go on.

        An event of it opens it again: nothing that GitHub says by mistake costs more than being late.
        """
        if self._forge.installation_of(repository.owner, repository.name) is not None:
            return False
        with self._database.write() as tx:
            installations.hush(tx, repository)
        return True

    # Where the App is installed

    def _look_at_installations(self) -> None:
        try:
            there = {one.id: one for one in self._forge.installations()}
        except ForgeError as trouble:
            _log.info("where the App is installed cannot be looked at: %s", trouble)
            return
        with self._database.write() as tx:
            known = installations.see_all(tx, {one.id: one.account for one in there.values()}, self._clock.now())
        self._take_in([sighting for row in known for sighting in _of_installation(row, there.get(row.github_id))])

    # What a repository shows

    def _look_at(self, repository: Repository, now: int) -> None:
        standing = self._forge.standing(repo_of(repository))
        # Lists are not asked for by an old name: see `Calls.read_all`.
        repo = Repo(repository.installation_id, standing.owner, standing.name)
        if standing.github_id != repository.github_id:
            return  # the name is another one's by now; an event tells where ours went
        here = _event(repository, standing)
        if standing.is_archived:
            if repository.closed is None:
                self._take_in([sightings.of(events.RepositoryClosed(here, "archived"), str(now // DAY))])
            return
        self._see(repository, here)
        found = [*self._pulls(repository, here, repo, since=repository.seen_at or now)]
        if standing.pushed_at * SECOND <= self._clock.now() - _SETTLED:
            found += self._branches(repository, here, repo, standing)
        self._take_in(found)

    def _see(self, repository: Repository, here: events.Repository) -> None:
        """Bring the row up to what is there: an event that is told late says what the repository was before."""
        with self._database.write() as tx:
            row = commits.find_repository(tx, repository.github_id)
            if row is None or row.installation_id != repository.installation_id:
                return  # an event told more meanwhile
            commits.see_repository(tx, here, self._clock.now())
            if repository.closed is not None and row.closed == repository.closed:
                installations.open_again(tx, row)

    def _pulls(self, repository: Repository, here: events.Repository, repo: Repo, *, since: int) -> Iterator[Sighting]:
        listed = self._forge.open_pulls(repo)
        with self._database.read() as tx:
            known = {row.number: row for row in commits.pulls(tx, repository.id)}
            built = commits.built_heads(tx, repository.id, [pull.number for pull in listed.items])
        for pull in listed.items:
            row, at = known.get(pull.number), time_of(pull.updated_at)
            if at > self._clock.now() - _SETTLED:
                continue
            if row is None:
                # What was opened before the App came is nobody's wish until somebody touches it.
                is_news = at >= since
            else:
                shown = (pull.head_sha, pull.base_branch, pull.is_draft, True)
                is_news = shown != (row.head_sha, row.base_branch, row.is_draft, row.is_open)
                # Who answers a command sees a head of which no event may ever tell; where nothing is built, no matter.
                is_news = is_news or (bool(repository.policy) and (pull.number, pull.head_sha) not in built)
                is_news = is_news and pull.updated_at >= row.updated_at
            if is_news:
                yield sightings.of(_changed(here, pull, "synchronize"), "" if row is None else row.head_sha)
        shown_open = {pull.number for pull in listed.items}
        if listed.is_whole:
            for row in known.values():
                if row.is_open and row.number not in shown_open:
                    pull = self._forge.get_pull(repo, row.number)
                    if not pull.is_open:
                        yield sightings.of(_changed(here, pull, "closed"))

    def _branches(
        self, repository: Repository, here: events.Repository, repo: Repo, standing: Standing
    ) -> Iterator[Sighting]:
        listed = self._forge.branches(repo)
        with self._database.read() as tx:
            known = commits.heads(tx, repository.id)
        shown = {f"refs/heads/{name}": sha for name, sha in listed.items if not name.startswith(_MERGE_QUEUE)}
        for ref, sha in shown.items():
            if known.get(ref) == sha:
                continue
            if ref not in known and not repository.knows_branches:
                with self._database.write() as tx:
                    commits.see_head(tx, repository.id, ref, sha, 0)
                continue
            yield sightings.of(events.PushReceived(here, ref, known.get(ref), sha, pushed_at=standing.pushed_at))
        gone = [ref for ref, sha in known.items() if sha is not None and ref not in shown]
        for ref in gone if listed.is_whole else ():
            if ref.startswith("refs/heads/"):
                yield sightings.of(events.RefDeleted(here, ref, standing.pushed_at))
        if not repository.knows_branches:
            with self._database.write() as tx:
                installations.knows_branches(tx, repository)

    def _take_in(self, found: list[Sighting]) -> None:
        for one in found:
            with self._database.connection() as connection:
                is_new = deliveries.receive(connection, one.guid, one.event, one.body, self._clock.now(), "scan")
            if is_new:
                _log.warning("no event told of this %s; it was seen on GitHub", one.event)


def _of_installation(row: Installation, there: Installed | None) -> Iterator[Sighting]:
    is_open = row.removed_at is None and row.suspended_at is None
    if there is None:
        action = "deleted" if row.removed_at is None else ""
    elif there.is_suspended:
        action = "suspend" if row.suspended_at is None else ""
    else:
        action = "" if is_open else "unsuspend"
    if action:
        since = f"{row.removed_at}/{row.suspended_at}/{row.seen_at}"
        yield sightings.of(events.InstallationChanged(row.github_id, row.account, action), since)


def _event(repository: Repository, standing: Standing) -> events.Repository:
    return events.Repository(
        repository.github_id,
        standing.owner,
        standing.name,
        standing.is_private,
        standing.default_branch,
        repository.installation_id,
    )


def _changed(here: events.Repository, pull: Pull, action: str) -> events.PullRequestChanged:
    return events.PullRequestChanged(
        repository=here,
        action=action,
        number=pull.number,
        sha=pull.head_sha,
        head_branch=pull.head_branch,
        base_branch=pull.base_branch,
        base_sha=pull.base_sha,
        updated_at=pull.updated_at,
        is_fork=pull.is_fork,
        author=pull.author,
        is_draft=pull.is_draft,
        is_open=pull.is_open,
    )
