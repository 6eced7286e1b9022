"""What a task may use, and the cage that holds it to that: by the kernel where it can, by watching where it cannot.

Whatever the means, the outcome is the same: what goes beyond the memory, the processes or the disk of its machine is
ended, with a sentence that says so. Only the CPUs are no reason to end anything.
"""

import contextlib
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.backends import processes, watching
from bot.backends.base import Machine
from bot.backends.cgroups import Groups, sweep
from bot.backends.disk import Disk
from bot.backends.means import Means, find
from bot.clock import SECOND, Clock

__all__ = ["Cage", "Limits", "Means", "find", "sweep"]

_MB = 1 << 20
_BEFORE = 1.0
"""File systems take the time of the last tick, which is a little before ours."""
_FIRST = 'echo 1000 >/proc/self/oom_score_adj; exec prlimit "$@"'
"""Should this machine itself run out of memory, it ends these before the bot."""
_OF_ALL, _LEAST_OF_ALL = 8, 1_024
"""How many times its own share of processes a run may start if all others start none: the rlimit counts by user."""


@dataclass(frozen=True)
class Limits:
    """What one task may use; `cpus` may be a part of one. `machine` is the name of its machine type, for people."""

    memory_mb: int
    cpus: float
    processes: int
    disk_mb: int
    machine: str

    @staticmethod
    def of(machine: Machine) -> "Limits":
        """Return the limits of a machine type."""
        return Limits(machine.memory_mb, machine.cpus, machine.processes, machine.disk_mb, machine.name)


class Cage:
    """Holds one task. `name` is `<attempt id>/<task>`; `directories` are those whose files count, of the `shared` ones
    those that change from now on.

    Made before the task; `wrap` its command, `hold` its outer process before anything of the run is executed, `look`
    about once a second, `kill` and `close` at its end. Raises OSError when the means that were found have gone.
    """

    def __init__(
        self,
        means: Means,
        name: str,
        limits: Limits,
        directories: Sequence[str],
        clock: Clock,
        shared: Sequence[str] = (),
    ) -> None:
        self._limits = limits
        self._groups = Groups(means, name, clock)
        self._groups.make(limits.memory_mb * _MB, limits.cpus, limits.processes)
        self._enforced = self._groups.controllers
        self._disk = Disk(directories, shared, clock.now() / SECOND - _BEFORE)
        self._peak = 0
        self._killed_for_memory = 0

    @property
    def out_of_memory(self) -> str:
        """Return the sentence for a run of which the kernel killed something."""
        limit = self._of(self._limits.memory_mb, "MB")
        return f"out of memory: killed by the kernel, for it needed more than {limit}"

    @property
    def rlimits(self) -> dict[str, int]:
        """Return the limits that every process carries by itself, under prlimit's names."""
        most = max(_OF_ALL * self._limits.processes, _LEAST_OF_ALL)
        own = {
            "core": 0,
            "fsize": _at_most(resource.RLIMIT_FSIZE, self._limits.disk_mb * _MB),
            "nproc": _at_most(resource.RLIMIT_NPROC, min(most, _most_pids() // 2)),
        }
        if "pids" in self._enforced:
            del own["nproc"]
        return own

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command with its `rlimits`. Its pid stays the same."""
        return ["/bin/sh", "-c", _FIRST, "sh", *(f"--{key}={n}:{n}" for key, n in self.rlimits.items()), "--", *argv]

    def hold(self, pid: int) -> None:
        """Put a process, and all below it, into the cage. What they start from then on is in it too.

        To be called when the walls stand, and before anything of the run is executed.
        """
        waiting = [pid]
        while waiting:
            process = waiting.pop()
            try:
                self._hold(process)
            except ProcessLookupError:
                continue
            # Asked for afterwards: a child that was started before is among them, a later one inherits.
            waiting += processes.children(process)

    def only_watch(self) -> None:
        """Watch it, instead of holding it: what holds it is somebody else's."""
        self._enforced = frozenset()

    def _hold(self, pid: int) -> None:
        self._groups.take(pid)
        if "pids" not in self._enforced and _has_own_users(pid):
            # Twice, so that a bomb is seen to be beyond its limit before it is stopped at this one.
            most = _at_most(resource.RLIMIT_NPROC, 2 * self._limits.processes)
            resource.prlimit(pid, resource.RLIMIT_NPROC, (most, most))

    def look(self, pids: Callable[[], list[int]], now: float) -> str | None:
        """Return why the run must be ended, None when it need not. `pids` gives all its processes; `now` is monotonic.

        It is only called where the kernel does not count, and every few seconds for files without a name.
        """
        try:
            return self._look_at_processes(pids) or self._look_at_memory(pids) or self._look_at_disk(pids, now)
        except OSError:
            if not self._enforced:
                raise
            # Somebody took our groups away, as systemd may without Delegate=yes: from here on it is watched.
            self._enforced = frozenset()
            return None

    def peak_memory(self) -> int:
        """Return the most bytes of memory that were in use at a look, or the limit where that was reached."""
        return self._limits.memory_mb * _MB if self._killed_for_memory else self._peak

    def was_out_of_memory(self) -> bool:
        """Tell whether the kernel killed something because the limit was reached. Holds after `close` too."""
        self._count_killed()
        return self._killed_for_memory > 0

    def kill(self) -> None:
        """Kill all that is in the groups, in sessions of its own or adopted by others; without groups, nothing.

        Raises TimeoutError when the kernel cannot.
        """
        self._groups.kill()

    def close(self) -> None:
        """Remove the groups, and let go of the directories. Raises OSError when somebody is still in."""
        self._count_killed()
        self._enforced = frozenset()
        self._disk = Disk(())
        self._groups.remove()

    def _count_killed(self) -> None:
        if "memory" in self._enforced:
            with contextlib.suppress(OSError):  # the groups were taken away
                self._killed_for_memory = self._groups.killed_for_memory()

    def _look_at_processes(self, pids: Callable[[], list[int]]) -> str | None:
        if "pids" in self._enforced:
            is_beyond = self._groups.refused_processes() > 0
        else:
            is_beyond = watching.threads(pids(), self._limits.processes) > self._limits.processes
        return f"more than {self._of(self._limits.processes, 'processes and threads')}" if is_beyond else None

    def _look_at_memory(self, pids: Callable[[], list[int]]) -> str | None:
        if "memory" in self._enforced:
            self._peak = max(self._peak, self._groups.memory())
            return self.out_of_memory if self.was_out_of_memory() else None
        self._peak = max(self._peak, watching.memory(pids(), self._peak))
        return self._beyond(self._peak, self._limits.memory_mb, "of memory used")

    def _look_at_disk(self, pids: Callable[[], list[int]], now: float) -> str | None:
        if self._disk.has_become_full():
            return "the disk of this machine is full"
        return self._beyond(self._disk.used(pids, now), self._limits.disk_mb, "written")

    def _beyond(self, size: int, limit: int, what: str) -> str | None:
        return f"{size // _MB:,} MB {what}, more than {self._of(limit, 'MB')}" if size > limit * _MB else None

    def _of(self, limit: int, what: str) -> str:
        return f"the {limit:,} {what} of `{self._limits.machine}`"


def _at_most(kind: int, wanted: int) -> int:
    """Return what a limit can be: nobody may raise what was set over him."""
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _most_pids() -> int:
    return int(processes.read("/proc/sys/kernel/pid_max"))


def _has_own_users(pid: int) -> bool:
    """Tell whether a process is in a user namespace of its own: Linux 5.14 counts its processes apart from others'."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/user").readlink() != Path("/proc/self/ns/user").readlink()
    return False
