"""`demo-report.json`: what happened, taken from devhub and from the bot's own tables."""

from typing import Any

from bot.core.states import WAY
from bot.devhub import DevHub, Pull, Repository
from bot.store import journal
from bot.store.checks import count_pending
from bot.store.database import Database
from bot.store.deliveries import count_waiting

_PASSING = ("success", "skipped", "neutral")


def write_down(
    hub: DevHub, repository: Repository, commits: dict[str, str], pulls: list[Pull], database: Database
) -> dict[str, Any]:
    """Return all that was delivered, run, shown and said, as JSON-able values. Times are UTC microseconds."""
    with database.read() as tx:
        return {
            "deliveries": journal.deliveries(tx),
            "experiments": journal.experiments(tx),
            "checks": [
                {
                    "commit": sha,
                    "label": label,
                    "name": check.name,
                    "status": check.status,
                    "conclusion": check.conclusion,
                    "title": check.output.title,
                    "shown": [
                        {"at": moment.at, "status": moment.status, "conclusion": moment.conclusion}
                        for moment in check.history
                    ],
                }
                for label, sha in commits.items()
                for check in hub.checks(repository, sha)
            ],
            "comments": [
                {"pull": pull.number, "author": comment.author.login, "body": comment.body}
                for pull in pulls
                for comment in pull.comments
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
    if len(report["comments"]) != pulls:
        found.append(f"{len(report['comments'])} comments on {pulls} pull requests")
    return found


def is_quiet(database: Database) -> bool:
    """Tell whether every delivery was looked at and GitHub was told everything that it should show."""
    with database.read() as tx:
        return count_waiting(tx) + count_pending(tx) == 0
