"""What may interrupt a supervisor: a cancel order, a signal, the end of its owner. All its waiting is done here."""

import contextlib
import os
import select
import signal
from pathlib import Path

from bot.backends import orders
from bot.backends.ends import End, Stop
from bot.backends.processes import Process
from bot.core.states import State


class Interrupts:
    """Hears signals from the moment it is made. SIGUSR1 is the bot's nudge: it only wakes.

    `owner` is the process for which the attempt runs; None where it outlives everybody.
    """

    def __init__(self, run_dir: Path, owner: Process | None = None) -> None:
        self._run_dir, self._owner = run_dir, owner
        self._told: int | None = None
        self._wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def check(self) -> None:
        """Raise Stop when the end was asked for."""
        reason = orders.cancel_reason(self._run_dir)
        if reason is not None:
            raise Stop(End(State.CANCELLED, reason))
        if self._owner is not None and not self._owner.is_alive():
            raise Stop(End(State.CANCELLED, "whoever started it is gone"))
        if self._told is not None:
            name = signal.Signals(self._told).name
            why = f"its supervisor was told to end ({name}): is the machine shutting down?"
            raise Stop(End(State.ERROR, why, may_retry=True))

    def sleep(self, seconds: float, *descriptors: int) -> None:
        """Wait until one of them is readable or a signal came."""
        poll = select.poll()  # select() knows no descriptor beyond 1,023
        for descriptor in (self._wake, *descriptors):
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 512)

    def _hear(self, number: int, _: object) -> None:
        self._told = number
