"""A container engine of this machine, podman or docker: whether it works, and how it is called.

Only its command line is used: it is the same for years, and the same for both but for a few words. What calls it in the
end is a supervisor, which has nothing of the bot's environment: an `Engine` carries the few variables that tell an
engine where it keeps its images.
"""

import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.backends import processes
from bot.backends.base import BackendUnavailable

NO_ENGINE = "none"
"""The value of the setting CONTAINERS that names none."""
LABEL = "experiment-ci"
"""Each container has this label, with the id of its attempt."""
_LIMIT = 60.0
_VERSION = re.compile(r"(podman|docker) version ([0-9][0-9.]*)", re.IGNORECASE)
_HANDED_ON = (
    *("HOME", "XDG_RUNTIME_DIR", "TMPDIR", "DOCKER_HOST"),
    *("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF"),
)
_CONTROLLERS = {"memory": "MemoryLimit", "cpu": "CpuCfsQuota", "pids": "PidsLimit"}
"""The limits that an engine may have, with docker's names for them."""


class EngineError(Exception):
    """The engine did not do what it was asked to; the message is its own last sentence."""


@dataclass(frozen=True)
class Engine:
    """An engine that works. `kind` is `podman` or `docker`, `program` its path, `environment` all that it is given.

    `is_root`: it runs as root and below its caller, so that it can put containers into a supervisor's own network and
    mounts. A daemon is somewhere else, and a user's podman has a user namespace of its own: both know the machine's
    network only. `controllers` are those of memory, cpu and pids that it can limit.
    """

    kind: str
    program: str
    version: str
    is_root: bool
    controllers: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_podman(self) -> bool:
        return self.kind == "podman"

    @property
    def sentence(self) -> str:
        """What `doctor` and the details page say."""
        reach = "in an attempt's own network" if self.is_root else "in this machine's network only"
        limits = ", ".join(self.controllers) or "nothing by itself"
        return f"images: {self.kind} {self.version} runs them, {reach}; it limits {limits}"

    def call(self, *arguments: str, patience: float = _LIMIT) -> str:
        """Run it and return what it printed. Raises EngineError."""
        return _output([self.program, *arguments], self.environment, patience)

    def remove(self, container: str) -> None:
        """Kill and remove a container, if there is one of that name. Raises EngineError."""
        self.call(*self.removal, container)

    @property
    def removal(self) -> tuple[str, ...]:
        """The words before the name of a container that is to be killed and removed; one that is not there is fine."""
        return ("rm", "--force", "--time", "0", "--ignore") if self.is_podman else ("rm", "--force")

    def sweep(self, attempt_id: str) -> None:
        """Kill and remove all containers of an attempt. Raises EngineError."""
        for container in self.call("ps", "--all", "--quiet", "--filter", f"label={LABEL}={attempt_id}").split():
            self.remove(container)


def find(setting: str, environ: Mapping[str, str] | None = None) -> Engine | None:
    """Return the engine that the setting CONTAINERS names: `none`, `podman`, `docker`, or the path of one.

    Raises BackendUnavailable, with the cure, when that one does not work.
    """
    if setting == NO_ENGINE:
        return None
    given = os.environ if environ is None else environ
    environment = {"PATH": given.get("PATH", "/usr/local/bin:/usr/bin:/bin")}
    environment |= {name: given[name] for name in _HANDED_ON if name in given}
    program = shutil.which(setting)
    try:
        if program is None:
            raise EngineError("it is not installed")
        return _look_at(program, environment)
    except EngineError as error:
        cure = "Start or install it, or set CONTAINERS=none: images are then not used"
        raise BackendUnavailable(f"CONTAINERS={setting} does not work here: {error}. {cure}") from None


def most_of_each() -> dict[str, int]:
    """Return the rlimits that a container can have, by prlimit's names.

    Engines would give more, which one without CAP_SYS_RESOURCE may not; and podman lowers its own count of processes.
    """
    pids = int(processes.read("/proc/sys/kernel/pid_max"))
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return {"nofile": files, "nproc": pids if most == resource.RLIM_INFINITY else min(most, pids)}


def _look_at(program: str, environment: dict[str, str]) -> Engine:
    said = _VERSION.search(_output([program, "--version"], environment))
    if said is None:
        raise EngineError("it does not say that it is podman or docker")
    kind, version = said[1].lower(), said[2].rstrip(".")
    if kind == "docker":
        environment |= {"DOCKER_HOST": environment.get("DOCKER_HOST") or _docker_host(program, environment)}
    try:
        info: dict[str, Any] = json.loads(_output([program, "info", "--format", "{{json .}}"], environment))
    except ValueError as error:
        raise EngineError(f"what it says of itself cannot be read: {error}") from None
    if kind == "docker":
        if errors := info.get("ServerErrors"):
            raise EngineError(_sentence("\n".join(map(str, errors))))
        controllers = tuple(name for name, key in _CONTROLLERS.items() if info.get(key))
        return Engine(kind, program, version, False, controllers, environment)
    host = info.get("host", {})
    controllers = tuple(name for name in _CONTROLLERS if name in host.get("cgroupControllers", ()))
    is_elsewhere = host.get("serviceIsRemote", False) or host.get("security", {}).get("rootless", True)
    return Engine(kind, program, version, os.getuid() == 0 and not is_elsewhere, controllers, environment)


def _docker_host(program: str, environment: Mapping[str, str]) -> str:
    """Return the address that docker's present context has; its supervisors have no home to look it up in."""
    return _output([program, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], environment).strip()


def _output(command: Sequence[str], environment: Mapping[str, str], patience: float = _LIMIT) -> str:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"it did not answer within {patience:g} s") from None
    except OSError as error:
        raise EngineError(str(error)) from None
    if done.returncode != 0:
        raise EngineError(_sentence(done.stderr.decode(errors="replace")) or f"it ended with {done.returncode}")
    return done.stdout.decode(errors="replace")


def _sentence(complaints: str) -> str:
    """Return what an engine said last, in one line: before it stands what it tried meanwhile."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")[-400:] if lines else ""
