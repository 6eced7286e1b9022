"""What a supervisor is told, in files that are whole or not there: `order.json` (what to run), `cancel.json` (to stop).

Both sides are processes that may die at any moment; a file that was renamed into place is an order that stands.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.backends.durable import write_once
from bot.backends.engine import Engine
from bot.backends.means import Means
from bot.backends.processes import Process
from bot.backends.sandbox import Sandbox

VERSION = 2
ORDER, CANCEL, LOCK, JOURNAL, DIARY = "order.json", "cancel.json", "lock", "journal", "supervisor.log"
"""The files of an attempt's directory: the two orders, the supervisor's lock, what it saw, its own complaints."""
ARTIFACTS, TRIALS = "artifacts", "trials"
"""What all tasks leave; and what the tuner of a search writes down of its trials."""


@dataclass(frozen=True)
class Order:
    """One attempt for one supervisor. `attempt` is the spec as `base.to_json` gives it; `grace` is in seconds.

    `network` is `private`, `none` or `shared`, `slirp` the program that a private one needs. `storage` is what a run
    may do with the project's: `write`, `overlay` (to a layer of its own) or `read`. `means` hold tasks to their limits.
    `engine` runs the images that the spec names, None where there is none: they are not used then.
    `fetching` is what the bot knows about fetching datasets (`cache_dir`, `cache_bytes`, `endpoint_url`); `facts` go
    into the attempt's own. `owner` is the process without which nobody wants it any more; None: it outlives everybody.
    """

    attempt: Mapping[str, Any]
    sandbox: Sandbox
    grace: float
    log_limit: int
    means: Means
    network: str = "shared"
    slirp: str = ""
    storage: str = "write"
    engine: Engine | None = None
    fetching: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    owner: Process | None = None

    def write(self, run_dir: Path) -> None:
        """Give the order, unless one was given before: the first stands."""
        if not (run_dir / ORDER).exists():
            parts = {"sandbox": vars(self.sandbox), "means": vars(self.means)}
            engine = None if self.engine is None else vars(self.engine)
            owner = None if self.owner is None else vars(self.owner)
            value = {**vars(self), "order": VERSION, "engine": engine, "owner": owner, **parts}
            write_once(run_dir / ORDER, value)

    @staticmethod
    def read(run_dir: Path) -> "Order":
        """Return the order. Raises FileNotFoundError when none was given, ValueError for an unknown format."""
        value = json.loads((run_dir / ORDER).read_bytes())
        if value.pop("order") != VERSION:
            raise ValueError(f"the order in {run_dir} has a format that this version does not know")
        made: dict[str, Any] = {"sandbox": Sandbox(**value["sandbox"]), "means": Means(**value["means"])}
        if value.get("engine") is not None:
            made["engine"] = Engine(**value["engine"])
        if value.get("owner") is not None:
            made["owner"] = Process.from_json(value["owner"])
        return Order(**{**value, **made})


def cancel(run_dir: Path, reason: str) -> None:
    """Ask for the end; the first reason stands."""
    if not (run_dir / CANCEL).exists():
        write_once(run_dir / CANCEL, {"reason": reason})


def cancel_reason(run_dir: Path) -> str | None:
    """Return why the end was asked for; None when it was not."""
    try:
        return str(json.loads((run_dir / CANCEL).read_bytes())["reason"])
    except FileNotFoundError:
        return None
