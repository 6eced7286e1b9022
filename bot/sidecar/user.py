"""Giving up root, for good."""

import os
import resource
from collections.abc import Callable

NOBODY = (65534, 65534)


class StillRoot(RuntimeError):
    """Root could not be given up."""


def give_up_root(user: tuple[int, int] | None) -> None:
    """Become `user` (uid, gid), or nobody, when this process is root; else nothing. Raises StillRoot or OSError.

    All that is to be imported must have been: the installation may be unreadable to the other user.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getuid() != 0 and os.geteuid() != 0:
        return
    uid, gid = user or NOBODY
    if uid == 0 or gid == 0:
        raise StillRoot("the order names root as the user to become")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _make_sure(os.setuid)
    _make_sure(os.setgid)


def _make_sure(become: Callable[[int], None]) -> None:
    try:
        become(0)
    except PermissionError:
        return
    raise StillRoot("root came back")
