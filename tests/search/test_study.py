"""The ancestor's shared study: tables made before anybody needs them, trials read from a file that nobody trusts."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage

from bot.core.trials import Trial, TrialState

pytestmark = pytest.mark.service

RUN_AS = 65_534


def call(run_dir: Path, what: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command as its callers do; return its status and its lines."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bot.search.study", str(run_dir), what],
        cwd="/",
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr.decode(), "it complains in lines only"
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An attempt's directory before its tasks start."""
    run_dir = tmp_path_factory.mktemp("prepared")
    (run_dir / "generated").mkdir()
    if os.geteuid() == 0:
        os.chown(run_dir / "generated", RUN_AS, RUN_AS)
    assert call(run_dir, "prepare") == (0, [])
    return run_dir


@pytest.fixture
def study_file(prepared: Path, tmp_path: Path) -> Path:
    """A study file as a run finds it."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path / "generated" / "study" / "study.db"


def optimize(file: Path, objective: Callable[[optuna.Trial], float], trials: int, **study: Any) -> None:
    """Do what a tuning command does."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = RDBStorage(f"sqlite:///{file}")
    try:
        optuna.create_study(storage=storage, **study).optimize(objective, trials)
    finally:
        storage.engine.dispose()


def test_the_tables_belong_to_the_run_and_are_made_once(prepared: Path) -> None:
    file = prepared / "generated" / "study" / "study.db"
    before = file.stat()
    assert before.st_uid == file.parent.stat().st_uid == (RUN_AS if os.geteuid() == 0 else os.getuid())
    assert call(prepared, "prepare") == (0, [])
    assert file.stat() == before
    assert call(prepared, "read") == (0, [{"study": "", "goal": None, "trials": 0, "left_out": 0}])


def test_trials_are_told_as_in_a_declared_search(study_file: Path) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("act", ["relu", None])
        trial.suggest_int("units\n", 1, 4)
        trial.report(0.5, 7)
        if trial.number == 1:
            raise optuna.TrialPruned
        return float("inf") if trial.number == 2 else x

    optimize(study_file, objective, 3, study_name="my\nstudy", direction="maximize")
    status, (head, *lines) = call(study_file.parents[2], "read")
    assert (status, head) == (0, {"study": "my·study", "goal": "maximize", "trials": 3, "left_out": 0})
    trials = [Trial.from_json(line) for line in lines]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]
    assert [trial.value for trial in trials] == [trials[0].params["x"], 0.5, None]
    assert trials[1].reason == "pruned at step 7"
    assert {*trials[0].params} == {"x", "act", "units·"}
    assert {trial.params["act"] for trial in trials} <= {"relu", "None"}
    assert trials[0].began_at is not None
    assert trials[0].ended_at is not None
    assert 0 <= trials[0].ended_at - trials[0].began_at < 60_000_000


def test_a_transaction_that_was_cut_off_never_happened(study_file: Path) -> None:
    optimize(study_file, lambda trial: trial.suggest_float("x", 0, 1), 1)
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma cache_size = 1');"
        "c.execute('begin immediate'); c.execute('delete from trials');"
        "c.executemany('insert into studies(study_name) values (?)', ((str(n) * 400,) for n in range(200)));"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(study_file)], check=False)
    assert study_file.with_name("study.db-journal").stat().st_size > 0
    status, (head, *lines) = call(study_file.parents[2], "read")
    assert (status, head["trials"], len(lines)) == (0, 1, 1)


def test_a_study_of_several_goals_has_trials_but_no_best(study_file: Path) -> None:
    storage = RDBStorage(f"sqlite:///{study_file}")
    study = optuna.create_study(storage=storage, directions=["minimize", "maximize"])
    study.tell(study.ask(), [1, 2])
    storage.engine.dispose()
    _, (head, line) = call(study_file.parents[2], "read")
    assert (head["goal"], line["state"], line["value"]) == (None, "complete", None)


def _link(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def _folder_link(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.symlink_to("/etc")


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _bomb(file: Path) -> None:
    """A view in the place of a table: a name of 900 MB out of a file of some kilobytes."""
    connection = sqlite3.connect(file)
    connection.execute("drop table studies")
    connection.execute("create view studies as select 1 as study_id, hex(zeroblob(450000000)) as study_name")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda file: file.unlink(), "there is no study"),
        (lambda file: file.write_bytes(b"nonsense" * 999), "study.db is no study that can be read"),
        (lambda file: file.write_bytes(b""), "study.db is no study that can be read"),
        (lambda file: os.truncate(file, 1 << 40), "study.db is larger than 256 MiB and was not read"),
        (_bomb, "study.db is no study that can be read"),
        (_link, "study.db could not be read: Too many levels of symbolic links"),
        (_folder_link, "study.db could not be read: Not a directory"),
        (_fifo, "study.db is a link or no regular file, and was not read"),
    ],
)
def test_whatever_a_run_left_is_a_sentence_at_worst(
    study_file: Path, spoil: Callable[[Path], object], told: str
) -> None:
    spoil(study_file)
    assert call(study_file.parents[2], "read") == (1, [{"problem": told}])


@pytest.mark.slow
def test_what_is_shown_of_a_study_has_a_size(study_file: Path) -> None:
    """Trials become rows of the bot's: however many long names a run thinks of, they are not all told."""
    optimize(study_file, lambda trial: trial.suggest_float("x", 0, 1), 1)
    long = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["v" * 500]}})
    with sqlite3.connect(study_file) as database:
        database.executemany("insert into trials (number, study_id, state) values (?, 1, 'FAIL')", zip(range(1, 200)))
        parameters = ((trial, f"{name:0200}", long) for trial in range(2, 201) for name in range(90))
        insert = "insert into trial_params (trial_id, param_name, param_value, distribution_json) values (?, ?, 0, ?)"
        database.executemany(insert, parameters)

    status, (head, *lines) = call(study_file.parents[2], "read")
    assert (status, head["trials"]) == (0, 200)
    assert 0 < len(lines) == 200 - head["left_out"]
    assert len(json.dumps(lines)) < 9 << 20
