"""A tuner at work: its parts put together, and the loop that hears of ends and looks around in between."""

import queue
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.clock import Clock, SystemClock
from bot.core.search import Search
from bot.core.series import Source
from bot.metrics.reader import MetricsReader
from bot.search.ledger import Ledger
from bot.search.tuner import Send, Tuner
from bot.search.values import artifacts, values_of

EVERY = 2.0
"""Seconds between two looks at what the running trials have logged."""


def follow(hello: Mapping[str, Any], inbox: "queue.Queue[dict[str, Any]]", send: Send) -> None:
    """Follow the search that the supervisor's first line tells of, in the working directory, to its end."""
    run_dir = Path.cwd()
    clock = SystemClock()
    search = replace(Search.from_json(hello["search"]), parallel=int(hello["parallel"]))
    # Whether it is resumed is not asked: the ledger knows.
    with closing(MetricsReader(user=hello["user"])) as reader, closing(Ledger(run_dir, clock)) as ledger:
        tuner = Tuner(
            search=search,
            words=hello["command"],
            ledger=ledger,
            values=values_of(search, run_dir, reader),
            clock=clock,
            send=send,
            clear=lambda number: clear(artifacts(run_dir, number)),
        )
        tuner.start()
        if search.metric_source is not Source.LOGGED and not tuner.is_over:
            # Its process takes a second or two to start: better now than while a worker waits for its next trial.
            reader.read([])
        _listen(tuner, inbox, clock)


def _listen(tuner: Tuner, inbox: "queue.Queue[dict[str, Any]]", clock: Clock) -> None:
    due = clock.monotonic() + EVERY
    while not tuner.is_over:
        try:
            message = inbox.get(timeout=max(due - clock.monotonic(), 0.0))
        except queue.Empty:
            tuner.look()
            due = clock.monotonic() + EVERY
        else:
            end = message["ended"]
            tuner.ended(int(end["trial"]), end["exit_code"], str(end.get("reason", "")))


def clear(path: Path) -> None:
    """Remove what an interrupted try of a trial left. It is a run's: there may be more levels than Python can climb."""
    subprocess.run(["rm", "-rf", "--", str(path)], check=True, stdin=subprocess.DEVNULL)
