"""Which process is which, by Linux's /proc.

A pid alone names nobody for long: after an end it is given to somebody else. A process is its pid *and* its start time
*and* the boot it belongs to; only what matches all three is ever signalled.
"""

import contextlib
import ctypes
import functools
import os
import signal
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST_LOOKS = 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Process:
    """One process, never another of the same pid. `start` is in clock ticks since the boot named by `boot`."""

    pid: int
    start: int
    boot: str

    @staticmethod
    def of(pid: int) -> "Process":
        """Return the process that has this pid now. Raises ProcessLookupError."""
        state = _stat(pid)
        if state is None:
            raise ProcessLookupError(pid)
        return Process(pid, int(state[19]), boot_id())

    @staticmethod
    def from_json(value: Any) -> "Process":
        """Return what `vars()` of a process gave. Raises ValueError, TypeError or KeyError."""
        return Process(int(value["pid"]), int(value["start"]), str(value["boot"]))

    def is_alive(self) -> bool:
        """Tell whether it still runs. A zombie does not: it has ended, only nobody has asked how."""
        state = _stat(self.pid)
        return state is not None and state[0] not in "ZX" and self._is(state)

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; False when the process is gone, whoever has its pid by now."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # The handle stays with the process it was opened for: looking *after* opening leaves no gap.
            state = _stat(self.pid)
            if state is None or not self._is(state):
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def _is(self, state: list[str]) -> bool:
        return int(state[19]) == self.start and boot_id() == self.boot


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of the machine from all others: start times begin anew with each."""
    return read("/proc/sys/kernel/random/boot_id").strip()


def everybody_below(pid: int) -> set[int]:
    """Return what `descendants` does, but miss nobody who changed parents while we looked.

    An orphan goes to a parent that has been looked at already, so one look that finds nobody new is not enough.
    """
    found: set[int] = set()
    quiet_looks = 0
    for _ in range(_MOST_LOOKS):
        new = set(descendants(pid)) - found
        found |= new
        quiet_looks = 0 if new else quiet_looks + 1
        if quiet_looks == 2:
            break
    return found


def descendants(pid: int) -> list[int]:
    """Return the pids of all living processes below `pid`, whatever session or group they put themselves into."""
    found, waiting = [], [pid]
    while waiting:
        for child in children(waiting.pop()):
            if _lives(child):
                found.append(child)
            waiting.append(child)
    return found


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies: to be run between fork and exec, by one with one thread.

    It does not outlast a change of user.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL to each. The pids must be fresh."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def memory(pids: list[int]) -> int:
    """Return the bytes that these processes have in memory; what they share is counted for each."""
    pages = 0
    for pid in pids:
        try:
            pages += int(read(f"/proc/{pid}/statm").split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return pages * _PAGE


def shared_memory(pids: list[int]) -> int:
    """Return the bytes that these processes have in memory, shared pages counted once.

    Forked data loaders share most of theirs: their plain sum can be many times the truth.
    """
    total = 0
    for pid in pids:
        try:
            lines = read(f"/proc/{pid}/smaps_rollup").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
        except PermissionError:
            total += memory([pid])
        except (OSError, StopIteration):
            continue
    return total


def inner_pid(pid: int) -> int | None:
    """Return a process's pid in its own pid namespace."""
    try:
        for line in read(f"/proc/{pid}/status").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def nameless_files(pid: int) -> Iterator[os.stat_result]:
    """Yield what stat knows of each file that a process has open and that has no name (any more).

    Removed files live on disk as long as somebody has them open, memfd_create's in memory.
    """
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found = descriptor.stat()
                if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                    yield found
    except OSError:
        return


def with_environment(name: str, value: str) -> list[int]:
    """Return the pids of all processes of this machine that were started with the variable `name` set to `value`."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def children(pid: int) -> list[int]:
    """Return the pids of the children that a process has now, whichever of its threads started them."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - see `read`
        return [int(child) for task in tasks for child in read(f"/proc/{pid}/task/{task}/children").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _lives(pid: int) -> bool:
    state = _stat(pid)
    return state is not None and state[0] not in "ZX"


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the third (the state) on; the name before it may hold anything."""
    try:
        return read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def read(path: str) -> str:
    """Read a file of /proc. By the plainest means: every supervisor does this every second, a poll for each attempt."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while chunk := os.read(file, 65_536):
            data += chunk
        return data.decode(errors="replace")
    finally:
        os.close(file)
