"""A database that an earlier version made and filled: every row is there afterwards, and works."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Integer, LargeBinary, MetaData, Table, select

from bot.core.report import desired_checks
from bot.core.states import State
from bot.store import checks, commits, experiments, facts, installations, pages
from bot.store import database as databases
from bot.store.database import Database, Transaction
from bot.store.schema import Attempt, Base, Check, Comment, Delivery, Pull, Repository, Run, RunTrigger
from bot.store.surroundings import NOWHERE
from tests.core.report.words import RENDERER

SPEC = {"timeout": 600.0, "groups": [], "workdir": "."}
PLAUSIBLE: dict[str, dict[str, Any]] = {
    "attempts": {"state": "running", "spec": SPEC, "cancel_reason": None, "facts": {}, "metrics_problems": []},
    "checks": {"kind": "rollup", "name": "experiments", "refused": None, "refused_at": None},
    "comments": {"refused": None, "refused_at": None},
    "commits": {"problems": [], "has_news": True},
    "documents": {"body": "{}"},
    "experiments": {"kind": "experiment.run_single_node", "gates": [], "notes": [], "params": {}},
    "pulls": {"is_open": True},
    "run_triggers": {"event": "push"},
    "runs": {"skipped": None, "trust": "trusted"},
    "tasks": {"state": "running"},
    "transitions": {"source": None, "target": "created"},
    "trials": {"state": "complete", "params": {}},
}
"""What the words of a row must be for this version to make sense of it; everything else is filled by its type."""

SOMEWHERE = replace(NOWHERE, public_url="http://bot.example", web_url="http://github.example")


def alembic_of(database: Database, connection: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(databases.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def filled(column: "Column[Any]") -> Any:
    """A value that no default is."""
    kinds: list[tuple[type, Any]] = [
        (JSON, {"kept": ["as", 1, "was"]}),
        (Boolean, True),
        (Double, 0.25),
        (BigInteger, 1),
        (Integer, 1),
        (LargeBinary, b"\x00kept"),
    ]
    if column.foreign_keys:
        return 1
    return next((value for kind, value in kinds if isinstance(column.type, kind)), f"kept {column.name}"[:16])


def tables_of(connection: Any) -> list[Table]:
    known = MetaData()
    known.reflect(connection)
    return [table for table in known.sorted_tables if table.name != "alembic_version"]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[tuple[Database, dict[str, dict[str, Any]]]]:
    """A database as 0002 made it, with a row in each of its tables; and those rows."""
    database = Database(f"sqlite:///{tmp_path / 'old.sqlite3'}")
    with database.engine.connect() as connection:
        command.upgrade(alembic_of(database, connection), "0002")
        rows = {}
        for table in tables_of(connection):
            row = {column.name: filled(column) for column in table.columns} | PLAUSIBLE.get(table.name, {})
            connection.execute(table.insert().values(row))
            rows[table.name] = row
        connection.commit()
    assert len(rows) == 20
    yield database, rows
    database.close()


def test_every_row_of_0002_is_there_as_it_was(old: tuple[Database, dict[str, dict[str, Any]]], tmp_path: Path) -> None:
    database, rows = old
    database.migrate(tmp_path / "lock")
    with database.connection() as connection:
        tables = {table.name: table for table in tables_of(connection)}
        for name, row in rows.items():
            [found] = connection.execute(select(tables[name])).mappings()
            # What the new columns say of a row that was told: below.
            assert {column: found[column] for column in row} == row, name
    assert set(Base.metadata.tables) == set(tables)


def only(tx: Transaction, kind: type[Any]) -> Any:
    [row] = tx.scalars(select(kind)).all()
    return row


def test_what_0003_adds_has_working_values(old: tuple[Database, dict[str, dict[str, Any]]], tmp_path: Path) -> None:
    database, _ = old
    database.migrate(tmp_path / "lock")
    with database.read() as tx:
        delivery, repository, attempt = only(tx, Delivery), only(tx, Repository), only(tx, Attempt)
        check, comment, pull = only(tx, Check), only(tx, Comment), only(tx, Pull)
        run, trigger = only(tx, Run), only(tx, RunTrigger)
    assert delivery.origin == "webhook"
    assert (repository.closed, repository.policy, repository.seen_at, repository.scanned_at) == (None, {}, 0, 0)
    assert (attempt.author, attempt.cause, attempt.settings, attempt.cancelled_by) == ("", "event", {}, "")
    assert (attempt.retry, attempt.retry_at) == (0, None)
    # A roll-up that GitHub has was made with all its annotations: they are not added again.
    assert (check.healed, check.told_annotations) == (0, 50)
    assert (comment.looked_at, comment.healed) == (0, 0)
    assert (pull.base_branch, pull.author, pull.is_fork, pull.is_draft, pull.news) == ("", "", False, False, 0)
    assert (run.concurrency, trigger.author, trigger.ended_at) == (None, "", None)


def test_this_version_goes_on_with_them(old: tuple[Database, dict[str, dict[str, Any]]], tmp_path: Path) -> None:
    database, _ = old
    database.migrate(tmp_path / "lock")
    with database.read() as tx:
        [commit] = commits.with_news(tx, 10)
        repository = facts.repository_of(tx, commit)
        views = desired_checks(facts.commit_facts(tx, commit, repository, SOMEWHERE), RENDERER)
        page = pages.experiment_page(tx, 1)
        to_scan = installations.to_scan(tx, before=10)
        [attempt] = experiments.under_way(tx)
    assert "experiments" in {view.name for view in views}
    assert page is not None
    assert page.attempt is not None
    assert to_scan is not None
    assert State(attempt.state) is State.RUNNING
    with database.write() as tx:
        checks.desire(tx, commit.id, [])
        experiments.change(tx, attempt.id, retry_at=5, settings={"LR": "0.1"})
        commits.caught_up(tx, commit)
    with database.read() as tx:
        assert only(tx, Attempt).settings == {"LR": "0.1"}


def test_to_bring_it_to_this_version_twice_changes_nothing(
    old: tuple[Database, dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    database, _ = old
    database.migrate(tmp_path / "lock")
    database.migrate(tmp_path / "lock")
    with database.read() as tx:
        assert only(tx, Delivery).guid == "kept guid"
