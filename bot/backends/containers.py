"""A command in a container: the same directories, limits and network as behind bubblewrap, but an image's own files.

The engine is called from within the attempt's namespaces. As behind bubblewrap, the first process waits until its
supervisor has written down whom to kill, and the environment comes through its standard input: neither a command line
nor what the engine keeps of a container ever holds it.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from bot.backends import processes, sandbox
from bot.backends.base import Machine
from bot.backends.ends import End, Stop
from bot.backends.engine import LABEL, Engine, EngineError, most_of_each
from bot.backends.processes import Process
from bot.backends.running import Running
from bot.backends.sandbox import WORKSPACE, Mount, PathRefused, Places, Sandbox, SandboxError
from bot.clock import Clock
from bot.core.states import State

_PATIENCE = 300.0
"""Seconds for a container to be there: without overlays an engine copies the whole image first."""
_END_LIMIT = 30.0
_PAUSE = 0.05
_USER = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,63}))?")
_GUARD = 'read -r _ || exec "$@" </dev/null >/dev/null 2>&1'
"""Removes the container when the supervisor dies: the pipe that it reads ends then, without a word."""
_NOT_STARTED = frozenset({126, 127})
"""What both engines end with when the image lacks what is to be started, or the user."""
_FROM_THE_IMAGE = ("PATH", "LANG")


@dataclass(frozen=True)
class Container:
    """What a task needs to run in an image. `image` is its id, `name` what people call it; `user` the config's own."""

    engine: Engine
    image: str
    name: str
    attempt: str
    user: str | None = None


class Contained(Running):
    """A command in a container. See `Running` for what can be done with it.

    `rlimits` are by prlimit's names. Raises SandboxError when the engine cannot start it, PathRefused for directories
    that cannot be mounted, Stop where image or user are at fault.
    """

    def __init__(
        self,
        container: Container,
        machine: Machine,
        rlimits: Mapping[str, int],
        walls: Sandbox,
        places: Places,
        command: str,
        output: int,
        clock: Clock,
    ) -> None:
        self._container, self._engine = container, container.engine
        self._machine, self._rlimits = machine, rlimits
        # Another one each time: the next trial of a search must not wait until an engine has forgotten the last.
        self._name = "-".join((LABEL, container.attempt, places.hostname, os.urandom(4).hex()))
        self._was_killed = False
        if container.user is not None:
            _open_to_group(places)
        super().__init__(walls, places, command, output, clock)

    @property
    def outer_pid(self) -> int:
        """The process that everything of the run is below of: the engine's own are not of the run."""
        return self.first.pid

    def kill(self) -> None:
        """SIGKILL to its first process, which takes all others with it."""
        self._was_killed = self.first.send(signal.SIGKILL)

    def bury(self) -> int | None:
        """Wait for the end of all processes; return the command's exit code, None when it was killed from outside."""
        self._kill_rest()
        code = self._end_of_the_engine()
        self._dismiss_guard()
        for descriptor in (self._status, self.ended):
            os.close(descriptor)
        return None if self._was_killed or code is None or code < 0 else code

    def _start(
        self,
        places: Places,
        command: str,
        output: int,
        status: int,  # noqa: ARG002 - bubblewrap's
    ) -> "subprocess.Popen[bytes]":
        self._pid_file = Path(places.scratch, "container.pid")
        self._pid_file.unlink(missing_ok=True)
        outer = subprocess.Popen(
            [self._engine.program, *self._words(places, command)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(self._engine.environment),
            start_new_session=True,
        )
        removal = (self._engine.program, *self._engine.removal, self._name)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", *removal],
            stdin=subprocess.PIPE,
            env=dict(self._engine.environment),
            start_new_session=True,
        )
        return outer

    def _words(self, places: Places, command: str) -> Iterator[str]:
        yield from ("run", "--rm", "--interactive", "--name", self._name, f"--label={LABEL}={self._container.attempt}")
        yield from ("--pull=never", "--network=host", f"--hostname={places.hostname}")
        yield from _walls(self._engine.is_podman)
        yield from self._who()
        yield from self._limits()
        yield from _devices(self._engine.is_podman, places.gpus)
        for mount in sandbox.mounts(places):
            yield from ("--mount", _bind(mount))
        yield f"--workdir={PurePosixPath(WORKSPACE, places.workdir)}"
        if self._engine.is_podman:
            # The command writes to our pipe itself: no log on disk, nothing lost at the end.
            yield from ("--log-driver=passthrough", "--http-proxy=false", f"--pidfile={self._pid_file}")
        else:
            yield "--log-driver=none"
        yield from ("--entrypoint=/bin/sh", self._container.image, "-c", sandbox.BOOTSTRAP, "sh", command)

    def _who(self) -> Iterator[str]:
        """Yield whose the run is. Its group is ours in any case: by it another user can write what is mounted."""
        uid, gid = self._walls.owner
        user = self._container.user
        if user is None:
            yield f"--user={uid}:{gid}"
        elif self._walls.uid is None:
            raise Stop(End(State.FAILED, f"the user {user!r} cannot be had: only a bot that is root can give it"))
        elif (match := _USER.fullmatch(user)) is None:
            raise Stop(End(State.FAILED, f"{user[:80]!r} is no name and no number of a user"))
        else:
            yield f"--user={match[1]}:{gid}"
            yield from () if match[2] is None else (f"--group-add={match[2]}",)
        if self._engine.is_podman and not self._engine.is_root:
            yield "--userns=keep-id"

    def _limits(self) -> Iterator[str]:
        """Yield what the engine is to hold it to. Where we can, the task's cage takes it into groups of its own."""
        machine = self._machine
        for name, limit in {**most_of_each(), **self._rlimits}.items():
            yield f"--ulimit={name}={limit}:{limit}"
        wanted = {
            "memory": f"--memory={machine.memory_mb}m",
            "cpu": f"--cpus={min(machine.cpus, os.cpu_count() or 1):.2f}",
            "pids": f"--pids-limit={machine.processes}",
        }
        yield from (wanted[controller] for controller in self._engine.controllers)
        yield from ("--oom-score-adj=1000", f"--shm-size={machine.memory_mb}m")

    def _find_first(self) -> Process:
        """Return the first process of the container, once it waits: before that it is the engine's, and root's."""
        give_up = self._clock.monotonic() + _PATIENCE
        try:
            while self._outer.poll() is None and self._clock.monotonic() < give_up:
                if (first := self._waiting()) is not None:
                    self._check_user(first)
                    return first
                self._clock.sleep(_PAUSE)
            raise self._why_not()
        except BaseException:
            self._outer.kill()
            self._outer.wait()
            self._end_of_the_engine()
            self._dismiss_guard()
            raise

    def _waiting(self) -> Process | None:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError, EngineError):
            first = Process.of(self._pid())
            if sandbox.BOOTSTRAP in processes.read(f"/proc/{first.pid}/cmdline"):
                return first
        return None

    def _pid(self) -> int:
        if self._engine.is_podman:
            return int(self._pid_file.read_text())
        return int(self._engine.call("container", "inspect", "--format", "{{.State.Pid}}", self._name))

    def _check_user(self, first: Process) -> None:
        """Nothing has run yet. Raises Stop."""
        lines = processes.read(f"/proc/{first.pid}/status").splitlines()
        uids = next(line.split()[1:] for line in lines if line.startswith("Uid:"))
        if "0" in uids:
            user = self._container.user
            raise Stop(End(State.FAILED, f"no run is root here, so `{user}` cannot be the user of its container"))

    def _why_not(self) -> Exception:
        code = self._outer.returncode
        if code in _NOT_STARTED:
            return Stop(End(State.FAILED, f"the image {self._container.name} cannot be started; the log says why"))
        if code is None:
            return SandboxError(f"{self._engine.kind} did not start a container of this machine within {_PATIENCE:g} s")
        return SandboxError(f"{self._engine.kind} could not start the container; the log says why")

    def _end_of_the_engine(self) -> int | None:
        """Wait for the engine's last word, and see that nothing of the container stays."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._outer.wait(_END_LIMIT)
        if self._outer.returncode is None or self._outer.returncode < 0:
            self._outer.kill()
            self._outer.wait()
            with contextlib.suppress(EngineError):
                self._engine.remove(self._name)
        return self._outer.returncode

    def _dismiss_guard(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._guard.communicate(b"\n")

    def _bootstrap(self, pids: Iterable[int]) -> int | None:  # noqa: ARG002 - it is known here
        return self.first.pid


def environment(walls: Sandbox, places: Places, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what a run in a container gets beside the image's own variables: see `sandbox.environment`.

    Programs are looked for where the image says. GPUs are counted from 0: others are not to be seen there.
    """
    own = sandbox.environment(walls, replace(places, environment=None, gpus=None), {})
    if places.gpus is not None:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(len(places.gpus))))
    return {name: value for name, value in own.items() if name not in _FROM_THE_IMAGE} | dict(wanted)


def _open_to_group(places: Places) -> None:
    """Let the run's group write to its directories. Only the workspace, which we have just made, is gone through."""
    own = (
        places.workspace,
        places.artifacts,
        places.storage,
        *(f"{places.scratch}/{name}" for name in ("tmp", "home")),
    )
    for path in map(Path, own if places.cache is None else (*own, places.cache)):
        path.chmod(path.stat().st_mode | 0o070)
    for directory, names, files in os.walk(places.workspace):
        for path in [Path(directory, name) for name in (*names, *files)]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o070 if path.is_dir() else 0o060))


def _walls(is_podman: bool) -> Iterator[str]:
    yield from ("--cap-drop=all", "--security-opt=no-new-privileges", "--read-only")
    # Without this SELinux would want every directory of the project's to be labelled anew.
    yield "--security-opt=label=disable"
    if not is_podman:  # podman does that by itself
        yield from ("--tmpfs=/run", "--tmpfs=/var/tmp")


def _devices(is_podman: bool, gpus: tuple[int, ...] | None) -> Iterator[str]:
    """Yield the GPUs: podman knows them by the names of CDI, docker by its runtime's numbers."""
    if not gpus:
        return
    if is_podman:
        yield from (f"--device=nvidia.com/gpu={number}" for number in gpus)
    else:
        yield f'--gpus="device={",".join(map(str, gpus))}"'


def _bind(mount: Mount) -> str:
    """Return a mount in the words of both engines, where a comma ends a path. Raises PathRefused, SandboxError."""
    if "," in mount.target or '"' in mount.target:
        raise PathRefused(f"nothing can be mounted at {mount.target!r} in a container")
    if "," in mount.source or '"' in mount.source:
        raise SandboxError(f"nothing can be mounted from {mount.source!r} in a container")
    return f"type=bind,source={mount.source},target={mount.target}" + ("" if mount.is_writable else ",readonly")
