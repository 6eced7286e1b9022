"""By what means runs are limited on this machine: found out once, by really trying.

The kernel's control groups do it best: version 2 where its memory controller is there and writable, else each of
version 1's hierarchies that is. What neither gives is watched. Sources: the kernel's admin-guide/cgroup-v2 and
admin-guide/cgroup-v1, and systemd's CGROUP_DELEGATION.
"""

import contextlib
import errno
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("memory", "cpu", "pids")
FOLDER = "experiment-ci"
"""In version 1 an administrator may give us a directory of this name in each hierarchy: `chown` is delegation there."""
_OWN = "experiment-ci.bot"
_V2_CURE = "start the bot with Delegate=yes in its systemd unit, or by systemd-run --user --scope -p Delegate=yes"
_V1_CURE = f"as root, make the directory {FOLDER} in each of /sys/fs/cgroup/memory, cpu, pids and give it to the bot"
_ROUNDS = 20
_LIMIT = 30.0
_TRIAL = {
    2: {"memory": ("memory.max", "1073741824"), "cpu": ("cpu.max", "10000 100000"), "pids": ("pids.max", "64")},
    1: {"memory": ("memory.limit_in_bytes", "1073741824"), "cpu": ("cpu.cfs_quota_us", "10000"),
        "pids": ("pids.max", "64")},
}  # fmt: skip


@dataclass(frozen=True)
class Means:
    """What is in force. For each controller the directory that groups of ours are made in; empty: there is none.

    `owner` is in the name of every group: bots of other directories, on the same machine, leave it alone. `version` is
    that of the control groups, 0 without any. `cure` says what would give more. JSON-able by `vars`.
    """

    owner: str
    version: int = 0
    memory: str = ""
    cpu: str = ""
    pids: str = ""
    cure: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Say for each of memory, CPUs, processes and disk what holds, a line each."""
        kernel = f"enforced by the kernel (cgroup v{self.version})"
        more = f"; to have them enforced, {self.cure}" if self.cure else ""
        return (
            f"memory: {kernel}, a run that needs more than its machine has is ended"
            if self.memory
            else f"memory: looked at once a second, a run that needs more than its machine has is ended{more}",
            f"CPUs: {kernel}"
            if self.cpu
            else f"CPUs: not enforced, they decide how many experiments run at once{more}",
            f"processes: {kernel}, a run that needs more than its machine has is ended"
            if self.pids
            else f"processes: counted once a second, a run that needs more than its machine has is ended{more}",
            "disk: looked at every few seconds, a run that needs more than its machine has is ended; "
            "no single file gets larger",
        )


def find(data_dir: Path, proc: Path = Path("/proc/self")) -> Means:
    """Return the best means there are. `proc` is where this process is described.

    Under version 2 this may move the processes of our own group into a group below it: the kernel allows limits only
    beside groups of processes, not beside processes. Nothing that was set over us is left by that.
    """
    owner = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:8]
    mounts = _mounts(proc)
    found = _find_v2(mounts, owner)
    if found["memory"]:
        return Means(owner, 2, **found)
    first = {c: _usable(1, c, mounts[c].candidates(), owner) if c in mounts else "" for c in CONTROLLERS}
    cure = "" if all(first.values()) else _cure(mounts)
    return Means(owner, 1 if any(first.values()) else 0, **first, cure=cure)


@dataclass(frozen=True)
class _Mount:
    """A hierarchy of control groups, as this process sees it: where it is mounted, and our own group in it."""

    version: int
    point: Path
    own: Path

    def candidates(self) -> list[Path]:
        """Return the groups that could hold ours, the nearest first, so that limits over us stay over our runs."""
        if self.version == 1:
            return [self.own, self.point / FOLDER]
        below = self.own.parent if self.own.name == _OWN else self.own
        return [path for path in (below, *below.parents) if path.is_relative_to(self.point)]


def _mounts(proc: Path) -> dict[str, _Mount]:
    """Return the hierarchies by controller; that of version 2 by the empty name."""
    try:
        groups = dict(_groups(proc))
        lines = (proc / "mountinfo").read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, _Mount] = {}
    for line in lines:
        left, _, right = line.partition(" - ")
        root, point = (_unescaped(field) for field in left.split()[3:5])
        kind, _, options = right.split()[:3]
        for controller in {"cgroup2": [""], "cgroup": options.split(",")}.get(kind, []):
            if controller in groups:
                own = _below(Path(point), root, groups[controller])
                found[controller] = _Mount(2 if kind == "cgroup2" else 1, Path(point), own)
    return found


def _groups(proc: Path) -> Iterator[tuple[str, str]]:
    for line in (proc / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _below(point: Path, root: str, path: str) -> Path:
    """Return where the group `path` is seen; only the part of a hierarchy below `root` may be mounted."""
    inside = os.path.relpath(path, root)
    return point if inside.startswith("..") else point / inside


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _find_v2(mounts: dict[str, _Mount], owner: str) -> dict[str, str]:
    found = dict.fromkeys(CONTROLLERS, "")
    for parent in mounts[""].candidates() if "" in mounts else ():
        if not _has_memory(parent) or not _open_up(parent):
            continue
        found = {controller: _usable(2, controller, [parent], owner) for controller in CONTROLLERS}
        if found["memory"]:
            break
    return found


def _has_memory(group: Path) -> bool:
    try:
        return "memory" in (group / "cgroup.controllers").read_text().split()
    except OSError:
        return False


def _open_up(group: Path) -> bool:
    """Let children of `group` be limited; where processes are in the way, and we among them, go a level down."""
    try:
        try:
            _enable(group)
        except OSError as error:
            # Only our own group's people are ours to move; another's stay where they are.
            if error.errno != errno.EBUSY or os.getpid() not in _pids(group):
                return False
            _go_down(group)
            _enable(group)
    except OSError:
        return False
    return True


def _enable(group: Path) -> None:
    there = (group / "cgroup.controllers").read_text().split()
    enabled = (group / "cgroup.subtree_control").read_text().split()
    missing = [f"+{controller}" for controller in CONTROLLERS if controller in there and controller not in enabled]
    if missing:
        (group / "cgroup.subtree_control").write_text(" ".join(missing))


def _go_down(group: Path) -> None:
    (group / _OWN).mkdir(exist_ok=True)
    for _ in range(_ROUNDS):  # more than one: a process may be starting another meanwhile
        pids = _pids(group)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (group / _OWN / "cgroup.procs").write_text(str(pid))


def _pids(group: Path) -> list[int]:
    return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]


def _usable(version: int, controller: str, parents: list[Path], owner: str) -> str:
    """Return the first parent in which a group can be made, limited, entered and removed; empty when none."""
    for parent in parents:
        if _try(parent / f"{FOLDER}@{owner}@trial-{os.urandom(4).hex()}", *_TRIAL[version][controller]):
            return str(parent)
    return ""


def _try(group: Path, file: str, value: str) -> bool:
    try:
        group.mkdir(exist_ok=True)
        try:
            (group / file).write_text(value)
            # Whoever writes 0 goes in itself: a child, which ends there.
            enter = ["/bin/sh", "-c", 'echo 0 > "$0"', str(group / "cgroup.procs")]
            return subprocess.run(enter, env={}, stderr=subprocess.DEVNULL, timeout=_LIMIT, check=False).returncode == 0
        finally:
            with contextlib.suppress(OSError):
                group.rmdir()
    except (OSError, subprocess.TimeoutExpired):
        return False


def _cure(mounts: dict[str, _Mount]) -> str:
    if "memory" in mounts:
        return _V1_CURE
    return _V2_CURE if "" in mounts else ""
