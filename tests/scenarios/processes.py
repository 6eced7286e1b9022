"""The bot as people run it: `experiment-ci serve` and `experiment-ci work` as processes, which can be killed."""

import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests
import yaml

from bot.backends import walls
from bot.backends.base import BackendUnavailable
from bot.clock import SystemClock
from bot.devhub import DevHub
from bot.store.database import Database, Transaction
from bot.up import Processes

CLOCK = SystemClock()


class Bot:
    """A bot on a data directory of its own that knows `hub`. Nothing of it is left after `close`."""

    def __init__(self, root: Path, hub: DevHub) -> None:
        self.hub, self.data = hub, root / "data"
        (root / "tmp").mkdir()
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(root / "tmp"),
            "GITHUB_APP_ID": str(hub.app.id),
            "GITHUB_PRIVATE_KEY": hub.app.private_key,
            "GITHUB_WEBHOOK_SECRET": hub.app.webhook_secret,
            "GITHUB_API_URL": hub.url,
            "GITHUB_WEB_URL": hub.url,
            "DATA_DIR": str(self.data),
            "MACHINES_FILE": str(_machines(root)),
            "PORT": str(port),
            "ENV_FILE": "none",
            "PUBLIC_URL": self._url,
            "ALLOW_UNISOLATED_TRUSTED_CODE": "no" if _has_walls() else "yes",
        }
        self._root = root
        self._processes = Processes(self.environ, CLOCK)
        hub.set_webhook(f"{self._url}/webhook")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Look into the bot's tables over a connection of the test's own."""
        database = Database(f"sqlite:///{self.data / 'experiment-ci.sqlite3'}")
        try:
            with database.read() as tx:
                yield tx
        finally:
            database.close()

    @property
    def pids(self) -> dict[str, int]:
        return self._processes.pids

    def start(self) -> None:
        self._processes.start()

    def is_ready(self) -> bool:
        """Tell whether the web process answers and the worker is alive."""
        try:
            return requests.get(f"{self._url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def tend(self) -> None:
        """Start again what has died."""
        self._processes.tend()

    def close(self) -> None:
        self._processes.stop()

    def left(self) -> list[str]:
        """Return what still runs of this bot."""
        return running_on(self._root)


def running_on(directory: Path) -> list[str]:
    """Return the processes that were started with the directory in a word or in a variable, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(directory) in word for word in words):
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except psutil.Error:
            continue
    return found


def kill_the_worker(bot: Bot, _dice: random.Random | None = None) -> str:
    return _kill(bot.pids.get("work"))


def kill_the_web(bot: Bot, dice: random.Random) -> str:
    """The server has a parent that listens and a child that answers: either may die, or both at once."""
    parent = bot.pids.get("serve")
    if parent is None:
        return "was dead"
    try:
        children = [child.pid for child in psutil.Process(parent).children()]
    except psutil.Error:
        children = []
    victims = dice.choice([[parent], children, [parent, *children]])
    return ", ".join(_kill(pid) for pid in victims) or "had no child yet"


def _kill(pid: int | None) -> str:
    if pid is None:
        return "was dead"
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return f"{pid} was gone"
    return f"{pid} killed"


def eventually(condition: Callable[[], bool], patience: float, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Wait at most so many seconds until it holds; tell whether it does."""
    end = CLOCK.monotonic() + patience
    while not condition():
        if CLOCK.monotonic() > end:
            return False
        meanwhile()
        CLOCK.sleep(0.05)
    return True


def _machines(root: Path) -> Path:
    """Machines small enough for everything to run at once."""
    path = root / "machines.yaml"
    small = {"cpus": 0.25, "memory": "200MB"}
    path.write_text(yaml.safe_dump({"types": {"small": small}, "capacity": {"cpus": 2, "memory": "1600MB"}}))
    return path


def _has_walls() -> bool:
    try:
        walls.find("bwrap", walls.NOBODY, allow_unisolated=False)
    except BackendUnavailable:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
