"""A GitHub, a place to keep things in, and `experiment-ci setup` as a thread whose terminal a play reads."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.devhub import DevHub
from bot.setup.answers import Answers, GitHub
from bot.setup.by_page import by_page
from bot.setup.keep import Place
from bot.setup.terminal import Terminal
from tests.scenarios.processes import eventually


class Hasty(SystemClock):
    """A clock by which nobody sleeps for long, and whoever sleeps can be met by Ctrl-C."""

    def __init__(self) -> None:
        self.is_over = False

    def sleep(self, seconds: float) -> None:
        if self.is_over:
            raise KeyboardInterrupt
        super().sleep(min(seconds, 0.02))


class Setup:
    """One way through the pages. `said` is what the terminal has shown, `url` the page's address there."""

    def __init__(self, first: Answers, place: Place, *, waits: bool) -> None:
        self.said = ""
        self._clock = Hasty()
        self._thread = threading.Thread(target=self._run, args=(first, place, waits), daemon=True)
        self._thread.start()
        assert eventually(lambda: "http://127" in self.said, 10)
        [self.url] = re.findall(r"http://127\S+", self.said)

    def _run(self, first: Answers, place: Place, waits: bool) -> None:
        with suppress(KeyboardInterrupt):
            by_page(first, place, 0, Terminal(self._say, input), self._clock, waits=waits)

    def ctrl_c(self) -> None:
        self._clock.is_over = True
        assert self.has_ended

    def _say(self, text: str) -> None:
        self.said += text + "\n"

    @property
    def has_ended(self) -> bool:
        """Tell whether it has ended, now or within a few seconds."""
        self._thread.join(15)
        return not self._thread.is_alive()


Begin = Callable[..., Setup]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[DevHub]:
    with DevHub(tmp_path / "hub", SystemClock()) as hub:
        hub.create_repository("devhub", "digits", installed=False)
        yield hub


@pytest.fixture
def github(hub: DevHub) -> GitHub:
    return GitHub(hub.url, hub.url)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "bot" / "experiment-ci.env")


@pytest.fixture
def begin(github: GitHub, place: Place) -> Iterator[Begin]:
    """Begin, with good answers in the form. After the play it is ended, wherever it stands."""
    begun = []

    def start(*, waits: bool = False, at: GitHub = github) -> Setup:
        place.env_file.parent.mkdir(exist_ok=True)
        begun.append(Setup(Answers(at, "Digits CI", None, "http://127.0.0.1:8080", True), place, waits=waits))
        return begun[-1]

    yield start
    for setup in begun:
        setup.ctrl_c()
