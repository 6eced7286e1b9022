"""`experiment-ci simulate`: what would happen is told in the worker's own words, and none of it happens."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from bot.backends.powers import Powers
from bot.devhub import Repository
from bot.devhub.deliveries import Delivery
from bot.inbox.simulate import Subject, simulate
from bot.run.errors import CannotRun
from bot.run.screen import Screen
from bot.store.schema import Base
from tests.backends.lab import powers
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service


class Person:
    """Somebody at the bot's machine who only wants to know."""

    def __init__(self, road: Road, place: Path) -> None:
        self._road, self._place = road, place
        hub, read = road.hub, road.settings
        self._environ = {
            "GITHUB_APP_ID": str(hub.app.id),
            "GITHUB_PRIVATE_KEY": hub.app.private_key,
            "GITHUB_WEBHOOK_SECRET": hub.app.webhook_secret,
            "GITHUB_API_URL": hub.url,
            "GITHUB_WEB_URL": hub.url,
            "DATA_DIR": str(read.data_dir),
            "DATABASE_URL": read.database_url,
            "PUBLIC_URL": "http://bot.example",
            "ALLOW_UNISOLATED_TRUSTED_CODE": "yes" if powers() == Powers() else "no",
        }
        self.status = -1

    def simulate(self, body: bytes, event: str | None = None) -> list[str]:
        """What a payload in a file would bring."""
        file = self._place / "payload"
        file.write_bytes(body)
        return self.look(Subject(str(file), event))

    def look(self, subject: Subject) -> list[str]:
        """The lines that are told; nothing else is there afterwards that was not there before."""
        before, asked, stream = self._everything(), len(self._road.hub.requests), io.StringIO()
        try:
            self.status = simulate(subject, self._environ, self._road.clock, Screen({}, stream))
        finally:
            assert self._everything() == before
            wrote = [r for r in list(self._road.hub.requests)[asked:] if r.method != "GET"]
            assert [r for r in wrote if not r.path.endswith("/access_tokens")] == []
        return stream.getvalue().splitlines()

    def _everything(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        with self._road.database.read() as tx:
            return {
                table.name: [tuple(row) for row in tx.execute(select(table))] for table in Base.metadata.tables.values()
            }


@pytest.fixture
def person(road: Road, tmp_path: Path) -> Person:
    return Person(road, tmp_path)


def kept_back(road: Road) -> Delivery:
    """The newest delivery of the next thing that happens, which nobody got."""
    return [one for one in road.hub.deliveries if one.event in ("push", "pull_request", "issue_comment")][-1]


def begun(road: Road) -> tuple[Repository, str]:
    repository, sha = road.repository()
    road.settle()
    road.hub.courier.outage()
    return repository, sha


def test_a_push_as_json_and_as_a_form(road: Road, backend: ScriptedBackend, person: Person) -> None:
    repository, _ = begun(road)
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Second")
    payload = kept_back(road)

    told = person.simulate(payload.body)

    assert told == [
        f"push refs/heads/main at {sha[:7]} in acme/digits",
        f"{sha[:7]} “Second”: 1 of 1 workflows run",
        "  workflow train: run",
        "    step fit: single node, 1 experiments",
        "  may have: secrets: none; /storage keeps what it writes",
        f"  1 new attempt, and these checks on {sha[:7]}:",
        "    experiments: in_progress: 0 of 1 experiment finished",
        "    train / fit: queued: Created",
        "    train / fit / tensorflow:loss: queued: Waiting for train / fit; wanted < 0.5",
        "Nothing was posted, and nothing stored.",
    ]
    assert person.status == 0
    assert person.simulate(urlencode({"payload": payload.body.decode()}).encode()) == told
    assert len(backend.submissions) == 1


def test_a_forks_pull_request_is_held_and_told_what_it_would_cost(
    road: Road, backend: ScriptedBackend, person: Person
) -> None:
    repository, _ = begun(road)
    fork = road.hub.fork(repository, "stranger")
    sha = road.hub.commit_files(fork, {"train.py": "evil()"}, branch="nice", message="Nice")
    road.hub.open_pull(repository, head="nice", head_repository=fork, base="main", title="Nice", body="")

    told = person.simulate(kept_back(road).body)

    assert told[1] == f"{sha[:7]} “Nice”: nothing runs: it comes from a fork, and nobody has approved it"
    assert any(line.startswith("  would run: train / fit: 1 × ") for line in told)
    assert f"  somebody who may says: /experiment approve {sha}" in told
    assert "    experiments: action_required: Needs approval: it comes from a fork" in told


def test_a_config_with_errors_is_status_1(road: Road, backend: ScriptedBackend, person: Person) -> None:
    repository, _ = begun(road)
    broken = {".ps_project/config.yaml": CONFIG.replace("steps:", "stepps:")}
    road.hub.commit_files(repository, broken, message="Broken")
    told = person.simulate(kept_back(road).body)
    assert person.status == 1
    assert "    experiments: failure: The config has 2 errors" in told


def test_a_branch_that_nothing_selects(road: Road, backend: ScriptedBackend, person: Person) -> None:
    repository, _ = begun(road)
    road.hub.commit_files(repository, {"x": "1"}, branch="idea", message="Idea")
    told = person.simulate(kept_back(road).body)
    assert told[1] == ("nothing is run: refs/heads/idea is not built: no filter selects it; its workflows are train")
    assert person.status == 0


def test_a_closed_pull_request_would_stop_what_runs(road: Road, backend: ScriptedBackend, person: Person) -> None:
    _, _, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(1)
    road.hub.courier.outage()
    road.hub.close_pull(pull)
    told = person.simulate(kept_back(road).body)
    assert told[1] == f"pull request #{pull.number} was closed; 1 experiments were asked to stop"
    road.wait(5)
    assert not backend.cancelled


def test_a_command_of_a_stored_delivery_and_one_of_a_stranger(
    road: Road, backend: ScriptedBackend, person: Person
) -> None:
    _, _, pull = opened(road)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(5)
    road.hub.comment(pull, "/experiment compare nowhere")
    road.settle()
    [stored] = [one for one in road.deliveries() if one.reason == "acme asks: compare"]
    told = person.look(Subject(delivery=stored.guid))
    assert told[1:3] == ["acme asks: compare nowhere", "  refused: there is no branch, tag or commit `nowhere`"]

    road.hub.courier.outage()
    road.hub.comment(pull, "/experiment run")
    told = person.simulate(kept_back(road).body)
    assert told[1:3] == ["acme asks: run", "  done: 1 experiment begun: `train`"]
    road.hub.comment(pull, "/experiment run", by=road.hub.add_user("stranger"))
    told = person.simulate(kept_back(road).body)
    assert told[1:3] == ["stranger asks: run", "  refused: that needs the role write, and `stranger` has read"]
    assert len(backend.submissions) == 2


def test_what_is_none_of_ours_is_said(road: Road, backend: ScriptedBackend, person: Person) -> None:
    assert person.simulate(b"{}", "star") == ["star", "ignored: event 'star' is not one of ours"]
    assert person.status == 0
    [_, told] = person.simulate(b'{"ref": "refs/heads/main"}', "push")
    assert told.startswith("unreadable: the push payload lacks what GitHub documents")
    assert person.status == 1
    with pytest.raises(CannotRun, match="there is no delivery f0 in the bot's tables"):
        person.look(Subject(delivery="f0"))


def test_a_github_that_does_not_answer_leaves_it_open(road: Road, backend: ScriptedBackend, person: Person) -> None:
    repository, _ = begun(road)
    road.hub.commit_files(repository, {"x": "1"}, message="Second")
    road.hub.faults.outage()
    with pytest.raises(CannotRun, match="the worker would look again later, or give up: "):
        person.simulate(kept_back(road).body)
