"""The machine types that a config may name, from a settings file of the person who runs the bot.

    default: small
    capacity: {cpus: 16, memory: 64GB, gpus: 1}
    types:
      small: {cpus: 2, memory: 4GB, environment: /opt/envs/sklearn}
      large: {cpus: 8, memory: 32GB, gpus: 1, disk: 50GB, processes: 2000, environment: /opt/envs/torch}

`disk` is what each of its tasks may write, `processes` how many processes and threads it may have. `environment` is
the path of a virtual environment or prefix; without one a run has the system's python3. Without `capacity` all of this
machine may be used.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from bot.backends.base import Capacity, Machine

_DEFAULT = "default"
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|MiB|M|GB|GiB|G|TB|TiB|T)", re.I)
_LEAST_PROCESSES = 16
_MEGABYTES = {"m": 1, "g": 1 << 10, "t": 1 << 20}


def _why_unread(error: Exception) -> str:
    """Return why a file is no YAML, on one line and with its line where that is known."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1} is not valid YAML: {error.problem}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).split())


class MachinesError(Exception):
    """The machines file cannot be used; the message says where and what to write instead."""


class UnknownMachine(LookupError):
    """No such machine type; the message names those that there are."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Machines:
    """All machine types, and what there is to share between them."""

    types: Mapping[str, Machine]
    default: str
    capacity: Capacity
    is_derived: bool = False
    """True when there is no settings file: one type, made from this machine, stands for every name."""

    @staticmethod
    def load(path: Path | None) -> "Machines":
        """Read the settings file; without one, derive a single type from this machine.

        Raises MachinesError.
        """
        if path is None:
            return _derived()
        try:
            content = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise MachinesError(f"the machines file {path} cannot be read: {_why_unread(error)}") from None
        try:
            return _parse(_mapping(content, "the file"))
        except MachinesError as error:
            raise MachinesError(f"the machines file {path}: {error}") from None

    def in_environment(self, path: Path) -> "Machines":
        """Return the same types, each with the environment at `path` unless it has its own. Raises MachinesError.

        It is for somebody's own code: unlike that of a settings file it may be the one that this program runs in.
        """
        if not path.is_absolute() or not (path / "bin").is_dir():
            raise MachinesError(f"{path} is not the absolute path of an environment")
        types = {
            name: machine if machine.environment else replace(machine, environment=str(path))
            for name, machine in self.types.items()
        }
        return replace(self, types=types)

    def of_size(self, tasks: int) -> "Machines":
        """Return the same types; where they were made from this machine, so small that it has room for `tasks`."""
        if not self.is_derived:
            return self
        machine, capacity = self.types[self.default], self.capacity
        cpus = min(machine.cpus, int(100 * capacity.cpus / tasks) / 100)
        small = replace(machine, cpus=cpus, memory_mb=min(machine.memory_mb, capacity.memory_mb // tasks))
        return replace(self, types={self.default: small})

    def find(self, name: str | None) -> tuple[Machine, str]:
        """Return the machine type of that name (None: the default), and a warning for people where one is due.

        Raises UnknownMachine. Where no types were set up at all, every name gets the one there is, with a warning.
        """
        if name is None or name in self.types:
            return self.types[name or self.default], ""
        if self.is_derived:
            return self.types[self.default], (
                f"no machine types are set up here: {name!r} runs on `{self.default}`, which is this machine"
            )
        known = ", ".join(sorted(self.types))
        raise UnknownMachine(f"there is no machine type {name!r} here; there are: {known}")


def _derived() -> Machines:
    """Half of this machine for each: two runs at once, none of them starved, and one core still gives one run."""
    capacity = _host()
    cpus = max(1.0, capacity.cpus // 2)
    machine = Machine(_DEFAULT, cpus=cpus, memory_mb=int(capacity.memory_mb * cpus / capacity.cpus))
    return Machines({_DEFAULT: machine}, _DEFAULT, capacity, is_derived=True)


def _host() -> Capacity:
    """Return what this machine has for us. GPUs are given by the settings file only: we do not guess them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return Capacity(cpus=float(len(os.sched_getaffinity(0))), memory_mb=memory, gpus=0)


def _parse(content: Mapping[str, Any]) -> Machines:
    _known_keys(content, {"types", "capacity", "default"}, "the file")
    types = {
        name: _machine(name, _mapping(value, f"`{name}`"))
        for name, value in _mapping(content.get("types"), "`types`").items()
    }
    if not types:
        raise MachinesError("`types` names no machine type")
    capacity = _capacity(_mapping(content.get("capacity", {}), "`capacity`"))
    for machine in types.values():
        _check_fits(machine, capacity)
    default = content.get("default", next(iter(types)))
    if default not in types:
        raise MachinesError(f"`default` is {default!r}, which is not among the types: {', '.join(types)}")
    return Machines(types, default, capacity)


def _machine(name: str, value: Mapping[str, Any]) -> Machine:
    where = f"`{name}`"
    _known_keys(value, {"cpus", "memory", "gpus", "disk", "processes", "environment"}, where)
    return Machine(
        name=name,
        cpus=_positive(value.get("cpus", 1), f"{where}: `cpus`"),
        memory_mb=_megabytes(value.get("memory"), f"{where}: `memory`"),
        gpus=_count(value.get("gpus", 0), f"{where}: `gpus`"),
        environment=_environment(value.get("environment"), where),
        disk_mb=_megabytes(value["disk"], f"{where}: `disk`") if "disk" in value else Machine.disk_mb,
        processes=_enough(value.get("processes", Machine.processes), f"{where}: `processes`"),
    )


def _capacity(value: Mapping[str, Any]) -> Capacity:
    _known_keys(value, {"cpus", "memory", "gpus"}, "`capacity`")
    host = _host()
    return Capacity(
        cpus=_positive(value.get("cpus", host.cpus), "`capacity`: `cpus`"),
        memory_mb=_megabytes(value.get("memory", f"{host.memory_mb}MB"), "`capacity`: `memory`"),
        gpus=_count(value.get("gpus", host.gpus), "`capacity`: `gpus`"),
    )


def _check_fits(machine: Machine, capacity: Capacity) -> None:
    """A type that never fits would let its experiments wait for ever."""
    if machine.cpus > capacity.cpus or machine.memory_mb > capacity.memory_mb or machine.gpus > capacity.gpus:
        raise MachinesError(
            f"`{machine.name}` is larger than all there is: {capacity.cpus:g} CPUs, {capacity.memory_mb} MB,"
            f" {capacity.gpus} GPUs (say more under `capacity` if there is more)"
        )


def _environment(value: object, where: str) -> str | None:
    """Return the environment's absolute path. The bot's own is refused: a run could read how its guard is made."""
    if value is None:
        return None
    path = Path(str(value)).expanduser()
    if not path.is_absolute() or not (path / "bin").is_dir():
        raise MachinesError(f"{where}: `environment` {str(value)!r} is not the absolute path of an environment")
    if path.resolve() == Path(sys.prefix).resolve():
        raise MachinesError(
            f"{where}: `environment` is the bot's own; make another: python3 -m venv /opt/envs/{where.strip('`')}"
        )
    return str(path)


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise MachinesError(f"{where} must be a mapping of names to values")
    return value


def _known_keys(value: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise MachinesError(f"{where}: unknown key `{unknown[0]}`; there are: {', '.join(sorted(known))}")


def _positive(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise MachinesError(f"{where} must be a number above 0, not {value!r}")
    return float(value)


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MachinesError(f"{where} must be a whole number, not {value!r}")
    return value


def _enough(value: object, where: str) -> int:
    """The walls and a shell are a handful already."""
    if _count(value, where) < _LEAST_PROCESSES:
        raise MachinesError(f"{where} must be {_LEAST_PROCESSES} or more, not {value!r}")
    return _count(value, where)


def _megabytes(value: object, where: str) -> int:
    """`4GB` is 4,096 MB, as Slurm counts."""
    match = _MEMORY.fullmatch(value.strip()) if isinstance(value, str) else None
    size = int(float(match[1]) * _MEGABYTES[match[2][0].lower()]) if match else 0
    if size < 1:
        raise MachinesError(f"{where} must be a size such as 512MB or 4GB, not {value!r}")
    return size
