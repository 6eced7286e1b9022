"""What a run finds when it begins: its code, its datasets, its storage. Made by the supervisor, outside the walls."""

import fcntl
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.backends import checkout, pointers, processes, sandbox
from bot.backends.base import AttemptSpec, Code, Fetch, Mode
from bot.backends.ends import End, Stop, duration
from bot.backends.interrupts import Interrupts
from bot.backends.journal import Journal
from bot.backends.leftovers import remove
from bot.backends.orders import Order
from bot.backends.programs import Program
from bot.backends.sandbox import Places
from bot.clock import Clock
from bot.core.states import State

_CHECKOUT_LIMIT = 1800.0
"""Seconds that a checkout, or the copy of a workspace, may take."""
_LOOK_EVERY = 1.0
_PLAIN = {"PATH": "/usr/bin:/bin"}
_CREDENTIALS = frozenset({"username", "password", "access_key_id", "secret_access_key"})
_SOURCE = "source"
"""Where a workspace from elsewhere lies, below `workspace`; each task gets a copy."""


class Provision:
    """Makes the directories of an attempt's tasks. `secrets` are the values that credentials name."""

    def __init__(
        self,
        run_dir: Path,
        order: Order,
        spec: AttemptSpec,
        secrets: Mapping[str, str],
        journal: Journal,
        interrupts: Interrupts,
        clock: Clock,
    ) -> None:
        self._run_dir, self._order, self._spec, self._secrets = run_dir, order, spec, secrets
        self._journal, self._interrupts, self._clock = journal, interrupts, clock
        self._walls = order.sandbox
        self._held: list[int] = []
        self.storage = spec.storage_dir
        self.datasets: tuple[tuple[str, str], ...] = ()
        self.resolver: str | None = None

    def fetch(self) -> None:
        """Bring what comes from elsewhere. Raises Stop: FAILED where the config is wrong, ERROR where we are."""
        if not self._spec.fetches:
            return
        program = Program("bot.storage.fetch", self._run_dir)
        try:
            program.tell(self._request())
            program.say_no_more()
            self._take(self._answer(program))
        finally:
            program.kill()

    def places(self, task: str, workdir: str, artifacts: Path, gpus: tuple[int, ...] | None) -> Places:
        """Return where a task's directories are, and will be when `make` has made them."""
        generated = self._run_dir / "generated"
        # Open MPI knows its hosts by name alone; names that all lead to one address look like one host to it.
        hosts = [] if self._spec.mode is Mode.MPI else [name for group in self._spec.groups for name in group.tasks]
        return Places(
            workspace=str(self._run_dir / "workspace" / task),
            artifacts=str(artifacts),
            storage=self.storage,
            scratch=str(self._run_dir / "scratch" / task),
            cache=self._spec.cache_dir,
            generated=str(generated) if generated.exists() else None,
            datasets=self.datasets,
            artifacts_path=sandbox.artifacts_path(self._spec.artifacts),
            workdir=workdir,
            environment=self._machine(task).environment,
            hostname=task,
            hosts=tuple(hosts),
            resolver=self.resolver,
            gpus=gpus,
            is_storage_writable=self._order.storage != "read",
        )

    def make(self, places: Places) -> None:
        """Make a task's directories afresh, with the code in its workspace.

        Raises Stop: ERROR when the commit is not there whole, CANCELLED when that is asked for meanwhile. Raises
        PathRefused for a working directory or artifacts that cannot be.
        """
        remove([Path(places.workspace), Path(places.scratch)], are_ours=self._walls.uid is None)
        sandbox.prepare(self._walls, places)
        if self._spec.code is not None:
            self._check_out(places, self._spec.code)
        source = self._run_dir / "workspace" / _SOURCE
        if source.exists():
            self._run(["cp", "-a", "--reflink=auto", f"{source}/.", places.workspace], places, "the copy")
        sandbox.check_workdir(places)
        sandbox.make_mount_point(places)
        if self._walls.uid is not None:
            checkout.give_to(Path(places.workspace), *self._walls.owner)

    def remove_all(self, keeps_workspace: bool = False) -> None:
        """The workspace is gone after the run; logs, artifacts and journal stay."""
        gone = ["scratch", "generated"] if keeps_workspace else ["scratch", "generated", "workspace"]
        remove([self._run_dir / name for name in gone], are_ours=self._walls.uid is None)

    def fill_in(self, value: str | None) -> str | None:
        """Return a value of the config, or the secret that it names. Raises Stop when there is no such secret."""
        if value is None or not value.startswith("secret:"):
            return value
        try:
            return self._secrets[value.removeprefix("secret:")]
        except KeyError:
            raise Stop(End(State.ERROR, f"`{value}` was not given to this attempt")) from None

    def _machine(self, task: str) -> Any:
        return next(group.machine for group in self._spec.groups if task in group.tasks)

    def _request(self) -> dict[str, Any]:
        largest = max(group.machine.disk_mb for group in self._spec.groups)
        return {
            **self._order.fetching,
            "fetches": [self._filled(fetch) for fetch in self._spec.fetches],
            "workspace": str(self._run_dir / "workspace" / _SOURCE),
            "max_bytes": largest << 20,
            "owner": list(self._walls.owner),
        }

    def _filled(self, fetch: Fetch) -> dict[str, str | None]:
        return {key: self.fill_in(value) if key in _CREDENTIALS else value for key, value in asdict(fetch).items()}

    def _answer(self, program: Program) -> dict[str, Any]:
        while not program.is_silent:
            self._interrupts.check()
            for message in program.heard():
                if "progress" not in message:
                    return message
                self._journal.note(progress=str(message["progress"]))
            self._interrupts.sleep(_LOOK_EVERY, program.fileno())
        why = "what fetches datasets ended without a word; supervisor.log may say why"
        return {"error": why, "may_retry": True}

    def _take(self, answer: Mapping[str, Any]) -> None:
        if "failed" in answer:
            raise Stop(End(State.FAILED, str(answer["failed"])))
        if "done" not in answer:
            why = str(answer.get("error", "the datasets could not be fetched"))
            raise Stop(End(State.ERROR, why, may_retry=answer.get("may_retry") is True))
        done: Sequence[Mapping[str, Any]] = [one for one in answer["done"] if one["name"]]
        for one in done:
            self._hold(one.get("lock"))
        self.datasets = tuple((str(one["name"]), str(one["path"])) for one in done)
        if done:
            known = [{key: one.get(key) for key in ("name", "uri", "etag", "version_id", "bytes")} for one in done]
            self._journal.note(facts={"datasets": known})

    def _hold(self, lock: str | None) -> None:
        """Keep a dataset from being evicted while the run lasts."""
        if lock is not None:
            descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self._held.append(descriptor)

    def _check_out(self, places: Places, code: Code) -> None:
        self._read_tree(places, code.git_dir, code.sha, places.workspace)
        for module in code.modules:
            try:
                place = checkout.place_of(places.workspace, module.path)
            except NotADirectoryError:
                raise Stop(End(State.FAILED, f"there is no place for the submodule `{module.path}`")) from None
            self._read_tree(places, module.git_dir, module.sha, place)
        if code.objects is not None:
            try:
                pointers.fill(Path(places.workspace), Path(code.objects), self._interrupts.check)
            except FileNotFoundError as error:
                # What was swept away is fetched again before the next attempt.
                why = f"a file of LFS is not there: {error.filename}"
                raise Stop(End(State.ERROR, why, may_retry=True)) from None

    def _read_tree(self, places: Places, git_dir: str, sha: str, workspace: str) -> None:
        index = Path(places.scratch, "index")
        index.unlink(missing_ok=True)
        environment = checkout.ENVIRONMENT | {"GIT_INDEX_FILE": str(index)}
        self._run(checkout.command(git_dir, sha, workspace), places, f"commit {sha}", environment)

    def _run(self, command: list[str], places: Places, what: str, environment: Mapping[str, str] | None = None) -> None:
        complaints = Path(places.scratch, "complaints")
        with (
            complaints.open("wb") as errors,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=environment or _PLAIN,
                preexec_fn=processes.die_with_parent,  # noqa: PLW1509 - safe: one thread
            ) as process,
        ):
            try:
                self._wait_for(process, what)
            finally:
                process.kill()
        if process.returncode != 0:
            said = " ".join(complaints.read_text(errors="replace").split())[-300:]
            raise Stop(End(State.ERROR, f"{what} could not be checked out: {said}", may_retry=True))

    def _wait_for(self, process: "subprocess.Popen[bytes]", what: str) -> None:
        give_up = self._clock.monotonic() + _CHECKOUT_LIMIT
        ended = os.pidfd_open(process.pid)
        try:
            while process.poll() is None:
                self._interrupts.check()
                if self._clock.monotonic() > give_up:
                    raise Stop(End(State.ERROR, f"the checkout of {what} took longer than {duration(_CHECKOUT_LIMIT)}"))
                self._interrupts.sleep(_LOOK_EVERY, ended)
        finally:
            os.close(ended)
