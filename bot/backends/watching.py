"""What a run uses, looked at from outside, where no control group counts it."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from bot.backends import processes

_SHARED = "dev/shm"


def threads(pids: Iterable[int], enough: int) -> int:
    """Return how many processes and threads these are; not all of them once there are more than `enough`."""
    found = 0
    for pid in pids:
        try:
            found += int(processes.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[17])
        except (OSError, IndexError):
            continue
        if found > enough:
            break
    return found


def memory(pids: list[int], known: int) -> int:
    """Return the bytes that these processes keep in memory.

    What they share is counted for each at first. That can be many times the truth, for forked data loaders share most
    of theirs: where this quick figure is above `known`, the exact one is taken, which costs more.
    """
    files = sum(_memory_files(pids))
    quick = processes.memory(pids) + files
    if quick <= known or (len(pids) == 1 and not files):
        return quick
    whole = shared = 0
    for pid in pids:
        both = _proportional(pid)
        whole, shared = whole + both[0], shared + both[1]
    # Of files in memory a part is mapped, and counted in both. The larger figure is never twice the smaller one.
    return max(whole, whole - shared + files)


def _proportional(pid: int) -> tuple[int, int]:
    """Return a process's bytes in memory, shared pages divided by their users; and of these the ones of memory files.

    Both are from smaps_rollup (Linux 4.14; Pss_Shmem 5.4).
    """
    try:
        lines = processes.read(f"/proc/{pid}/smaps_rollup").splitlines()
    except PermissionError:
        return processes.memory([pid]), 0
    except OSError:
        return 0, 0
    sizes = {line.partition(":")[0]: int(line.split()[1]) << 10 for line in lines if line.startswith("Pss")}
    return sizes.get("Pss", 0), sizes.get("Pss_Shmem", 0)


def _memory_files(pids: list[int]) -> Iterator[int]:
    """Yield the sizes of files that are in no process's memory, but in the machine's: /dev/shm and memfd_create."""
    seen: set[tuple[int, int]] = set()
    for pid in pids:
        yield from _shared_directory(Path(f"/proc/{pid}/root", _SHARED), seen)
        for found in processes.nameless_files(pid):
            identity = (found.st_dev, found.st_ino)
            if found.st_dev == _device() and identity not in seen:
                seen.add(identity)
                yield found.st_blocks * 512


def _shared_directory(path: Path, seen: set[tuple[int, int]]) -> Iterator[int]:
    with contextlib.suppress(OSError):
        identity = (path.stat().st_dev, 0)
        # Without walls it is everybody's.
        if identity not in seen and identity[0] != Path("/", _SHARED).stat().st_dev:
            seen.add(identity)
            usage = os.statvfs(path)
            yield (usage.f_blocks - usage.f_bfree) * usage.f_frsize


@cache
def _device() -> int:
    """Return the device that all nameless files in memory are on."""
    file = os.memfd_create("device")
    try:
        return os.fstat(file).st_dev
    finally:
        os.close(file)
