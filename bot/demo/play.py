"""The demo from its first line to its last."""

import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from bot.clock import Clock
from bot.demo import environment, machine, protocol
from bot.demo.people import PROJECTS, STRANGER, Change, People
from bot.demo.talk import Talk
from bot.demo.terminal import Terminal
from bot.devhub import DevHub, Pull
from bot.store.database import Database
from bot.up import Processes

REPORT = Path("demo-report.json")
_START = 30.0
_PATIENCE = 360.0
"""Seconds that everything may take after the push; comments are written at most every 30 seconds."""


@dataclass(frozen=True)
class Followed:
    """A commit of a project that the demo waits for. `is_good` is what the bot must find."""

    people: People
    label: str
    sha: str
    is_good: bool


class Demo:
    """Starts everything, plays the people's part, watches what GitHub would show. Nothing leaves this machine."""

    def __init__(self, place: Path, clock: Clock) -> None:
        self._place, self._clock = place.absolute(), clock
        self._terminal = Terminal(clock)
        self._teams: list[People] = []
        self._followed: list[Followed] = []
        self._pulls: list[tuple[People, Pull]] = []

    def run(self, *, once: bool) -> int:
        """Play. Returns 0 when every check concluded as it must (`once`), or when Ctrl-C ended it."""
        for old in ("data", "hub", "clone", "clones"):
            shutil.rmtree(self._place / old, ignore_errors=True)
        self._place.mkdir(parents=True, exist_ok=True)
        self._terminal.say("making the environment that the experiments run in (the first time takes a minute)…")
        python = environment.make(self._place, [project.example / "requirements.txt" for project in PROJECTS])
        with DevHub(self._place / "hub", self._clock) as hub:
            return self._play(hub, python, once=once)

    def _play(self, hub: DevHub, python: Path, *, once: bool) -> int:
        trouble = machine.trouble_with_isolation()
        left_out = machine.left_out(trouble)
        environ = self._environ(hub, python, is_isolated=not trouble)
        hub.set_webhook(f"{environ['PUBLIC_URL']}/webhook")
        bot = Processes(environ, self._clock)
        bot.start()
        try:
            self._introduce(hub, environ["PUBLIC_URL"], trouble, left_out)
            self._await_ready(environ["PUBLIC_URL"], bot)
            self._push(hub, left_out)
            is_over = self._watch(hub, bot, self._plan_talk(hub, is_isolated=not trouble))
            status = self._conclude(hub, left_out, is_over=is_over)
            if not once:
                self._stay(hub, bot)
            return status
        finally:
            bot.stop()

    def _introduce(self, hub: DevHub, url: str, trouble: str, left_out: dict[str, str]) -> None:
        say = self._terminal.say
        say(f"devhub, your own GitHub: {hub.url}\nthe bot's pages:         {url}\n")
        if trouble:
            say(f"NOT ISOLATED: {trouble}\nThe demo's own code is trusted, so it goes on without.\n")
        for workflow, why in left_out.items():
            say(f"LEFT OUT: `{workflow}` of acme/distributed: {why}")

    def _push(self, hub: DevHub, left_out: dict[str, str]) -> None:
        """Do what the people do: a repository for each project, and a pull request for each change."""
        ada = hub.add_user("ada")
        for project in PROJECTS:
            people = People(hub, ada, project, self._place / "clones" / project.name)
            self._teams.append(people)
            self._follow(people, "main", people.create(left_out), is_good=True)
            for change in project.changes:
                if change.workflow not in left_out:
                    self._propose(people, change)

    def _plan_talk(self, hub: DevHub, *, is_isolated: bool) -> Talk:
        """Let Ada talk with the bot about the first project, once she sees what it found; and somebody from outside."""
        people = self._teams[0]
        worse, better = (pull for team, pull in self._pulls if team is people)
        talk = Talk(hub, people.repository, hub.add_user("ada"), self._terminal.say)
        talk.comment(worse, f"/experiment compare {better.head_ref}", after=(worse, better))
        talk.rerun(better, "smoke / two-epochs", after=(worse, better))
        if is_isolated:
            pull, sha = people.propose_from_outside(STRANGER, "eve")
            self._pulls.append((people, pull))
            self._follow(people, STRANGER.branch, sha, is_good=STRANGER.is_good)
            talk.comment(pull, f"/experiment approve {sha}", after=(pull,))
        else:
            self._terminal.say("LEFT OUT: a pull request from outside: without isolation nothing runs that")
        return talk

    def _propose(self, people: People, change: Change) -> None:
        pull, sha = people.propose(change)
        self._pulls.append((people, pull))
        self._follow(people, change.branch, sha, is_good=change.is_good)

    def _follow(self, people: People, branch: str, sha: str, *, is_good: bool) -> None:
        self._followed.append(Followed(people, f"{people.project.name} {branch}", sha, is_good))

    def _await_ready(self, url: str, bot: Processes) -> None:
        """Wait until the bot answers and its worker is alive: GitHub delivers each webhook once, and so does devhub."""
        end = self._clock.monotonic() + _START
        while self._clock.monotonic() < end:
            try:
                if requests.get(f"{url}/readyz", timeout=5).ok:
                    return
            except requests.ConnectionError:
                pass
            self._clock.sleep(0.1)
            bot.tend()
        raise TimeoutError(f"the bot did not start within {_START:g} s; what it said stands above")

    def _environ(self, hub: DevHub, python: Path, *, is_isolated: bool) -> dict[str, str]:
        """Return the bot's environment: what a real one has, with devhub in GitHub's place."""
        key = self._place / "private-key.pem"
        key.touch(mode=0o600)
        key.write_text(hub.app.private_key)
        machines = self._place / "machines.yaml"
        machines.write_text(yaml.safe_dump(machine.types(python)))
        port = _free_port()
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ},
            "GITHUB_APP_ID": str(hub.app.id),
            "GITHUB_PRIVATE_KEY_PATH": str(key),
            "GITHUB_WEBHOOK_SECRET": hub.app.webhook_secret,
            "GITHUB_API_URL": hub.url,
            "GITHUB_WEB_URL": hub.url,
            "DATA_DIR": str(self._place / "data"),
            "DATABASE_URL": self._database_url,
            "MACHINES_FILE": str(machines),
            "PORT": str(port),
            "ENV_FILE": "none",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            # devhub's pages are opened on this machine, so its pictures can be fetched although nobody else could.
            "IMAGES": "public",
            "ALLOW_UNISOLATED_TRUSTED_CODE": "no" if is_isolated else "yes",
        }

    @property
    def _database_url(self) -> str:
        return f"sqlite:///{self._place / 'data' / 'experiment-ci.sqlite3'}"

    def _watch(self, hub: DevHub, bot: Processes, talk: Talk) -> bool:
        """Show what changes until all is concluded and every pull request's comment is final, or patience ends."""
        end = self._clock.monotonic() + _PATIENCE
        is_waiting = False
        while self._clock.monotonic() < end:
            self._clock.sleep(0.2)
            bot.tend()
            for one in self._followed:
                self._terminal.show(one.label, hub.checks(one.people.repository, one.sha))
            talk.go_on()
            if not talk.is_over or not self._is_concluded(hub):
                continue
            if self._is_quiet(hub):
                return True
            if not is_waiting:
                self._terminal.say(
                    "all checks have concluded; a comment is edited every 30 seconds at most, so wait for it"
                )
                is_waiting = True
        return False

    def _is_concluded(self, hub: DevHub) -> bool:
        """Tell whether every commit that is followed has checks, and all of them a conclusion."""
        found = [hub.checks(one.people.repository, one.sha) for one in self._followed]
        return all(checks and all(check.status == "completed" for check in checks) for checks in found)

    def _is_quiet(self, hub: DevHub) -> bool:
        """Tell whether nobody has anything to tell the other: what we write makes GitHub send something, too."""
        if not hub.wait_delivered(1.0):
            return False
        database = Database(self._database_url)
        try:
            return protocol.is_quiet(database)
        finally:
            database.close()

    def _conclude(self, hub: DevHub, left_out: dict[str, str], *, is_over: bool) -> int:
        for people, pull in self._pulls:
            self._terminal.show_comments(people.repository.full_name, pull)
        report = self._write_down(hub, left_out)
        wrong = protocol.mistakes(report, {one.label: one.is_good for one in self._followed}, len(self._pulls))
        if not is_over:
            wrong.insert(0, f"not everything was told within {_PATIENCE:g} s")
        self._terminal.say("")
        for sentence in wrong:
            self._terminal.say(f"✗ {sentence}")
        if not wrong:
            self._terminal.say("✓ every check concluded as it must")
        if left_out:
            self._terminal.say(f"left out: {', '.join(left_out)}, see above")
        self._terminal.say(f"written: {REPORT.absolute()}")
        return 1 if wrong else 0

    def _write_down(self, hub: DevHub, left_out: dict[str, str]) -> dict[str, Any]:
        checks = {one.label: hub.checks(one.people.repository, one.sha) for one in self._followed}
        comments = {f"{people.repository.full_name}#{pull.number}": pull.comments for people, pull in self._pulls}
        database = Database(self._database_url)
        try:
            report = {"left_out": left_out, **protocol.write_down(checks, comments, database)}
        finally:
            database.close()
        REPORT.write_text(json.dumps(report, indent=2) + "\n")
        return report

    def _stay(self, hub: DevHub, bot: Processes) -> None:
        say = self._terminal.say
        for people in self._teams:
            name = people.repository.full_name
            say(f"\n  {name}: commits and checks  {hub.url}/{name}")
            for pull in (pull for team, pull in self._pulls if team is people):
                say(f"  pull request #{pull.number} “{pull.title}”  {hub.url}/{name}/pull/{pull.number}")
            say(f"  your own clone  {people.clone} (push, and look again)")
        say("\nCtrl-C ends it.")
        try:
            while True:
                self._clock.sleep(0.5)
                bot.tend()
        except KeyboardInterrupt:
            say("")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
