"""The namespaces of an attempt: its supervisor moves into them, and all that it starts afterwards is born in them.

So the tasks of an attempt share one network and one view of its storage, which nobody else of the machine has. As
root the kernel simply gives them; a user gets them with a user namespace. Python 3.11 has no `os.unshare`, and no
helper program could move its caller: hence ctypes.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x0002_0000, 0x1000_0000, 0x4000_0000  # linux/sched.h
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_SLAVE = 2, 4, 1 << 14, 1 << 19  # linux/mount.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914  # linux/sockios.h
_IFF_UP = 1
_IFREQ = struct.Struct("16sH22x")

_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceError(Exception):
    """The kernel does not give what was asked of it; the message says what and why."""


@contextlib.contextmanager
def enter(*, network: bool, mounts: bool) -> Iterator[None]:
    """Move this process into a network and a mount namespace of its own; within the block it may set them up.

    The new network has nothing but its loopback, which is up. Mounts are those of before; what is mounted here is
    seen by nobody outside, what is unmounted outside goes here too, so that no disk is held busy.

    A user is root of them inside the block (slirp4netns wants to find one), and has its own numbers and no rights
    over them afterwards: files, signals and locks are as they were, and the sandboxes of runs are built as ever.

    The caller must have one thread only; its children of before stay where they are. Raises NamespaceError.
    """
    flags = (_CLONE_NEWNET if network else 0) | (_CLONE_NEWNS if mounts else 0)
    if not flags:
        yield
        return
    uid, gid = os.geteuid(), os.getegid()
    _unshare(flags, (uid, 0), (gid, 0))
    if mounts:
        _mount(None, "/", None, _MS_REC | _MS_SLAVE, None)
    if network:
        _bring_up("lo")
    yield
    _unshare(0, (0, uid), (0, gid))


def overlay(directory: Path, writes: Path) -> None:
    """Let all that is written to `directory` from now on go to `writes` instead. Within `enter(mounts=True)`.

    `writes` is made where it is not there (one from before is gone on with), on a file system that overlays can write
    to. It may be removed as soon as nobody uses `directory` any more; nothing has to be unmounted, the mount ends with
    its namespace. A user must `chmod` before: the kernel's own directory in it has no permissions. Raises
    NamespaceError where file system or kernel cannot do it.
    """
    upper, work = writes / "upper", writes / "work"
    for path in (upper, work):
        path.mkdir(parents=True, exist_ok=True)
    like = directory.stat()
    upper.chmod(like.st_mode & 0o7777)
    if upper.stat().st_uid != like.st_uid:
        os.chown(upper, like.st_uid, like.st_gid)
    with contextlib.ExitStack() as stack:
        # By descriptors: a path may hold the colons and commas that part the options.
        fds = {name: _held(path, stack) for name, path in {"lower": directory, "upper": upper, "work": work}.items()}
        options = [f"{name}dir=/proc/self/fd/{fd}" for name, fd in fds.items()]
        if not _is_the_machines_root():
            options.append("userxattr")  # the usual attributes are for the machine's root alone; since Linux 5.11
        _mount("overlay", str(directory), "overlay", _MS_NOSUID | _MS_NODEV, ",".join(options))


def _unshare(flags: int, uid: tuple[int, int], gid: tuple[int, int]) -> None:
    """Leave the present namespaces; a user gets a user namespace with them, where its uid and gid have new numbers."""
    is_user = uid != (0, 0)
    _check(_libc.unshare(flags | (_CLONE_NEWUSER if is_user else 0)), "no namespaces of its own")
    if is_user:
        _tell("setgroups", "deny")  # the kernel's condition for a map of groups by a user
        _tell("uid_map", f"{uid[1]} {uid[0]} 1")
        _tell("gid_map", f"{gid[1]} {gid[0]} 1")


def _tell(file: str, words: str) -> None:
    try:
        Path("/proc/self", file).write_text(words)
    except OSError as error:
        raise NamespaceError(f"no use of its own namespaces: {error}") from error


def _is_the_machines_root() -> bool:
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _held(path: Path, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _bring_up(interface: str) -> None:
    name = interface.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        _, flags = _IFREQ.unpack(fcntl.ioctl(any_socket, _SIOCGIFFLAGS, _IFREQ.pack(name, 0)))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _IFREQ.pack(name, flags | _IFF_UP))


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> None:
    words = (None if word is None else os.fsencode(word) for word in (source, target, kind))
    told = None if options is None else options.encode()
    _check(_libc.mount(*words, ctypes.c_ulong(flags), told), f"{kind or 'the change of mounts'} at {target} fails")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise NamespaceError(f"{what}: {os.strerror(ctypes.get_errno())}")
