"""What this machine has for the demo: what must be left out here, and how large its experiments may be."""

import os
import shutil
from pathlib import Path
from typing import Any

from bot.backends import walls
from bot.backends.base import BackendUnavailable
from bot.backends.sandbox import SYSTEM_PATH

_NODES = 6
"""Tasks of several machines that this one has room for, or half of them beside an experiment of a single machine."""


def trouble_with_isolation() -> str:
    """Return why experiments cannot be isolated here, empty when they can."""
    try:
        walls.find("bwrap", walls.NOBODY, allow_unisolated=False)
    except BackendUnavailable as error:
        return str(error)
    return ""


def left_out(trouble: str, programs: str = SYSTEM_PATH) -> dict[str, str]:
    """Return the workflows of examples/distributed that cannot run here, with why. `trouble` is that with isolation."""
    missing = {}
    if trouble:
        why = "several tasks, and searches, are run with bubblewrap only: apt-get install bubblewrap"
        missing = dict.fromkeys(("grpc", "mpi", "search"), why)
    elif shutil.which("mpirun", path=programs) is None:
        missing["mpi"] = "mpirun is missing: apt-get install openmpi-bin"
    return missing


def types(environment: Path) -> dict[str, Any]:
    """Return the machine types: `small` is half of this machine; of `node`s three fit beside it."""
    cores = len(os.sched_getaffinity(0))
    here = {"environment": str(environment)}
    small = {"cpus": max(1, cores // 2), "memory": "1GB", **here}
    node = {"cpus": min(1.0, int(100 * cores / _NODES) / 100), "memory": "512MB", **here}
    return {"default": "small", "types": {"small": small, "node": node}}
