"""`demo-report.json`: what happened, taken from devhub and from the bot's own tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.states import WAY
from bot.devhub import CheckRun, Comment
from bot.store import checks, commits, deliveries, experiments, journal, missing, requests
from bot.store.database import Database

_PASSING = ("success", "skipped", "neutral")


def write_down(
    shown: Mapping[str, Sequence[CheckRun]], comments: Mapping[str, Sequence[Comment]], database: Database
) -> dict[str, Any]:
    """Return all that was delivered, run, shown and said, as JSON-able values. Times are UTC microseconds.

    `shown` are the checks of each commit by its label, `comments` those of each pull request by `owner/name#number`.
    """
    with database.read() as tx:
        return {
            "deliveries": journal.deliveries(tx),
            "experiments": journal.experiments(tx),
            "requests": journal.requests(tx),
            "checks": [_check(label, check) for label, found in shown.items() for check in found],
            "comments": [
                {"pull": pull, "author": comment.author.login, "body": comment.body}
                for pull, found in comments.items()
                for comment in found
            ],
        }


def _check(label: str, check: CheckRun) -> dict[str, Any]:
    return {
        "commit": check.sha,
        "label": label,
        "name": check.name,
        "status": check.status,
        "conclusion": check.conclusion,
        "title": check.output.title,
        "shown": [
            {"at": moment.at, "status": moment.status, "conclusion": moment.conclusion} for moment in check.history
        ],
    }


def mistakes(report: dict[str, Any], good: dict[str, bool], pulls: int) -> list[str]:
    """Return what did not come out as it must, as sentences. `good` says of each commit whether it must pass."""
    found = []
    for label, must_pass in good.items():
        checks = [check for check in report["checks"] if check["label"] == label]
        found += [f"{label}: {c['name']} is {c['status']}" for c in checks if c["status"] != "completed"]
        gates = [c for c in checks if c["name"].count(" / ") == 2]
        roll_up = [c["conclusion"] for c in checks if c["name"] == "experiments"]
        if roll_up != ["success" if must_pass else "failure"]:
            found.append(f"{label}: the roll-up concluded {roll_up}")
        failed = [c["name"] for c in checks if c["conclusion"] not in _PASSING]
        if must_pass and failed:
            found.append(f"{label}: {', '.join(failed)} did not pass")
        if not must_pass and not any(c["conclusion"] == "failure" for c in gates):
            found.append(f"{label}: no gate failed")
    for experiment in report["experiments"]:
        passed = [step["state"] for step in experiment["transitions"]]
        if passed != list(WAY):
            found.append(f"{experiment['name']} at {experiment['commit'][:7]} went {' → '.join(passed)}")
    comments = [one for one in report["comments"] if one["author"].endswith("[bot]")]
    if len(comments) != pulls:
        found.append(f"{len(comments)} comments of the bot on {pulls} pull requests")
    refused = [one for one in report["requests"] if one["state"] != "done"]
    found += [f"{one['sender']} asked for {one['verb']}: {one['state']}: {one['answer']}" for one in refused]
    return found


def is_quiet(database: Database) -> bool:
    """Tell whether everything that came was looked at and answered, and GitHub was told all that it should show."""
    with database.read() as tx:
        is_open = deliveries.count_waiting(tx) + requests.count_waiting(tx) + missing.count(tx)[0] > 0
        is_untold = checks.count_pending(tx) > 0 or commits.with_news(tx, 1) or commits.pulls_with_news(tx, 1)
        return not (is_open or is_untold or experiments.under_way(tx))
