"""The guardian of one attempt: a small process of its own, which outlives the bot.

    python -m bot.backends.supervisor RUN_DIR

It is told by files (`orders`), tells by a file (`journal`), and needs nobody: a bot that is killed, upgraded or gone
for a week changes nothing for the run. It imports little and all of it at once, because its start is waited for and
its code may be replaced on disk while it runs. A lock on the directory makes sure that there is only one.
"""

import contextlib
import fcntl
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.backends import checkout, orders, sandbox
from bot.backends.journal import Journal, Story
from bot.backends.logfile import LogFile
from bot.backends.orders import Order
from bot.backends.processes import Process
from bot.backends.running import Running
from bot.backends.sandbox import PathRefused, Places, SandboxError
from bot.clock import Clock, SystemClock
from bot.core.states import State

_CHECKOUT_LIMIT = 1800.0
"""Seconds that a checkout may take."""
_FIRST_LOOK, _LOOK_EVERY = 0.05, 1.0
"""Seconds between looks at the memory and for a cancel: more of them at first, for short runs. A signal wakes it."""
_CHUNK = 1 << 18
_WHY = {9: "out of memory?", 11: "segmentation fault"}
_MB = 1 << 20


@dataclass(frozen=True)
class End:
    """How an attempt ends."""

    state: State
    reason: str
    exit_code: int | None = None


class Stop(Exception):
    """The attempt is to end as `end` says."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


class Supervisor:
    """Takes one attempt from its order to its end. `run` returns when nothing of it is left."""

    def __init__(self, run_dir: Path, order: Order, journal: Journal, clock: Clock) -> None:
        self._run_dir, self._order, self._journal, self._clock = run_dir, order, journal, clock
        self._attempt = order.attempt
        self._group: Mapping[str, Any] = self._attempt["groups"][0]
        self._task = run_dir / orders.TASK
        self._log = LogFile(self._task / "log", order.log_limit)
        self._peak = 0
        self._is_silent = False
        self._told: int | None = None
        self._wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        signal.signal(signal.SIGUSR1, lambda *_: None)  # the bot's nudge: it only wakes
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> None:
        """Run the attempt to its end and write that down; whatever goes wrong here is the platform's error."""
        try:
            end = self._pass_all_states()
        except Stop as stop:
            end = stop.end
        except PathRefused as error:
            end = End(State.FAILED, str(error))
        except Exception as error:
            sys.excepthook(*sys.exc_info())  # what traceback.print_exc() does, without the import
            end = End(State.ERROR, f"{type(error).__name__}: {error}"[:500])
        self._log.close()
        with contextlib.suppress(OSError):  # a full disk must not hide how it ended
            self._remove_leftovers()
        more = {"exit_code": end.exit_code, "peak_memory_mb": -(-self._peak // _MB) or None}
        self._journal.see(end.state, end.reason, **more)

    def _pass_all_states(self) -> End:
        places = self._provision()
        self._journal.see(State.PROVISIONED)
        self._stop_if_asked()
        self._journal.see(State.NETWORK_SETUP)  # one node shares this machine's network: there is nothing to set up
        run = self._start(places)
        try:
            self._begin(run, places)
            verdict = self._watch(run)
        finally:
            run.kill()
            code = run.bury()
            self._drain()
        self._journal.see(State.NETWORK_TEARDOWN)
        return verdict or _judge(code)

    def _provision(self) -> Places:
        """Make the workspace as the commit has it, and all that stands around it."""
        self._stop_if_asked()
        places = self._places()
        sandbox.prepare(self._order.sandbox, places)
        code = self._attempt["code"]
        if code is not None:
            self._check_out(places, code["git_dir"], code["sha"])
        sandbox.check_workdir(places)
        sandbox.make_mount_point(places)
        if self._order.sandbox.uid is not None:
            checkout.give_to(Path(places.workspace), *self._order.sandbox.owner)
        return places

    def _places(self) -> Places:
        machine = self._group["machine"]
        return Places(
            workspace=str(self._run_dir / "workspace"),
            artifacts=str(self._task / "artifacts"),
            storage=self._attempt["storage_dir"],
            scratch=str(self._run_dir / "scratch"),
            artifacts_path=sandbox.artifacts_path(self._attempt["artifacts"]),
            workdir=self._attempt["workdir"],
            environment=machine["environment"],
            gpus=machine["gpus"],
        )

    def _check_out(self, places: Places, git_dir: str, sha: str) -> None:
        """Raises Stop: ERROR when the commit is not there whole, CANCELLED when that is asked for meanwhile."""
        environment = checkout.ENVIRONMENT | {"GIT_INDEX_FILE": str(self._run_dir / "scratch/index")}
        complaints = self._run_dir / "scratch/git"
        with (
            complaints.open("wb") as errors,
            subprocess.Popen(
                checkout.command(git_dir, sha, places.workspace),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=environment,
            ) as git,
        ):
            try:
                self._wait_for(git, _CHECKOUT_LIMIT)
            finally:
                git.kill()
        if git.returncode != 0:
            said = " ".join(complaints.read_text(errors="replace").split())[-300:]
            raise Stop(End(State.ERROR, f"commit {sha} could not be checked out: {said}"))

    def _wait_for(self, process: "subprocess.Popen[bytes]", limit: float) -> None:
        give_up = self._clock.monotonic() + limit
        ended = os.pidfd_open(process.pid)
        try:
            while process.poll() is None:
                self._stop_if_asked()
                if self._clock.monotonic() > give_up:
                    raise Stop(End(State.ERROR, f"the checkout took longer than {_duration(limit)}"))
                self._sleep(_LOOK_EVERY, ended)
        finally:
            os.close(ended)

    def _start(self, places: Places) -> Running:
        """Build the walls. Nothing of the run is executed yet."""
        self._pipe, output = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        try:
            return Running(self._order.sandbox, places, self._group["command"], output, self._clock)
        except SandboxError:
            self._drain()
            raise
        finally:
            os.close(output)

    def _begin(self, run: Running, places: Places) -> None:
        """Write down whom to kill before there is anything to kill."""
        gone = [vars(process) for process in run.must_be_gone]
        self._journal.see(State.RUNNING, processes=gone, **({"marker": run.marker} if run.marker else {}))
        run.release(sandbox.environment(self._order.sandbox, places, self._attempt["env"]))

    def _watch(self, run: Running) -> End | None:
        """Copy the output until the end; return the verdict if it was not the command's own end."""
        timeout = float(self._attempt["timeout"])
        now = self._clock.monotonic()
        begin, deadline, next_look = now, now + timeout, now + _FIRST_LOOK
        while not self._has_ended(run):
            now = self._clock.monotonic()
            if now >= next_look:
                self._look_at_memory(run)
                next_look = now + min(_FIRST_LOOK + (now - begin) / 4, _LOOK_EVERY)
            verdict = self._reason_to_end(now, deadline, timeout)
            if verdict is not None:
                self._end_gently(run)
                return verdict
            self._listen(run, min(next_look, deadline) - now)
        return None

    def _end_gently(self, run: Running) -> None:
        """Ask all processes to end, and give them their time; their last words belong into the log."""
        kill_at = self._clock.monotonic() + self._order.grace
        run.ask_to_end()
        while not run.is_deserted() and not self._has_ended(run):
            left = kill_at - self._clock.monotonic()
            if left <= 0:
                return
            self._listen(run, min(left, _FIRST_LOOK))

    def _listen(self, run: Running, seconds: float) -> None:
        """Wait for output, the end or a signal, `seconds` at most, and copy the output."""
        # A pipe that nobody writes to any more is readable for ever: waiting for it would be no waiting.
        pipe = [] if self._is_silent else [self._pipe]
        self._sleep(max(0.0, seconds), run.ended, *pipe)
        if pipe:
            self._copy()

    def _has_ended(self, run: Running) -> bool:
        return bool(select.select([run.ended], [], [], 0)[0])

    def _reason_to_end(self, now: float, deadline: float, timeout: float) -> End | None:
        try:
            self._stop_if_asked()
        except Stop as stop:
            return stop.end
        if now >= deadline:
            return End(State.FAILED, f"timed out after {_duration(timeout)}")
        machine = self._group["machine"]
        if self._peak > machine["memory_mb"] * _MB:
            used = f"{self._peak // _MB} MB of memory used"
            return End(State.FAILED, f"{used}, more than the {machine['memory_mb']} MB of `{machine['name']}`")
        return None

    def _stop_if_asked(self) -> None:
        reason = orders.cancel_reason(self._run_dir)
        if reason is not None:
            raise Stop(End(State.CANCELLED, reason))
        if self._told is not None:
            name = signal.Signals(self._told).name
            raise Stop(End(State.ERROR, f"its supervisor was told to end ({name}): is the machine shutting down?"))

    def _look_at_memory(self, run: Running) -> None:
        self._peak = max(self._peak, run.memory(self._peak))

    def _sleep(self, seconds: float, *descriptors: int) -> None:
        """Wait until one of them is readable or a signal came."""
        select.select([self._wake, *descriptors], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 512)

    def _copy(self) -> bool:
        """Copy what there is of the run's output; tell whether there was any."""
        try:
            data = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return False
        self._log.write(data)
        self._is_silent = not data
        return bool(data)

    def _drain(self) -> None:
        while self._copy():
            pass
        os.close(self._pipe)

    def _remove_leftovers(self) -> None:
        """The workspace is gone after the run; log, artifacts and journal stay."""
        paths = [str(self._run_dir / name) for name in ("workspace", "scratch")]
        if self._order.sandbox.uid is None:
            # A run may have locked its own directories; root need not care.
            subprocess.run(["chmod", "-R", "u+rwX", "--", *paths], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--one-file-system", "--", *paths], check=False)

    def _hear(self, number: int, _: object) -> None:
        self._told = number


def _judge(code: int | None) -> End:
    """Return the end that the command's own exit code means."""
    if code is None:
        return End(State.ERROR, "the sandbox was killed from outside")
    if code == 0:
        return End(State.STOPPED, "", 0)
    number = code - 128
    if 0 < number < signal.NSIG:
        why = _WHY.get(number)
        return End(State.FAILED, f"killed by signal {number}" + (f" ({why})" if why else ""), code)
    why = {126: " (not executable)", 127: " (command not found)"}.get(code, "")
    return End(State.FAILED, f"exit code {code}{why}", code)


def _duration(seconds: float) -> str:
    """Return `9h`, `1h 30m`, `10m`, `2.5s`."""
    whole = int(seconds)
    parts = [(whole // 3600, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) if whole >= 10 else f"{seconds:g}s"


def main(arguments: list[str]) -> int:
    """Become the supervisor of RUN_DIR, unless there is or was one. Returns when it is sure to be there.

    The parent waits for its child's first word and ends: the child then belongs to nobody whose death could matter.
    """
    run_dir = Path(arguments[0])
    lock = os.open(run_dir / orders.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if _has_begun(run_dir):
        return 0
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(reader)
        _supervise(run_dir, writer)
        return 0
    os.close(writer)
    return 0 if os.read(reader, 1) else 1


def _has_begun(run_dir: Path) -> bool:
    story = Story()
    with contextlib.suppress(FileNotFoundError):
        story.read(run_dir / orders.TASK / "journal")
    return story.is_started


def _supervise(run_dir: Path, ready: int) -> None:
    os.setsid()
    os.umask(0o022)  # what a checkout makes must be readable for the run's own uid
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    clock = SystemClock()
    order = Order.read(run_dir)
    (run_dir / orders.TASK).mkdir(exist_ok=True)
    journal = Journal(run_dir / orders.TASK / "journal", clock)
    journal.begin(order.attempt["id"], Process.of(os.getpid()))
    journal.see(State.PROVISIONING)
    os.write(ready, b"1")
    os.close(ready)
    Supervisor(run_dir, order, journal, clock).run()
    journal.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
