"""The study that the tasks of a search in the ancestor's form share: made before they start, read when they are done.

`bot.search.study` does both, as a child: it needs Optuna, and reads a file that nobody trusts.
"""

import json
from pathlib import Path
from typing import Any

from bot.backends import orders
from bot.backends.ends import End, Stop
from bot.backends.interrupts import Interrupts
from bot.backends.programs import Program
from bot.clock import Clock
from bot.core.masking import Masker
from bot.core.states import State

URL = "sqlite:////generated/study/study.db"
"""Where the tasks find it."""
METRIC = "objective"
"""What a trial's value is called: Optuna gives it no name."""
_MODULE = "bot.search.study"
_PREPARE_LIMIT, _READ_LIMIT = 120.0, 90.0
"""Seconds; importing Optuna takes most of them on a busy machine."""


def prepare(run_dir: Path, interrupts: Interrupts, clock: Clock) -> None:
    """Make the study's tables. Raises Stop: ERROR where that fails, CANCELLED when that is asked for meanwhile."""
    program = Program(_MODULE, run_dir, arguments=(str(run_dir), "prepare"))
    try:
        said = program.last_words(clock, _PREPARE_LIMIT, interrupts)
        is_done = program.is_silent and program.status == 0
    finally:
        program.kill()
    if not is_done:
        why = said[0]["problem"] if said else "supervisor.log may say why"
        raise Stop(End(State.ERROR, f"the study could not be made: {why}"))


def read(run_dir: Path, clock: Clock, masker: Masker) -> tuple[dict[str, Any], str]:
    """Write the study's trials to the file `trials`; return the facts about it, and a sentence where there are none.

    The run chose its parameters: a secret among them is masked like one in a log.
    """
    program = Program(_MODULE, run_dir, arguments=(str(run_dir), "read"))
    try:
        about, *trials = program.last_words(clock, _READ_LIMIT) or [{"problem": "it took too long"}]
    finally:
        program.kill()
    if "problem" in about:
        return {}, f"the study cannot be read: {about['problem']}"
    _write(run_dir / orders.TRIALS, trials, masker)
    if about["goal"] is None:
        return {}, "the study has no trials" if not about["trials"] else "the study has several goals: there is no best"
    left_out = f"{about['left_out']} trials of the study are not shown" if about["left_out"] else ""
    return {"study": {"goal": about["goal"], "metric": METRIC}}, left_out


def _write(path: Path, trials: list[dict[str, Any]], masker: Masker) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text("".join(masker.mask_json(json.dumps(trial, separators=(",", ":"))) + "\n" for trial in trials))
    new.replace(path)
