"""How the tasks of an attempt meet: addresses and variables, the hosts of MPI, the study of a search."""

import os
from pathlib import Path

from bot.backends import mpi, study
from bot.backends.base import AttemptSpec, Mode
from bot.backends.ports import Held, free_ports
from bot.core import cluster
from bot.core.roles import MASTER, WORKER

GENERATED = "generated"
_HOST = "127.0.0.1"
_LOCKS = "ports"
"""Below DATA_DIR: a file for each port that some attempt of this machine has."""


class Meeting:
    """Made in network setup. Ports that it found are held until `release`, and no other attempt's while we live."""

    def __init__(self, spec: AttemptSpec, run_dir: Path, owner: tuple[int, int]) -> None:
        """Raises PortsExhausted. `owner` are the uid and gid of what a run writes."""
        self._spec, self._generated = spec, run_dir / GENERATED
        self._held = Held()
        self._variables: dict[str, dict[str, str]] = {}
        self._commands = {name: group.command for group in spec.groups for name in group.tasks}
        if spec.mode is Mode.GRPC:
            self._meet_by_address(run_dir.parents[2] / _LOCKS)
        elif spec.mode is Mode.MPI:
            self._meet_by_mpi(owner)
        elif spec.mode is Mode.STUDY:
            self._variables = {name: {"OPTUNA_STORAGE": study.URL} for name in self._commands}

    @staticmethod
    def prepare(generated: Path, owner: tuple[int, int]) -> None:
        """Make the directory that all tasks see at /generated."""
        generated.mkdir(exist_ok=True)
        os.chown(generated, *owner)

    def variables(self, task: str) -> dict[str, str]:
        return self._variables.get(task, {})

    def command(self, task: str) -> str:
        return self._commands[task]

    def release(self) -> None:
        """Let the tasks have their ports: they are about to begin."""
        self._held.release()

    def _meet_by_address(self, locks: Path) -> None:
        tasks = [(group.role, index) for group in self._spec.groups for index in range(group.count)]
        workers = [task for task in tasks if task[0] == WORKER]
        locks.mkdir(exist_ok=True, mode=0o700)
        self._held = free_ports(len(tasks) + 1, locks)
        *ports, meeting_point = self._held.ports
        known = cluster.addresses(tasks, _HOST, ports)
        for role, index in tasks:
            variables = cluster.tensorflow(known, role, index)
            if role == WORKER:
                variables |= cluster.torch(f"{_HOST}:{meeting_point}", len(workers), index)
            self._variables[f"{role}-{index}"] = variables

    def _meet_by_mpi(self, owner: tuple[int, int]) -> None:
        groups = {group.role: group for group in self._spec.groups}
        workers = groups[WORKER]
        slots = workers.machine.gpus or max(1, int(workers.machine.cpus))
        mpi.prepare(self._generated, dict.fromkeys(workers.tasks, slots), owner)
        for name in workers.tasks:
            self._commands[name] = mpi.host_command(name)
        for name in groups[MASTER].tasks:
            self._variables[name] = mpi.variables()
