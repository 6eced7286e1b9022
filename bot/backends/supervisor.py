"""The guardian of one attempt: a small process of its own, which outlives the bot.

    python -m bot.backends.supervisor RUN_DIR        (the secrets of the attempt, as JSON, on its standard input)

It is told by files (`orders`), tells by a file (`journal`), and needs nobody: a bot that is killed, upgraded or gone
for a week changes nothing for the run. It imports little and all of it at once, because its start is waited for and
its code may be replaced on disk while it runs. A lock on the directory makes sure that there is only one.

Read `Supervisor._pass_all_states` first; `provision`, `network` and `trials` are its chapters.
"""

import contextlib
import fcntl
import json
import os
import resource
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from bot.backends import orders, study
from bot.backends.base import AttemptSpec, Mode, from_json
from bot.backends.beside import Beside
from bot.backends.ends import End, Stop, duration, judge
from bot.backends.gpus import models as gpu_models
from bot.backends.images import Images
from bot.backends.interrupts import Interrupts
from bot.backends.journal import Journal, Story
from bot.backends.limits import Cage, Limits
from bot.backends.logfile import LogFile
from bot.backends.meeting import Meeting
from bot.backends.moving import Move, make_storage
from bot.backends.orders import Order
from bot.backends.processes import Process
from bot.backends.provision import Provision
from bot.backends.sandbox import PathRefused, Places
from bot.backends.task import Task, TaskRun
from bot.backends.trials import Trials
from bot.clock import SECOND, Clock, SystemClock
from bot.core.masking import Masker
from bot.core.states import State

_FIRST_LOOK, _LOOK_EVERY = 0.05, 1.0
"""Seconds between looks at what is used and for a cancel: more of them at first, for short runs. A signal wakes it."""
_LAST_WORDS = 2.0
"""Seconds for the tuner to end by itself."""
_MB = 1 << 20


class Supervisor:
    """Takes one attempt from its order to its end. `run` returns when nothing of it is left."""

    def __init__(
        self,
        run_dir: Path,
        order: Order,
        secrets: Mapping[str, str],
        masker: Masker,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._run_dir, self._order, self._journal, self._clock = run_dir, order, journal, clock
        self._spec: AttemptSpec = from_json(order.attempt)
        self._interrupts = Interrupts(run_dir, order.owner)
        self._masker = masker
        self._provision = Provision(run_dir, order, self._spec, secrets, journal, self._interrupts, clock)
        self._images = self._find_images()
        self._beside = Beside(run_dir, self._spec, order, clock)
        self._move: Move | None = None
        self._tasks = self._make_tasks()
        self._runs: list[TaskRun] = []
        self._done: set[str] = set()
        self._trials: Trials | None = None
        self._peaks: dict[str, int] = {}
        self._verdict: End | None = None
        self._culprit = ""

    def run(self) -> None:
        """Run the attempt to its end and write that down; whatever goes wrong here is the platform's error."""
        try:
            end = self._pass_all_states()
        except Stop as stop:
            end = stop.end
        except PathRefused as error:
            end = End(State.FAILED, str(error))
        except Exception as error:
            sys.stderr.write(self._masker.mask(traceback.format_exc()))
            # What could not be ended must not meet its own repetition.
            end = End(State.ERROR, f"{type(error).__name__}: {error}"[:500], may_retry=not self._runs)
        for task in self._tasks.values():
            task.log.close()
        keeps = self._spec.keeps_workspace and end.state is State.FAILED
        with contextlib.suppress(OSError):  # a full disk must not hide how it ended
            self._provision.remove_all(keeps)
        self._journal.see(end.state, end.reason, **({"may_retry": True} if end.may_retry else {}))

    def _pass_all_states(self) -> End:
        try:
            self._interrupts.check()
            self._provision.fetch()  # before the move: it needs the machine's own network
            if self._images is not None:
                self._images.pull()
            self._beside.open_ports()
            self._settle()
            self._beside.start()
            self._note_ours()
            self._provide()
            self._journal.see(State.PROVISIONED)
            self._interrupts.check()
            self._journal.see(State.NETWORK_SETUP)
            meeting = self._set_up_network()
            self._start(meeting)
            self._verdict = self._watch()
            self._journal.see(State.NETWORK_TEARDOWN)
            self._end_gently()
            self._tear_down_network()
            return self._verdict
        finally:
            for run in [*self._runs]:
                self._bury(run)
            if self._trials is not None:
                self._trials.tuner.end(self._clock, _LAST_WORDS)
            self._beside.end()
            if self._images is not None:
                self._images.end()
            if self._move is not None:
                self._move.end()

    # Provisioning

    def _make_tasks(self) -> dict[str, Task]:
        tasks = {}
        for group in self._spec.groups:
            for name in group.tasks:
                directory = self._run_dir / name
                directory.mkdir(exist_ok=True)
                log = LogFile(directory / "log", self._order.log_limit, self._masker)
                workdir = group.workdir or self._spec.workdir
                tasks[name] = Task(name, group.command, group.machine, group.decides, log, workdir)
        return tasks

    def _find_images(self) -> Images | None:
        engine, network, fill_in = self._order.engine, self._order.network, self._provision.fill_in
        if engine is None:
            return None
        journal, interrupts, clock = self._journal, self._interrupts, self._clock
        return Images(engine, self._run_dir, self._spec, network, fill_in, journal, interrupts, clock)

    def _settle(self) -> None:
        """Move into the attempt's own namespaces."""
        storage = Path(self._spec.storage_dir)
        make_storage(storage, self._order.sandbox.owner)
        self._move = Move(self._run_dir, storage, self._order)
        self._provision.resolver = self._move.resolver

    def _provide(self) -> None:
        Meeting.prepare(self._run_dir / "generated", self._order.sandbox.owner)
        for task in self._tasks.values():
            self._provision.make(self._places(task))
        if self._images is not None:
            self._put_into_images(self._images)
        if gpu := gpu_models(self._spec.gpus):
            self._journal.note(facts={"gpu": gpu})

    def _put_into_images(self, images: Images) -> None:
        for group in self._spec.groups:
            first = self._tasks[group.tasks[0]]
            images.build(group, Path(self._places(first).workspace), first.log)
            for name in group.tasks:
                self._tasks[name].container = images.container(group)
        images.note()

    def _places(self, task: Task, trial: int | None = None) -> Places:
        artifacts = self._run_dir / orders.ARTIFACTS
        if trial is not None:
            artifacts = artifacts / "trials" / str(trial)
        gpus = self._gpus(task) if task.machine.gpus else None
        return self._provision.places(task.name, task.workdir, artifacts, gpus)

    def _gpus(self, task: Task) -> tuple[int, ...]:
        """Return the GPUs of a task: the attempt's are dealt out in the order of the tasks."""
        first = 0
        for other in self._tasks.values():
            if other is task:
                break
            first += other.machine.gpus
        return self._spec.gpus[first : first + task.machine.gpus]

    # Network setup

    def _set_up_network(self) -> Meeting:
        self._beside.wait(self._interrupts)
        if self._spec.mode is Mode.STUDY:
            study.prepare(self._run_dir, self._interrupts, self._clock)
        meeting = Meeting(self._spec, self._run_dir, self._order.sandbox.owner)
        if facts := {**self._order.facts, **self._beside.facts}:
            self._journal.note(facts=facts)
        for task in self._tasks.values():
            task.variables = self._variables(task, meeting)
        return meeting

    def _variables(self, task: Task, meeting: Meeting, trial: int | None = None) -> dict[str, str]:
        fill_in = self._provision.fill_in
        own = {name: fill_in(value) or "" for name, value in self._spec.env.items()}
        return {**meeting.variables(task.name), **own, **self._beside.variables(task.name, trial)}

    # Running

    def _start(self, meeting: Meeting) -> None:
        """Build all walls, write down whom to kill, and only then let anything of the run begin."""
        if self._spec.mode is Mode.SEARCH:
            self._start_search()
            return
        for task in self._tasks.values():
            self._runs.append(self._wall(task, self._places(task), meeting.command(task.name)))
        gone = [vars(process) for run in self._runs for process in run.running.must_be_gone]
        markers = [run.running.marker for run in self._runs if run.running.marker]
        self._see_running(gone, next(iter(markers), None))
        meeting.release()
        for run in self._runs:
            run.begin(run.task.variables)

    def _start_search(self) -> None:
        self._see_running([])
        hello = {
            "search": self._spec.search,
            "parallel": len(self._tasks),
            "user": self._order.sandbox.uid,
            "command": self._spec.groups[0].command,
        }
        is_resumed = (self._run_dir / orders.TRIALS).exists()
        self._trials = Trials(self._run_dir, hello, self._start_trial, self._stop, is_resumed, self._must_be_gone)

    def _note_ours(self) -> None:
        """Write down our own programs, which must be gone when we are."""
        move = () if self._move is None else self._move.processes
        self._journal.note(processes=[*self._beside.processes, *move])

    def _must_be_gone(self, pid: int) -> None:
        self._journal.note(processes=[vars(Process.of(pid))])

    def _see_running(self, processes: list[dict[str, object]], marker: str | None = None) -> None:
        self._journal.see(State.RUNNING, processes=processes, **({"marker": marker} if marker else {}))

    def _wall(self, task: Task, places: Places, command: str, trial: int | None = None) -> TaskRun:
        name, limits = f"{self._spec.id}/{task.name}", Limits.of(task.machine)
        cage = Cage(self._order.means, name, limits, self._written(places, trial), self._clock, places.shared)
        run = TaskRun(task, self._order.sandbox, places, command, self._clock, cage, trial, self._ours)
        self._beside.see(task.name, trial, run.running.first.pid)
        return run

    def _written(self, places: Places, trial: int | None) -> tuple[str, ...]:
        """Return the directories that count as a task's: of a search what all trials leave, for all of it stays."""
        if trial is None:
            return places.written
        of_all = str(self._run_dir / orders.ARTIFACTS)
        return tuple(of_all if path == places.artifacts else path for path in places.written)

    def _ours(self) -> set[int]:
        """Return the processes below us that are none of a run's."""
        return self._beside.pids() | (set() if self._move is None else self._move.pids)

    def _start_trial(self, trial: int, slot: int, command: str, variables: Mapping[str, str]) -> TaskRun:
        """See `trials.Start`. Whom to kill is written down before there is anything to kill."""
        task = [*self._tasks.values()][slot]
        places = self._places(task, trial)
        self._provision.make(places)
        task.log.write(f"── trial {trial}: {command}\n".encode())
        run = self._wall(task, places, command, trial)
        self._journal.note(processes=[vars(process) for process in run.running.must_be_gone])
        self._runs.append(run)
        run.begin({**task.variables, **self._beside.variables(task.name, trial), **variables})
        return run

    def _watch(self) -> End:
        """Watch until it is known how the attempt ends."""
        timeout, begin = self._spec.timeout, self._clock.monotonic()
        deadline = begin + timeout - self._ran_already()
        next_look = begin + _FIRST_LOOK
        while True:
            now = self._clock.monotonic()
            self._listen(min(next_look, deadline) - now)
            verdict = self._news()
            if verdict is None and now >= next_look:
                verdict = self._look()
                next_look = now + min(_FIRST_LOOK + (now - begin) / 4, _LOOK_EVERY)
            if verdict is None and now >= deadline:
                verdict = self._time_out()
            if verdict is not None:
                return verdict

    def _time_out(self) -> End:
        end = End(State.FAILED, f"timed out after {duration(self._spec.timeout)}")
        for run in self._runs:
            if run.task.decides:
                run.verdict = end.reason
        return end

    def _ran_already(self) -> float:
        """Return for how many seconds it ran under a supervisor that died."""
        story = Story()
        story.read(self._run_dir / orders.JOURNAL)
        first = next(seen.at for seen in story.seen if seen.state is State.RUNNING)
        return max(0.0, (self._clock.now() - first) / SECOND)

    def _listen(self, seconds: float) -> None:
        """Wait for output, an end, a word or a signal, `seconds` at most, and copy the output."""
        descriptors = [descriptor for run in self._runs for descriptor in run.descriptors]
        if self._trials is not None and not self._trials.tuner.is_silent:
            descriptors.append(self._trials.tuner.fileno())
        self._interrupts.sleep(min(seconds, _FIRST_LOOK) if self._are_some_ending else seconds, *descriptors)
        for run in self._runs:
            run.copy()

    @property
    def _are_some_ending(self) -> bool:
        return any(run.is_ending for run in self._runs)

    def _news(self) -> End | None:
        """Take every end that has come; return the attempt's, once it is decided."""
        verdict: End | None = None
        for run in [*self._runs]:
            if run.has_ended or run.is_to_be_killed():
                verdict = verdict or self._take_end(run)
        if verdict is None and self._trials is not None:
            try:
                verdict = self._trials.hear()
            except Stop as stop:  # while a trial's code was checked out
                verdict = stop.end
        return verdict

    def _look(self) -> End | None:
        """Look at orders and limits."""
        try:
            self._interrupts.check()
        except Stop as stop:
            return stop.end
        if self._move is not None and self._move.is_cut_off:
            return End(State.ERROR, "its network was lost: slirp4netns ended", may_retry=True)
        verdict: End | None = None
        for run in [*self._runs]:
            if (too_much := run.look()) is None:
                continue
            if self._trials is None:
                verdict = verdict or self._failed(run.task, End(State.FAILED, too_much))
            run.verdict = too_much
            self._stop(run)
        return verdict

    def _take_end(self, run: TaskRun) -> End | None:
        """Bury a run; return the attempt's end if this decides it."""
        code = self._bury(run)
        if self._trials is not None:
            self._trials.ended(run, code, run.verdict)
            return None
        end = End(State.FAILED, run.verdict, code) if run.verdict else judge(code)
        if end.state is not State.STOPPED:
            return self._failed(run.task, end) if run.verdict else self._failed(*self._guilty(run.task, end))
        self._done.add(run.task.name)
        is_complete = all(task.name in self._done for task in self._tasks.values() if task.decides)
        return End(State.STOPPED, "", 0) if is_complete else None

    def _guilty(self, task: Task, end: End) -> tuple[Task, End]:
        """Return the task that is to blame, with its end.

        Where the kernel killed something for its memory, those that worked with it may be the first to end.
        """
        for run in self._runs:
            if (too_much := run.look()) is not None:
                run.verdict = too_much
                return run.task, End(State.FAILED, too_much)
        return task, end

    def _failed(self, task: Task, end: End) -> End:
        """Return the attempt's end when one of its tasks ended like this."""
        if len(self._tasks) == 1:
            return end
        self._culprit = task.name
        return End(end.state, f"{task.name}: {end.reason}", end.exit_code, end.may_retry)

    def _stop(self, run: TaskRun) -> None:
        if not run.is_ending:
            run.ask_to_end(self._order.grace)

    # The end

    def _end_gently(self) -> None:
        """Ask all processes that are left to end, and give them their time."""
        if self._trials is not None:
            self._trials.tuner.say_no_more()
        for run in self._runs:
            self._stop(run)
        while self._runs:
            self._listen(_FIRST_LOOK)
            for run in [*self._runs]:
                if run.has_ended or run.is_to_be_killed():
                    self._bury(run)
        self._write_ends_of_workers()

    def _tear_down_network(self) -> None:
        """Keep what the tasks left for each other and somebody wants to see."""
        if self._spec.mode is Mode.STUDY:
            facts, remark = study.read(self._run_dir, self._clock, self._masker)
            if facts:
                self._journal.note(facts=facts)
            if remark:
                next(iter(self._tasks.values())).log.write(f"── {remark}\n".encode())

    def _bury(self, run: TaskRun) -> int | None:
        """End what is left of a run and write down how it ended."""
        was_asked = run.is_ending and not run.verdict
        code = run.bury()
        self._runs.remove(run)
        self._beside.forget(run.task.name)
        if run.trial is None:
            self._write_end(run, code, was_asked)
        else:
            self._peaks[run.task.name] = max(run.peak, self._peaks.get(run.task.name, 0))
        return code

    def _write_ends_of_workers(self) -> None:
        """Write down the ends of a search's workers: what each needed at most, over all its trials."""
        state = self._stopped().state
        for name, peak in self._peaks.items():
            self._journal.see(state, task=name, peak_memory_mb=-(-peak // _MB) or None)

    def _write_end(self, run: TaskRun, code: int | None, was_asked: bool) -> None:
        end = judge(code)
        if run.verdict:
            end = End(State.FAILED, run.verdict)
        elif was_asked:
            end = self._stopped()
        more = {"exit_code": code, "peak_memory_mb": -(-run.peak // _MB) or None}
        self._journal.see(end.state, end.reason, task=run.task.name, **more)

    def _stopped(self) -> End:
        """Return the end of a task that was ended together with the attempt: by no fault of its own."""
        if self._verdict is not None and self._verdict.state is State.STOPPED:
            others = "the master was" if self._spec.mode is Mode.MPI else "the workers were"
            return End(State.STOPPED, f"stopped when {others} done")
        return End(State.CANCELLED, f"stopped because {self._culprit} failed" if self._culprit else "")


def main(arguments: list[str]) -> int:
    """Become the supervisor of RUN_DIR, unless there is or was one. Returns when it is sure to be there.

    The parent waits for its child's first word and ends: the child then belongs to nobody whose death could matter.
    """
    run_dir = Path(arguments[0])
    secrets = json.loads(sys.stdin.buffer.read() or b"{}")
    lock = os.open(run_dir / orders.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if _is_done_with(run_dir):
        return 0
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(reader)
        _supervise(run_dir, secrets, writer)
        return 0
    os.close(writer)
    return 0 if os.read(reader, 1) else 1


def _is_done_with(run_dir: Path) -> bool:
    story = Story()
    with contextlib.suppress(FileNotFoundError):
        story.read(run_dir / orders.JOURNAL)
    return story.is_started and not story.is_interrupted


def _supervise(run_dir: Path, secrets: Mapping[str, str], ready: int) -> None:
    os.setsid()
    os.umask(0o022)  # what a checkout makes must be readable for the run's own uid
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    clock = SystemClock()
    order, masker = Order.read(run_dir), Masker(secrets.values())
    journal = Journal(run_dir / orders.JOURNAL, clock, masker)
    journal.begin(order.attempt["id"], Process.of(os.getpid()))
    journal.see(State.PROVISIONING)
    os.write(ready, b"1")
    os.close(ready)
    Supervisor(run_dir, order, secrets, masker, journal, clock).run()
    journal.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
