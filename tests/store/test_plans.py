"""What is asked a few times a second, or with every event, never goes through all that there ever was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bot.core.states import State
from bot.store import checks, commits, deliveries, experiments, reconciling, requests, runs
from bot.store.database import Database, Transaction
from bot.store.schema import Pull

NOW = 1_700_000_000_000_000
HISTORY = ("attempts", "checks", "commits", "run_triggers", "runs", "requests", "deliveries")
PULL = Pull(id=1, repository_id=1, number=1, head_sha="a" * 40, is_open=False)

Asking = Callable[[Transaction], object]


@pytest.mark.parametrize(
    "asking",
    [
        pytest.param(experiments.submitted, id="submitted"),
        pytest.param(experiments.launched, id="launched"),
        pytest.param(lambda tx: experiments.overdue(tx, NOW), id="overdue"),
        pytest.param(experiments.to_cancel, id="to cancel"),
        pytest.param(lambda tx: experiments.due_again(tx, NOW), id="due again"),
        pytest.param(experiments.unread, id="unread"),
        pytest.param(lambda tx: experiments.in_states(tx, State.CREATED), id="created"),
        pytest.param(lambda tx: runs.cancel_pull(tx, PULL, "closed"), id="a pull request's end"),
        pytest.param(lambda tx: runs.end_reason(tx, 1, "push", "refs/heads/a", "gone", NOW), id="a branch's end"),
        pytest.param(lambda tx: reconciling.next_commit(tx, NOW), id="to be held against GitHub"),
        pytest.param(lambda tx: commits.with_news(tx, 20), id="news"),
        pytest.param(checks.due, id="due checks"),
        pytest.param(lambda tx: requests.waiting(tx, NOW, 20), id="requests"),
        pytest.param(lambda tx: deliveries.waiting(tx, NOW, 20), id="deliveries"),
    ],
)
def test_an_index_finds_it(tmp_path: Path, asking: Asking) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite3")
    database.migrate(tmp_path / "lock")
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _k, sql, given, *_: asked.append((sql, given)))
    with database.write() as tx:
        asking(tx)
        statements = [(sql, given) for sql, given in asked if sql.startswith(("SELECT", "UPDATE"))]
        plans = [
            str(row[3])
            for sql, given in statements
            for row in tx.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)
        ]
    database.close()
    assert plans
    assert [
        step for step in plans for table in HISTORY if step.startswith(f"SCAN {table}") and "INDEX" not in step
    ] == []
