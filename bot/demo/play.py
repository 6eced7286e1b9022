"""The demo from its first line to its last."""

import json
import os
import shutil
import socket
from pathlib import Path

import requests
import yaml

from bot.backends import walls
from bot.backends.base import BackendUnavailable
from bot.clock import Clock
from bot.demo import environment, protocol
from bot.demo.people import CHANGES, People
from bot.demo.terminal import Terminal
from bot.devhub import DevHub, Pull
from bot.resources import EXAMPLES
from bot.store.database import Database
from bot.up import Processes

REPORT = Path("demo-report.json")
_START = 30.0
_PATIENCE = 150.0
"""Seconds that everything may take after the push; comments are written at most once a minute."""


class Demo:
    """Starts everything, plays the people's part, watches what GitHub would show. Nothing leaves this machine."""

    def __init__(self, place: Path, clock: Clock) -> None:
        self._place, self._clock = place.absolute(), clock
        self._terminal = Terminal(clock)
        self._commits: dict[str, str] = {}
        self._pulls: list[Pull] = []

    def run(self, *, once: bool) -> int:
        """Play. Returns 0 when every check concluded as it must (`once`), or when Ctrl-C ended it."""
        for old in ("data", "hub", "clone"):
            shutil.rmtree(self._place / old, ignore_errors=True)
        self._place.mkdir(parents=True, exist_ok=True)
        example = EXAMPLES / "digits"
        self._terminal.say("making the environment that the experiments run in (the first time takes a minute)…")
        python = environment.make(self._place, example / "requirements.txt")
        with DevHub(self._place / "hub", self._clock) as hub:
            return self._play(hub, example, python, once=once)

    def _play(self, hub: DevHub, example: Path, python: Path, *, once: bool) -> int:
        environ = self._environ(hub, python)
        hub.set_webhook(f"{environ['PUBLIC_URL']}/webhook")
        bot = Processes(environ, self._clock)
        bot.start()
        try:
            people = People(hub, example, self._place / "clone")
            self._terminal.say(
                f"devhub, your own GitHub: {hub.url}\nthe bot's pages:         {environ['PUBLIC_URL']}\n"
            )
            self._await_ready(environ["PUBLIC_URL"], bot)
            self._commits["main"] = people.create()
            for change in CHANGES:
                pull, self._commits[change.branch] = people.propose(change)
                self._pulls.append(pull)
            is_over = self._watch(hub, people, bot)
            status = self._conclude(hub, people, environ["DATABASE_URL"], is_over=is_over)
            if not once:
                self._stay(hub, people, bot)
            return status
        finally:
            bot.stop()

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

    def _environ(self, hub: DevHub, python: Path) -> dict[str, str]:
        """Return the bot's environment: what a real one has, with devhub in GitHub's place."""
        key = self._place / "private-key.pem"
        key.touch(mode=0o600)
        key.write_text(hub.app.private_key)
        machines = self._place / "machines.yaml"
        cpus = max(1, len(os.sched_getaffinity(0)) // 2)
        small = {"cpus": cpus, "memory": "1GB", "environment": str(python)}
        machines.write_text(yaml.safe_dump({"types": {"small": small}}))
        port = _free_port()
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ},
            "GITHUB_APP_ID": str(hub.app.id),
            "GITHUB_PRIVATE_KEY_PATH": str(key),
            "GITHUB_WEBHOOK_SECRET": hub.app.webhook_secret,
            "GITHUB_API_URL": hub.url,
            "GITHUB_WEB_URL": hub.url,
            "DATA_DIR": str(self._place / "data"),
            "DATABASE_URL": f"sqlite:///{self._place / 'data' / 'experiment-ci.sqlite3'}",
            "MACHINES_FILE": str(machines),
            "PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            # devhub's pages are opened on this machine, so its pictures can be fetched although nobody else could.
            "IMAGES": "public",
            "ALLOW_UNISOLATED_TRUSTED_CODE": self._isolation(),
        }

    def _isolation(self) -> str:
        try:
            walls.find("bwrap", walls.NOBODY, allow_unisolated=False)
        except BackendUnavailable as error:
            self._terminal.say(f"NOT ISOLATED: {error}\nThe demo's own code is trusted, so it goes on without.\n")
            return "yes"
        return "no"

    def _watch(self, hub: DevHub, people: People, bot: Processes) -> bool:
        """Show what changes until all is concluded and every pull request's comment is final, or patience ends."""
        end = self._clock.monotonic() + _PATIENCE
        while self._clock.monotonic() < end:
            self._clock.sleep(0.2)
            bot.tend()
            for label, sha in self._commits.items():
                self._terminal.show(label, hub.checks(people.repository, sha))
            if self._is_over(hub, people):
                return True
        return False

    def _is_over(self, hub: DevHub, people: People) -> bool:
        for sha in self._commits.values():
            checks = hub.checks(people.repository, sha)
            if not checks or any(check.status != "completed" for check in checks):
                return False
        if not hub.wait_delivered(1.0):  # what we write makes GitHub send something, too
            return False
        database = Database(f"sqlite:///{self._place / 'data' / 'experiment-ci.sqlite3'}")
        try:
            return protocol.is_quiet(database)
        finally:
            database.close()

    def _conclude(self, hub: DevHub, people: People, database_url: str, *, is_over: bool) -> int:
        for pull in self._pulls:
            self._terminal.show_comments(pull)
        database = Database(database_url)
        report = protocol.write_down(hub, people.repository, self._commits, self._pulls, database)
        database.close()
        REPORT.write_text(json.dumps(report, indent=2) + "\n")
        good = {"main": True, **{change.branch: change.is_good for change in CHANGES}}
        wrong = protocol.mistakes(report, good, len(CHANGES))
        if not is_over:
            wrong.insert(0, f"not everything was told within {_PATIENCE:g} s")
        self._terminal.say("")
        for sentence in wrong:
            self._terminal.say(f"✗ {sentence}")
        if not wrong:
            self._terminal.say("✓ every check concluded as it must")
        self._terminal.say(f"written: {REPORT.absolute()}")
        return 1 if wrong else 0

    def _stay(self, hub: DevHub, people: People, bot: Processes) -> None:
        name = people.repository.full_name
        self._terminal.say(f"\n  commits and checks  {hub.url}/{name}")
        for pull in self._pulls:
            self._terminal.say(f"  pull request #{pull.number}     {hub.url}/{name}/pull/{pull.number}")
        self._terminal.say(f"  your own clone      {self._place / 'clone'} (push, and look again)\n\nCtrl-C ends it.")
        try:
            while True:
                self._clock.sleep(0.5)
                bot.tend()
        except KeyboardInterrupt:
            self._terminal.say("")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
