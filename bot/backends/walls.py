"""Whether runs can be isolated on this machine: by trying it, once, when the bot starts."""

import os
import shutil
import subprocess
from dataclasses import dataclass

from bot.backends import sandbox
from bot.backends.base import BackendUnavailable
from bot.backends.sandbox import Sandbox

NOBODY = (65534, 65534)
"""The uid and gid of runs under a root bot: see docs/decisions on the local backend."""
SETTING = "ALLOW_UNISOLATED_TRUSTED_CODE=yes"
_LIMIT = 30.0


@dataclass(frozen=True)
class Walls:
    """What was found, with a sentence for `doctor` and for every check."""

    sandbox: Sandbox
    description: str


class _NoWalls(Exception):
    """Why there are none, and what would help."""

    def __init__(self, why: str, cure: str) -> None:
        super().__init__(why)
        self.cure = cure


def find(bwrap: str, run_as: tuple[int, int], allow_unisolated: bool) -> Walls:
    """Return the best walls there are. Raises BackendUnavailable, with the cure, where there are none."""
    if shutil.which("git") is None:
        raise BackendUnavailable("git is missing: apt-get install git")
    uid, gid = run_as if os.getuid() == 0 else (None, None)
    try:
        found = Sandbox(_path(bwrap), uid, gid)
        _try(found)
    except _NoWalls as error:
        if allow_unisolated:
            return Walls(Sandbox(None), f"none: {error}; runs have all the rights of the bot ({SETTING})")
        message = f"runs cannot be isolated: {error}. {error.cure}; or, for trusted code only, set {SETTING}"
        raise BackendUnavailable(message) from None
    return Walls(found, f"bubblewrap, as uid {found.owner[0]}: own processes, users, files")


def _path(bwrap: str) -> str:
    path = shutil.which(bwrap)
    if path is None:
        raise _NoWalls("bubblewrap is missing", "Install it: apt-get install bubblewrap")
    return path


def around_nothing(found: Sandbox) -> list[str]:
    """Return the command that builds the walls around nothing."""
    return [found.bwrap or "", *sandbox.walls(found), "--", *sandbox.change_user(found), "/bin/sh", "-c", ":"]


def _try(found: Sandbox) -> None:
    try:
        done = subprocess.run(
            around_nothing(found), env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NoWalls(f"bubblewrap does not work here ({error})", _cure(found)) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())[-200:]
        raise _NoWalls(f"bubblewrap does not work here ({said})", _cure(found))


def _cure(found: Sandbox) -> str:
    if found.uid is not None:
        return "Root without the right to mount, as in a container: run the bot as a user, or give it CAP_SYS_ADMIN"
    return (
        "Allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000,"
        " on Ubuntu also sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    )
