"""How the tasks of an attempt find each other: the variables that TensorFlow, PyTorch and the ancestor expect."""

import base64
import json
from collections.abc import Mapping, Sequence

from bot.core.roles import PARAMETER_SERVER, WORKER

CHIEF = "chief"
"""The first worker's job in TF_CONFIG. TensorFlow 2 looks for `chief`; `master` was TensorFlow 1's word for it."""
_TENSORFLOW_JOBS = {WORKER: "worker", PARAMETER_SERVER: "ps"}


def addresses(tasks: Sequence[tuple[str, int]], host: str, ports: Sequence[int]) -> dict[tuple[str, int], str]:
    """Return `host:port` for each task (role, index); there are as many ports as tasks."""
    return {task: f"{host}:{port}" for task, port in zip(tasks, ports, strict=True)}


def tensorflow(known: Mapping[tuple[str, int], str], role: str, index: int) -> dict[str, str]:
    """Return TF_CONFIG and the ancestor's forms of it for one task.

    With parameter servers the first worker is the `chief`, and worker `i` of ours is `worker` `i - 1`: TensorFlow's
    estimators and ParameterServerStrategy want exactly that. Without them there is no chief: for
    MultiWorkerMirroredStrategy worker 0 is chief by itself. `TYPE` and `INDEX` tell the same as `task`.
    """
    has_servers = any(kind == PARAMETER_SERVER for kind, _ in known)
    cluster: dict[str, list[str]] = {}
    for (kind, number), address in known.items():
        cluster.setdefault(_job(kind, number, has_servers)[0], []).append(address)
    job, number = _job(role, index, has_servers)
    text = json.dumps({"cluster": cluster, "task": {"type": job, "index": number}}, separators=(",", ":"))
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return {"TF_CONFIG": text, "PS_CONFIG": encoded, "TYPE": job, "INDEX": str(number)}


def _job(role: str, index: int, has_servers: bool) -> tuple[str, int]:
    if role == WORKER and has_servers:
        return (CHIEF, 0) if index == 0 else ("worker", index - 1)
    return _TENSORFLOW_JOBS[role], index


def torch(master: str, workers: int, rank: int) -> dict[str, str]:
    """Return what `torch.distributed`'s `env://` reads. `master` is the `host:port` where rank 0 will listen.

    One process a task: the local rank is 0. Workers only; a parameter server has no rank.
    """
    host, _, port = master.rpartition(":")
    return {
        "MASTER_ADDR": host,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(workers),
        "RANK": str(rank),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
    }
