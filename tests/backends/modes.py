"""One command in every mode, where it runs, and whether anything of an attempt is left."""

import base64
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import Backend, BackendUnavailable, Capacity, Mode, TaskGroup
from bot.backends.journal import Story
from bot.backends.local import LocalBackend
from bot.backends.means import CONTROLLERS
from bot.backends.orders import Order
from bot.backends.processes import descendants
from bot.clock import SystemClock
from bot.core.roles import MASTER, PARAMETER_SERVER, TUNER, WORKER
from bot.core.search import FloatRange, Goal, Sampler, Search
from bot.core.series import Source
from tests.backends.lab import Lab, commit, powers, processes_with

SEVERAL = (Mode.GRPC, Mode.MPI, Mode.STUDY, Mode.SEARCH)
MPIRUN = "mpirun --hostfile /generated/hostfile"
SPEAKER = {Mode.MPI: "master-0"}
"""In whose log the command's words are, where that is not worker-0."""
VALUE = """echo '{"loss": 1}' > $ARTIFACTS_DIR/gradient-model-metadata.json"""
"""What a trial has to leave."""


@contextmanager
def laboratory(
    directory: Path, files: Mapping[str, str] | None = None, network: str = "auto", grace: float = 0.6
) -> Iterator[Lab]:
    """Give a laboratory with walls, without which there are single nodes only; what it left running ends with it."""
    data_dir = directory / "data"

    def make() -> Backend:
        return LocalBackend(
            data_dir, Capacity(2, 4096, 0), SystemClock(), grace=grace, powers=powers(), network=network
        )

    try:
        make()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    lab = Lab(data_dir, make, commit(directory / "code", None if files is None else dict(files)))
    yield lab
    lab.close()


def with_our_environment(lab: Lab) -> Lab:
    """Have runs see the packages that these tests are installed with."""
    lab.machine = replace(lab.machine, environment=sys.prefix)
    return lab


def needs_mpi() -> None:
    if shutil.which("mpirun") is None:
        pytest.skip("there is no mpirun here: apt-get install openmpi-bin")


def several(lab: Lab, mode: Mode, command: str) -> dict[str, Any]:
    """Return the changes of a spec that run a shell command twice at the same time: as workers, ranks, trials."""
    machine = lab.machine
    if mode is Mode.GRPC:
        return grpc(lab, command, f"exec sleep {word(mode, 0)}", workers=2)
    if mode is Mode.MPI:
        needs_mpi()
        return mpi(lab, f"{MPIRUN} -np 2 --map-by node sh -c {shlex.quote(command)}")
    if mode is Mode.STUDY:
        groups = tuple(TaskGroup(role, 1, command, machine) for role in (WORKER, TUNER))
        return {"mode": mode, "groups": groups}
    # One line, in which braces are no parameters.
    coded = base64.b64encode(command.encode()).decode()
    words = f"""sh -c 'eval "$(echo {coded} | base64 -d)"'"""
    search = Search({"x": FloatRange(0.0, 1.0)}, Source.CUSTOM, "/loss", Goal.MINIMIZE, 2, 2, Sampler.RANDOM)
    return searching(lab, words, search)


def word(mode: Mode, play: int) -> str:
    """Return a number of seconds by which the processes of one play are known, whatever is played beside it."""
    return f"74{play}{SEVERAL.index(mode)}000"


def grpc(lab: Lab, worker: str, server: str, workers: int = 1) -> dict[str, Any]:
    """Return the changes of a spec for workers and one parameter server."""
    groups = (
        TaskGroup(WORKER, workers, worker, lab.machine),
        TaskGroup(PARAMETER_SERVER, 1, server, lab.machine, decides=False),
    )
    return {"mode": Mode.GRPC, "groups": groups}


def mpi(lab: Lab, command: str) -> dict[str, Any]:
    """Return the changes of a spec for a master with two hosts."""
    groups = (TaskGroup(MASTER, 1, command, lab.machine), TaskGroup(WORKER, 2, "", lab.machine, decides=False))
    return {"mode": Mode.MPI, "groups": groups}


def searching(lab: Lab, words: str, search: Search) -> dict[str, Any]:
    """Return the changes of a spec for a declared search."""
    groups = (TaskGroup(WORKER, search.parallel, words, lab.machine),)
    return {"mode": Mode.SEARCH, "groups": groups, "search": search.to_json()}


def run_dir(lab: Lab, attempt_id: str) -> Path:
    public_id, attempt = attempt_id.rsplit("-", 1)
    return lab.data_dir / "runs" / public_id / attempt


def story(lab: Lab, attempt_id: str) -> Story:
    """Return what the supervisor wrote down."""
    story = Story()
    story.read(run_dir(lab, attempt_id) / "journal")
    return story


def inside(lab: Lab, attempt_id: str, command: str) -> list[int]:
    """Return the attempt's processes with `command` in their command line, the oldest first."""
    wanted = set(processes_with(command))
    return sorted(pid for top in story(lab, attempt_id).processes for pid in wanted & set(descendants(top.pid)))


def left_over(lab: Lab, attempt_id: str, word: str) -> list[object]:
    """Return all that lives or stands of an attempt which is over: `word` is one of its processes' command lines.

    Its own processes, our programs beside it (slirp4netns, the sidecar, the tuner), its supervisor, its control groups.
    """
    directory = run_dir(lab, attempt_id)
    ours = [process for process in story(lab, attempt_id).processes if process.is_alive()]
    named = [*processes_with(word), *processes_with(str(directory))]
    means = Order.read(directory).means
    parents = {Path(getattr(means, controller)) for controller in CONTROLLERS if getattr(means, controller)}
    groups = [group for parent in parents for group in parent.glob(f"*{means.owner}*@{attempt_id}@*")]
    return [*ours, *named, *_at_work_in(directory), *groups]


def _at_work_in(directory: Path) -> list[Path]:
    """Return the processes of this machine whose working directory it is: the programs beside a run."""
    return [link.parent for link in Path("/proc").glob("[0-9]*/cwd") if _target(link) == directory]


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None
