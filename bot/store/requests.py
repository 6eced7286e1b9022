"""What people ask for: kept until it is done or refused, and then for those who want to know what became of it."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, or_, select, update

from bot.core.commands import Verb
from bot.store.database import Transaction
from bot.store.schema import Installation, Repository, Request

WAITING, DONE, REFUSED = "waiting", "done", "refused"
TERMINAL = "terminal"
"""The source of what is asked on the bot's own machine: whoever can write to its tables needs no other right."""


def put(tx: Transaction, request: Request) -> bool:
    """Store a request; tell whether it is new."""
    if tx.scalar(select(Request.id).where(Request.key == request.key)) is not None:
        return False
    tx.add(request)
    tx.flush()
    return True


def is_repeated(tx: Transaction, request: Request, since: int) -> bool:
    """Tell whether the same was clicked since then: people press a button twice.

    By the same person: somebody who may not click must not be able to click first.
    """
    same = (
        Request.sender == request.sender,
        Request.repository_id == request.repository_id,
        Request.sha == request.sha,
        Request.verb == request.verb,
        Request.source == request.source,
        Request.check_id.is_not_distinct_from(request.check_id),
        Request.created_at >= since,
    )
    return tx.scalar(select(Request.id).where(*same).limit(1)) is not None


def waiting(tx: Transaction, now: int, limit: int) -> Sequence[tuple[Request, Repository]]:
    """Return the oldest requests that are to be looked at now, each with its repository.

    Where the App is suspended nothing can be answered: they wait for its return.
    """
    suspended = select(Installation.github_id).where(
        Installation.suspended_at.is_not(None), Installation.removed_at.is_(None)
    )
    query = select(Request, Repository).join(Repository, Request.repository_id == Repository.id)
    query = query.where(Request.state == WAITING, Request.not_before <= now)
    query = query.where(Repository.installation_id.not_in(suspended)).order_by(Request.id).limit(limit)
    return [(request, repository) for request, repository in tx.execute(query)]


def postpone(tx: Transaction, request: Request, answer: str, until: int) -> None:
    """Look at a request again later; `answer` says what it waits for."""
    values = {"answer": answer, "not_before": until, "tries": Request.tries + 1}
    tx.execute(update(Request).where(Request.id == request.id).values(values))


def conclude(tx: Transaction, request: Request, state: str, answer: str, sha: str, now: int) -> None:
    """Write down what became of a request, and what its comment is to show of it."""
    reaction = None if request.comment_id is None else "+1" if state == DONE else "-1"
    values = {"state": state, "answer": answer, "answered_at": now, "reaction": reaction, "sha": sha}
    tx.execute(update(Request).where(Request.id == request.id).values(values))


def count_refused(tx: Transaction, repository_id: int, sender: str, beginning: str, since: int) -> int:
    """Return how many requests of somebody were refused since then with an answer that begins so."""
    where = (Request.repository_id == repository_id, Request.sender == sender, Request.state == REFUSED)
    told = (Request.answer.startswith(beginning, autoescape=True), Request.answered_at >= since)
    return tx.scalar(select(func.count()).select_from(Request).where(*where, *told)) or 0


def drop(tx: Transaction, request: Request) -> None:
    """Forget a request that nobody is to hear of."""
    tx.execute(delete(Request).where(Request.id == request.id))


def reactions(tx: Transaction, besides: Collection[int] = ()) -> list[tuple[Request, Repository]]:
    """Return the requests whose comments are to get their reaction yet, one for each comment: the worst answer.

    `besides` are installations that can be told nothing now.
    """
    query = (
        select(Request, Repository)
        .join(Repository, Request.repository_id == Repository.id)
        .where(Request.reaction.is_not(None), Request.reacted_at.is_(None), Request.comment_id.is_not(None))
        .where(Repository.installation_id.not_in(besides))
        .order_by(Request.reaction, Request.id)  # "+1" sorts before "-1": the last one wins
    )
    newest = {request.comment_id: (request, repository) for request, repository in tx.execute(query)}
    return list(newest.values())


def reacted(tx: Transaction, comment_id: int, now: int) -> None:
    """Remember that a comment shows its reaction, or never will; a command of it that still waits will have its own."""
    answered = (Request.comment_id == comment_id, Request.reaction.is_not(None))
    tx.execute(update(Request).where(*answered).values(reacted_at=now))


def change(tx: Transaction, request_id: int, **values: object) -> None:
    """Set columns of a request."""
    tx.execute(update(Request).where(Request.id == request_id).values(**values))


def told(tx: Transaction, repository_id: int, numbers: Sequence[int], sha: str, limit: int) -> Sequence[Request]:
    """Return the newest requests that concern a commit or one of its pull requests, newest first."""
    place = or_(Request.sha == sha, Request.number.in_([number for number in numbers if number]))
    where = (Request.repository_id == repository_id, place, Request.state != WAITING, Request.verb != Verb.HELP)
    return tx.scalars(select(Request).where(*where).order_by(Request.id.desc()).limit(limit)).all()


def wants_help(tx: Transaction, repository_id: int, number: int) -> bool:
    """Tell whether the newest thing that was asked for at a pull request is what can be asked for."""
    where = (Request.repository_id == repository_id, Request.number == number, Request.state == DONE)
    newest = tx.scalars(select(Request.verb).where(*where).order_by(Request.id.desc()).limit(1)).first()
    return newest == Verb.HELP


def find(tx: Transaction, key: str) -> Request | None:
    """Return a request by its key."""
    return tx.scalar(select(Request).where(Request.key == key))


def count_waiting(tx: Transaction) -> int:
    """Return how many requests nobody has looked at to the end, or have no reaction yet."""
    open_ones = or_(Request.state == WAITING, Request.reaction.is_not(None) & Request.reacted_at.is_(None))
    return tx.scalar(select(func.count()).select_from(Request).where(open_ones)) or 0
