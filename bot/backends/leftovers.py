"""The removal of what a run leaves and nobody wants: it may have locked its directories, or laid traps in them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path


def remove(paths: Iterable[Path], *, are_ours: bool) -> None:
    """Remove directories with all that is in them, never through a link, never into another file system.

    `are_ours`: they belong to this process's own user, who must give himself the right first; root need not care.
    """
    there = [str(path) for path in paths if path.exists()]
    if there and are_ours:
        subprocess.run(["chmod", "-R", "u+rwX", "--", *there], check=False, stderr=subprocess.DEVNULL)
    if there:
        subprocess.run(["rm", "-rf", "--one-file-system", "--", *there], check=False, stderr=subprocess.DEVNULL)
