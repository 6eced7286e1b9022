"""The files of one exact commit, out of a bare repository of this machine; no network, no credential, no surprises."""

import os
import re
from pathlib import Path

_SHA = re.compile(r"[0-9a-f]{40}")
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "submodule.recurse": "false",
    "protocol.allow": "never",
}
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
}
"""With no configuration but ours, a repository's .gitattributes can name filters, but there are none to run."""


def command(git_dir: str, sha: str, workspace: str) -> list[str]:
    """Return the git command that fills an empty workspace; its index goes where GIT_INDEX_FILE says.

    `read-tree` knows no submodules, runs no hook and refuses what would leave the workspace. Links stay links.
    """
    if not _SHA.fullmatch(sha):
        raise ValueError(f"{sha!r} is not a full commit SHA")
    settings = [part for key, value in _CONFIG.items() for part in ("-c", f"{key}={value}")]
    return ["git", f"--git-dir={git_dir}", f"--work-tree={workspace}", *settings, "read-tree", "--reset", "-u", sha]


def place_of(workspace: str, path: str) -> str:
    """Return where a submodule is checked out: an empty directory that its parent's checkout made.

    Raises NotADirectoryError when there is none, or a link on the way to it.
    """
    place = workspace
    for part in path.split("/"):
        place = f"{place}/{part}"
        if part in ("", ".", "..") or Path(place).is_symlink() or not Path(place).is_dir():
            raise NotADirectoryError(f"{path} is no directory of this commit")
    return place


def give_to(workspace: Path, uid: int, gid: int) -> None:
    """Make uid and gid the owners of all that was checked out, links themselves included and never followed."""
    for directory, names, files in os.walk(workspace):
        for name in (*names, *files):
            os.chown(f"{directory}/{name}", uid, gid, follow_symlinks=False)
