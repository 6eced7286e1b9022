"""What a run may call things: whose measurement it is, and what is measured."""

import re
from dataclasses import dataclass
from typing import NoReturn

LONGEST_NAME = 200
"""Characters of a metric's name; what the ancestor's StatsD server kept."""

FIRST_TASK = "worker-0"
"""Whose measurements those are that name no task."""

_PROMETHEUS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
"""`METRIC_NAME_RE` of prometheus_client 0.9, which gradient-utils 0.5.0 sends through."""
_STATSD = re.compile(r"[a-zA-Z0-9_-]+")
"""The ancestor's manual for gradient-statsd: letters, digits, `_` and `-`."""
_TASK = re.compile(r"(?:[a-z]{1,20}-){1,3}[0-9]{1,4}")
_TRIAL = re.compile(r"trial-([0-9]{1,6})")


class Refused(ValueError):
    """Something that is not taken; the message is a sentence in ASCII for the one who sent it."""


@dataclass(frozen=True)
class Origin:
    """Whose measurement it is."""

    task: str
    trial: int | None = None


def check_pushed(name: str) -> str:
    """Return the name of a pushed metric. Raises Refused."""
    return _checked(name, _PROMETHEUS, "letters, digits, _ and : only, and no digit first")


def check_counted(name: str) -> str:
    """Return the name of a StatsD metric. Raises Refused."""
    return _checked(name, _STATSD, "letters, digits, _ and - only")


def _checked(name: str, rule: re.Pattern[str], words: str) -> str:
    if len(name) > LONGEST_NAME:
        raise Refused(f"the metric name {shown(name)} is longer than {LONGEST_NAME} characters")
    if not rule.fullmatch(name):
        raise Refused(f"the metric name {shown(name)} is not valid: {words}")
    return name


def shown(text: str) -> str:
    """Return the beginning of a text that nobody trusts, so that it can stand in a header, a log and a report."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


class Workloads:
    """The workload ids of one attempt: its own, and with a dot after it the name of a task or `trial-<n>`."""

    def __init__(self, attempt: str) -> None:
        self._attempt = attempt
        self._running: dict[str, Origin] = {}
        self._tried_by: dict[int, str] = {}

    def begin(self, origin: Origin) -> None:
        """Learn what a task does from now on; measurements that come late still belong to it."""
        self._running[origin.task] = origin
        if origin.trial is not None:
            self._tried_by[origin.trial] = origin.task

    def first(self) -> Origin:
        """Return whose measurement it is when nobody is named."""
        return self._of_task(FIRST_TASK)

    def origin(self, workload: str) -> Origin:
        """Return whose id this is. Raises Refused for another attempt's, or none."""
        if workload == self._attempt:
            return self.first()
        attempt, dot, part = workload.rpartition(".")
        if not dot or attempt != self._attempt:
            _refuse(workload)
        if trial := _TRIAL.fullmatch(part):
            number = int(trial[1])
            return Origin(self._tried_by.get(number, FIRST_TASK), number)
        return self._of_task(part) if _TASK.fullmatch(part) else _refuse(workload)

    def _of_task(self, task: str) -> Origin:
        return self._running.get(task, Origin(task))


def _refuse(workload: str) -> NoReturn:
    raise Refused(f"{shown(workload)} is not a workload of this experiment; see PAPERSPACE_METRIC_WORKLOAD_ID")
