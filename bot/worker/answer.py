"""Station: what people ask for is done, or refused with a reason.

A request was written down by intake (a comment, a button) or by the terminal. Whoever asks must be allowed to *now*:
GitHub is asked for the permission at the moment in which it is used.
"""

import logging
from dataclasses import dataclass

from bot.clock import HOUR, MINUTE, SECOND, Clock
from bot.core.commands import Verb
from bot.core.permission import Permission
from bot.forge.client import Forge
from bot.forge.errors import ForgeError
from bot.forge.git import GitError
from bot.store import commits, requests
from bot.store.database import Busy, Database
from bot.store.schema import Repository, Request
from bot.worker.conversation import Conversation
from bot.worker.each import Each
from bot.worker.reply import Declined, Reply
from bot.worker.repo import repo_of

_AT_ONCE = 20
_TRIES = 8
_LONGEST_WAIT, _PATIENCE, _PATIENCE_SHUT_OUT = 5 * MINUTE, 6 * HOUR, 10 * MINUTE
"""How long to wait between two looks, and how long in all: whoever asked must hear before long what keeps us."""
_WANTING, _TOLD_ENOUGH = "that needs the role", 10
"""How a refusal for want of a role begins, and how many of them somebody is told within an hour."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    """A request with its repository."""

    request: Request
    repository: Repository


class Answer:
    """Answers requests in their order. `command_role` is who may give commands where a repository does not say."""

    name = "answer"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        forge: Forge,
        conversation: Conversation,
        command_role: Permission = Permission.WRITE,
    ) -> None:
        self._database, self._clock, self._forge = database, clock, forge
        self._conversation, self._command_role = conversation, command_role
        self._each = Each(clock)

    def tick(self) -> bool:
        with self._database.read() as tx:
            waiting = [_Place(*pair) for pair in requests.waiting(tx, self._clock.now(), _AT_ONCE)]
        self._each.do(waiting, lambda place: f"answering request {place.request.id}", self._answer)
        return len(waiting) == _AT_ONCE

    def _answer(self, place: _Place) -> None:
        request, repository = place.request, place.repository
        if self._is_turned_away(request):
            return
        try:
            reply = self.reply(request, repository)
        except Declined as declined:
            self._conclude(place, requests.REFUSED, Reply(str(declined), declined.sha))
        except (GitError, ForgeError) as error:
            is_late = self._clock.now() - request.created_at >= _patience(error)
            self._stumbled(place, str(error), is_final=is_late)
        except Busy:
            raise  # no word against the request: it is looked at again, from its beginning
        except Exception as error:
            # A fault of ours. Whoever asked must not wait for its repair.
            _log.exception("request %s could not be answered", request.id)
            self._stumbled(place, f"a fault of the bot: {type(error).__name__}", is_final=request.tries + 1 >= _TRIES)
        else:
            self._conclude(place, requests.DONE, reply)

    def reply(self, request: Request, repository: Repository) -> Reply:
        """Return the reply to a request, which does nothing yet. Raises Declined, ForgeError, GitError."""
        self._check_permission(request, repository)
        return self._conversation.answer(request, repository)

    def _check_permission(self, request: Request, repository: Repository) -> None:
        if request.source == requests.TERMINAL:
            return
        needed = self._needed(request, repository)
        where = repo_of(repository)
        has = self._forge.permission_of(where, request.sender)
        if not has.covers(needed):
            raise Declined(f"{_WANTING} {needed}, and `{request.sender}` has {has}", request.sha)

    def _is_turned_away(self, request: Request) -> bool:
        """Drop what somebody asks for who was told often enough to lack the role: answers cost what others need."""
        since = self._clock.now() - HOUR
        with self._database.read() as tx:
            told = requests.count_refused(tx, request.repository_id, request.sender, _WANTING, since)
        if told < _TOLD_ENOUGH:
            return False
        with self._database.write() as tx:
            _log.warning(
                "request %s of %s is dropped: refused %s times within an hour", request.id, request.sender, told
            )
            requests.drop(tx, request)
        return True

    def _needed(self, request: Request, repository: Repository) -> Permission:
        """Return the role that is needed.

        To let a stranger's code run is never given to whoever may not write, nor is giving variables to a run: one of
        them may mean code to some library, or where a secret is sent to.
        """
        chosen = repository.policy.get("command_role")
        needed = self._command_role if chosen is None else Permission(chosen)
        brings_code = request.verb == Verb.APPROVE or (request.verb == Verb.RUN and request.settings)
        return Permission.WRITE if brings_code and Permission.WRITE.covers(needed) else needed

    def _conclude(self, place: _Place, state: str, reply: Reply) -> None:
        """Do what was decided and write down the answer, both or neither."""
        request, repository = place.request, place.repository
        with self._database.write() as tx:
            said = reply.text if reply.do is None else reply.do(tx)
            requests.conclude(tx, request, state, said, reply.sha or request.sha, self._clock.now())
            if request.number:
                commits.touch_pull(tx, repository.id, request.number)
            commit = commits.find(tx, repository.github_id, reply.sha or request.sha)
            if commit is not None:
                commits.touch(tx, commit.id)

    def _stumbled(self, place: _Place, why: str, *, is_final: bool) -> None:
        """Look at it again later, unless that is useless."""
        request = place.request
        if is_final:
            self._conclude(place, requests.REFUSED, Reply(f"it could not be done: {why}", request.sha))
            return
        _log.warning("request %s waits: %s", request.id, why)
        until = self._clock.now() + min(2**request.tries * SECOND, _LONGEST_WAIT)
        with self._database.write() as tx:
            requests.postpone(tx, request, why, until)


def _patience(trouble: GitError | ForgeError) -> int:
    """Return how long (microseconds) a request may be old before it is refused for this trouble."""
    if trouble.is_retryable:
        return _PATIENCE
    return _PATIENCE_SHUT_OUT if trouble.is_shut_out else 0
