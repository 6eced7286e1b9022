"""A worker that dies: the power is cut right before or right after a transaction has become durable.

What happens between two transactions (a submission, a request to GitHub) is lost together with the second of them, or
has not happened after the first: these moments are all that there is to tell apart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import event

from bot.store.database import Database, Transaction


class PowerCut(BaseException):
    """The process is gone. Not an Exception: nothing in the bot may catch it and carry on."""


@dataclass(frozen=True)
class Moment:
    """The instant before, or after, a transaction became durable; `sql` is all that was said in it."""

    is_after: bool
    sql: str

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} {self.sql[:160]}"


class MortalDatabase(Database):
    """Cuts the power at each moment that `is_fatal`."""

    def __init__(self, url: str, is_fatal: Callable[[Moment], bool]) -> None:
        super().__init__(url)
        self._is_fatal = is_fatal
        self._said: list[str] = []
        event.listen(self.engine, "before_cursor_execute", lambda *args: self._said.append(args[2]))

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        self._said.clear()
        with super().write() as tx:
            yield tx
            tx.flush()
            self._pass(is_after=False)
        self._pass(is_after=True)

    def _pass(self, *, is_after: bool) -> None:
        sql = "; ".join(one for one in self._said if one.startswith(("INSERT", "UPDATE", "DELETE")))
        if sql and self._is_fatal(Moment(is_after, sql)):
            raise PowerCut(sql)
